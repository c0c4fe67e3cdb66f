/* What the balancers' files share: a lane to each balancer, and what each type says and
 * understands. Nobody else includes this. */
#ifndef BALANCER_INTERNAL_H
#define BALANCER_INTERNAL_H

#include "app/balancer.h"
#include "app/balancer_haproxy.h"
#include "io/loop.h"

/* One thing asked of one balancer about one server. */
struct errand {
    struct errand *next;
    enum haproxy_order order;
    const char *server;
    /* NULL: nobody waits any more, it is carried out all the same. `error` NULL: `view` is what the
     * balancer says after it. */
    void (*done)(void *context, const struct traffic_view *view, const struct err *error);
    void *context;
};

/* The way to one balancer: errands one after the other, each over a connection of its own through
 * the node's SSH connection. */
struct lane {
    struct fleet *fleet;
    const struct front *front;
    struct errand *first; /* under way when `busy` */
    bool busy;
    struct ssh_channel *channel;
    struct strbuf request, answer;
    struct timer *deadline, *next;
    struct err error;
};

void lane_init(struct lane *lane, struct fleet *fleet, const struct front *front);
/* Forgets what is under way; no callback comes after. */
void lane_release(struct lane *lane);
/* NULL when out of memory. The errand is the lane's. */
struct errand *lane_send(struct lane *lane, enum haproxy_order order, const char *server,
                         void (*done)(void *context, const struct traffic_view *view,
                                      const struct err *error),
                         void *context);
/* Whoever waits with `context` does so no more. */
void lane_forget(struct lane *lane, const void *context);

/* --- one member's operation over all balancers: balancer_task.c --- */

/* What one balancer knows of one member. */
struct cell {
    struct task *task;
    size_t front;
    const char *server;
    struct traffic_view view;
    struct err error;
    bool known;    /* `view` was read in this run */
    bool found_in; /* it was READY when the operation began */
    bool waiting;  /* an errand is under way */
};

enum stage {
    STAGE_NONE,
    STAGE_LOOK,
    STAGE_DRAIN,
    STAGE_EMPTY,
    STAGE_SHUT,
    STAGE_PUT_BACK,
    STAGE_READY,
    STAGE_UP,
    STAGE_WATCH
};

/* One member's operation; at rest when STAGE_NONE. */
struct task {
    struct balancers *balancers;
    size_t member;
    enum balancer_wish wish;
    enum stage stage;
    struct cell *cells; /* one a front */
    size_t waiting, quiet;
    bool holds_out; /* some balancer may keep traffic away */
    bool is_out;    /* BALANCER_OUT is done: its state is watched */
    bool timed_out, stopped;
    int64_t retry_ends_ms, drain_ends_ms, up_ends_ms;
    struct timer *pause, *deadline;
    char sentence[ERR_MESSAGE_MAX];
    step_done_fn *fn;
    void *context;
};

struct balancers {
    struct fleet *fleet;
    struct lane *lanes;
    size_t count;
    struct task *tasks; /* one a member */
    struct timer *watch;
};

#define LOOK_MS 25000
#define UP_WITHIN_MS 30000
/* an operation's errands in all, without waiting for sessions or for a check */
#define ERRANDS_MS 40000

/* The longest drain_timeout of all. */
int64_t drain_limit_ms(const struct balancers *balancers);
/* Asks every balancer what the stage asks; what comes after follows from the answers. */
void task_begin(struct task *task, enum stage stage);
/* Ends with DONE_OK a moment later. */
void task_end_soon(struct task *task);
/* Ends with a result, or DONE_CANCELLED when it was stopped. */
void task_end(struct task *task, enum done_status status, const char *sentence);
/* Nobody waits for the task's errands any more; what has been sent is carried out. */
void task_forget_errands(struct task *task);
/* At rest, without its callback. */
void task_rest(struct task *task);
/* Looks after the nodes that are out, from a second later on: balancer.c. */
void balancers_watch(struct balancers *balancers);

#endif
