/* What the balancers' files share: a lane to each balancer, what each type of balancer does, and the
 * operations over all of them. Nobody else includes this. */
#ifndef BALANCER_INTERNAL_H
#define BALANCER_INTERNAL_H

#include "app/balancer.h"
#include "app/balancer_haproxy.h"
#include "app/dependency.h"
#include "io/loop.h"

/* What is asked of one balancer at once. `done` NULL: nobody waits any more, it is carried out all the same. `error` NULL: the
 * orders' views are what the balancer says after it. */
typedef void errand_done_fn(void *context, const struct traffic_order *orders, size_t count,
                            const struct err *error);
struct errand {
    struct errand *next;
    errand_done_fn *done;
    void *context;
    bool thorough; /* before a run: whatever can be wrong is looked for */
    bool owed;     /* has waited for its trial: is sent whatever the breaker says */
    bool partial;  /* an undo's: servers of nodes whose lease does not hold are left as they are, and looked at */
    bool asked;    /* the breaker was, for it, and its outcome is not reported to it yet */
    size_t count;
    struct traffic_order orders[];
};

struct lane;

/* One kind of balancer. */
struct balancer_type {
    /* Whether it can have a server of this name. */
    bool (*is_server)(const char *name);
    /* Begins the lane's first errand, at most EXCHANGE_MS or its own limit long; ends, later, with lane_finish or lane_fail. The lane's session is
     * connected, where it has one. */
    void (*carry)(struct lane *lane);
    /* Forgets what carry has begun. */
    void (*stop)(struct lane *lane);
};
const struct balancer_type *balancer_type_of(const struct balancer *balancer);
extern const struct balancer_type haproxy_type, nginx_type, command_type;

#define EXCHANGE_MS 5000
#define RELOAD_MS 6000 /* a reload of HAProxy takes the socket away for a moment */

/* The way to one balancer: errands one after the other. */
struct lane {
    struct fleet *fleet;
    const struct front *front;
    const struct balancer_type *type;
    struct errand *first; /* under way when `busy` */
    bool busy;
    struct timer *next;
    struct dependency *guard; /* its breaker */
    /* an error is told to the breaker only when the errors in a row, begun at silent_ms, have lasted for RELOAD_MS */
    bool silent;
    bool in_vain; /* a trial that was waited for has failed, and nothing was answered since */
    int64_t silent_ms, began_ms, erred_ms;
    /* ERR_FAILED: it said yes to a write and stood otherwise after it, once in this run; code 0: never */
    struct err disagreed;
    /* the type's own, of the errand under way */
    size_t at; /* the order that is at hand */
    struct ssh_channel *channel;
    struct strbuf request, answer;
    struct timer *deadline;
    int step;
    uint32_t request_id;
    struct child *child; /* on the runner */
    bool leaving;        /* its end is all that is waited for */
    const char *what;
    void (*ran)(struct lane *lane, const char *output);
};

/* A command on the balancer's node, or on the runner: values reach it as environment only. */
#define LANE_VALUES_MAX 6
#define KILL_MS 20000
struct lane_command {
    const char *text, *what; /* what: for messages, static */
    int64_t timeout_ms;
    const struct member *member; /* its environment is given; NULL: no node's */
    const char *slot;
    struct {
        const char *name, *value;
    } values[LANE_VALUES_MAX];
    /* It ended well: lines that are safe to show. Anything else finishes the errand with an error. */
    void (*ran)(struct lane *lane, const char *output);
};
void lane_run(struct lane *lane, const struct lane_command *command);
void lane_run_stop(struct lane *lane);
/* Until a command on the runner, which was told to stop, has ended: seconds at most, by the loop. */
void lane_run_wait(struct lane *lane);

/* -1 when out of memory. */
int lane_init(struct lane *lane, struct fleet *fleet, const struct front *front);
/* Forgets what is under way; no callback comes after. */
void lane_release(struct lane *lane);
/* An errand for `count` orders, to be filled in and sent; NULL when out of memory. */
struct errand *errand_create(size_t count, errand_done_fn *done, void *context);
/* The errand becomes the lane's. */
void lane_send(struct lane *lane, struct errand *errand);
/* Whoever waits with `context` does so no more. */
void lane_forget(struct lane *lane, const void *context);
/* Before each request of the first errand that changes something: whether the leases of all nodes that it is about hold now. False: the
 * errand is no longer under way, and begins anew when they do, or ends. */
bool lane_may_write(struct lane *lane);
/* How the first errand ended; called by the types, from the loop. */
void lane_finish(struct lane *lane, const struct err *error);
void lane_fail(struct lane *lane, int code, const char *message);

/* The first line that a `state` command printed, `ready|drain|maint [WEIGHT [SESSIONS]]`: 0 or ERR_REFUSED. Pure. */
int balancer_state_parse(struct traffic_view *view, const char *server, const char *output, struct err *err);

/* --- operations over all balancers --- */

/* What one balancer knows of one instance. */
struct cell {
    const char *server; /* NULL: the balancer is another node's own, and does not have it */
    struct traffic_view view, found; /* found: when the operation began */
    struct err error;
    bool known;     /* `view` was read in this run */
    bool denied;    /* not written when it was to be, for want of a lease */
    uint32_t reminders; /* in a row: how often it had lost what it was told */
    uint32_t keeps; /* per mille of its full weight, by the share at hand */
};

enum stage {
    STAGE_NONE,
    STAGE_LOOK,
    STAGE_READY,
    STAGE_UP,
    STAGE_DRAIN,
    STAGE_EMPTY,
    STAGE_SHUT,
    STAGE_PUT_BACK,
    STAGE_WATCH,
    STAGE_REMIND
};

#define WEIGHT_BY_SHARE (UINT32_MAX - 1) /* the cell's `keeps` */

/* One instance in an operation. */
struct item {
    size_t instance;
    bool in;
    uint32_t weight;
};

/* One operation's part at one balancer. */
struct leg {
    struct task *task;
    size_t front;
    struct err error;
    bool waiting; /* an errand is under way */
    /* after an error: when it is asked again; until when, and how often, it was since the last answer */
    int64_t again_ms, ends_ms;
    uint32_t tries;
    bool waited; /* for its breaker's trial: once an operation */
};

/* An operation over some instances; at rest when STAGE_NONE. */
struct task {
    struct balancers *balancers;
    enum balancer_wish wish;
    enum stage stage;
    struct item *items;
    size_t item_count;
    struct leg *legs; /* one a front */
    size_t waiting, quiet, warm; /* warm: the step of the warm-up */
    bool timed_out, stopped;
    bool empties; /* a shift: what goes out is waited for, and shut */
    bool shares;  /* a shift: of weights only */
    bool owed;    /* an undo's: waits for the trial of a breaker that is open */
    int64_t drain_ends_ms, up_ends_ms;
    struct timer *pause, *deadline;
    char sentence[ERR_MESSAGE_MAX];
    step_done_fn *fn;
    void *context;
};

/* What an instance was brought to in this run and is to stay. */
struct hold {
    bool held;
    enum traffic_command command;
    uint32_t weight;
};

struct balancers {
    struct fleet *fleet;
    struct lane *lanes; /* one a front */
    size_t count, slots, instances;
    struct cell *cells;  /* front by front, one an instance */
    struct hold *holds;  /* one an instance */
    bool *holds_out;     /* one a member: some balancer may keep traffic away */
    struct task *tasks;  /* one a member */
    struct task shift, look, watcher;
    bool shares;  /* a canary: the weights are ours */
    bool *updated; /* one a member, of: */
    struct traffic_share share;
    uint32_t reached;
    struct timer *watch;
};

#define LOOK_MS 25000
#define UP_WITHIN_MS 30000
#define TRIAL_WAIT_MS 60000 /* what is owed waits no longer for a trial */
/* an operation's errands in all, without waiting for sessions or for a check */
#define ERRANDS_MS 40000

struct cell *cell_at(const struct balancers *balancers, size_t front, size_t instance);
/* The longest drain_timeout of all. */
int64_t drain_limit_ms(const struct balancers *balancers);

/* --- what is asked for at one balancer: balancer_orders.c --- */

/* Whether the server does not stand as it is to stay. */
bool cell_differs(const struct hold *hold, const struct cell *cell);
/* What the task's stage asks of an item there; false: nothing. */
bool task_order(struct traffic_order *out, const struct task *task, size_t front,
                const struct item *item);
/* How long a step of the warm-up lasts at the slowest balancer; below 0: nobody warms up any more. */
int64_t warm_hold_ms(const struct balancers *balancers, size_t step);
/* The most that a warm-up adds. */
int64_t warmup_limit_ms(const struct balancers *balancers);

/* --- operations: balancer_task.c --- */

/* Where every operation begins; the items are set. STAGE_NONE: nothing is to be done. */
void task_start(struct task *task, enum balancer_wish wish, enum stage stage, step_done_fn *fn, void *context);
/* What each item keeps of its weight, after a look. Below 0: it cannot be, and the task's sentence says why. */
int share_plan(struct task *task);
bool share_is_ordinary(const struct task *task);
/* Asks every balancer what the stage asks; what comes after follows from the answers. */
void task_begin(struct task *task, enum stage stage);
/* Ends with DONE_OK a moment later. */
void task_end_soon(struct task *task);
/* Ends with a result, or DONE_CANCELLED when it was stopped. */
void task_end(struct task *task, enum done_status status, const char *sentence);
/* Asks those that have failed and are due again, after a moment. */
void task_ask_failed_in(struct task *task, int64_t delay_ms);
/* Nobody waits for the task's errands any more; what has been sent is carried out. */
void task_forget_errands(struct task *task);
/* At rest, without its callback. */
void task_rest(struct task *task);
/* Tells every balancer once to undo what the task did; nobody waits for it. */
void task_put_back_unheard(struct task *task);
/* --- those that failed: balancer_again.c --- */

/* What has failed is asked again later, within what is safe, or waits for its breaker's trial. False: the stage has failed. */
bool task_ask_again(struct task *task);
bool task_waits_for_trial(const struct task *task);
/* The most that waiting for a trial adds. */
int64_t trial_limit_ms(const struct balancers *balancers);

/* Looks after what is held, from a second later on: balancer.c. */
void balancers_watch(struct balancers *balancers);

#endif
