/*
 * The playbook: how one service is deployed. Text in memory becomes a struct in which every default
 * is filled in.
 *
 * Never opens files, never looks at nodes. Keys stand in one table (section, key, kind, offset,
 * bounds); an unknown section or key, a duplicate, a bad value is a fault with file:line and the
 * nearest known name, and all faults come in one run. Strings live in the playbook's arena. A NULL
 * string means "not set".
 */
#ifndef MODEL_PLAYBOOK_H
#define MODEL_PLAYBOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/units.h"
#include "model/analysis.h"
#include "model/canary_steps.h"
#include "model/fault.h"
#include "model/inventory.h"

struct string_list {
    const char **items;
    size_t count;
};

struct service {
    const char *name;  /* text_is_name */
    const char *renamed_from; /* its earlier name; NULL: none */
    const char *hosts; /* an inventory pattern; `all` by default */
    const char *root;  /* absolute, no `..` */
    uint16_t port;     /* 0: none */
    const char *unit;  /* systemd unit; or the commands below */
    const char *start, *stop, *reload;
    bool become;
    struct string_list shared; /* paths below root/shared, linked into each release */
    uint32_t keep;             /* good releases kept; 5 */
    struct string_list pin;    /* never pruned: letters that a release's id, or the commit in it, begins with */
};

enum source_kind { SOURCE_GIT, SOURCE_DIR, SOURCE_ARCHIVE };
struct source {
    enum source_kind kind; /* git by default */
    const char *location;  /* the value of git, dir or archive; `.` by default; relative to the
                            * playbook's  folder's parent when that folder is `playbooks`, else to
                            * the  playbook's folder */
    const char *ref;       /* git only; `HEAD` by default */
    const char *path;      /* git only: a folder of the commit; NULL: all of it */
    uint64_t max_size;     /* bytes of all files, unpacked; 4 GiB */
};

enum strategy_kind { STRATEGY_ROLLING, STRATEGY_BLUE_GREEN, STRATEGY_CANARY };
enum promotion { PROMOTE_AUTO, PROMOTE_MANUAL };
enum baseline_kind { BASELINE_RUNNING, BASELINE_FRESH };
#define KEEP_UNTIL_NEXT (-1)
enum order_kind { ORDER_INVENTORY, ORDER_SORTED, ORDER_REVERSE, ORDER_REPLICAS_FIRST };
struct strategy {
    enum strategy_kind kind;
    struct canary_steps steps; /* canary: 5%:2m, 25%:5m, 50%:5m, 100% */
    struct amount *batch; /* at least one; default 1, 25% */
    size_t batch_count;
    struct amount max_unavailable; /* 25% */
    const char *spread;            /* an inventory variable, e.g. `zone`; NULL: no spreading */
    int64_t bake_ms;               /* 10 s */
    int64_t confirm_ms; /* until a node puts an unconfirmed release back by itself; 0: never */
    enum order_kind order;
    const char *leader; /* a command: whether its node leads; required by replicas-first */
    const char *ready_after;   /* a command: whether a changed node has caught up; NULL: none */
    int64_t ready_deadline_ms; /* 5 min */
    const char *quorum; /* `majority`, a count or a percent; NULL: none */
    enum promotion promote; /* auto; manual: holds for the verb `promote` */
    enum baseline_kind baseline; /* what the new release is compared with, as it runs or restarted for it; fresh for a canary behind a
                                  * balancer that compares and has no steps of a change, else running */
    int64_t keep_old_ms;    /* blue-green: how long the old side runs on; KEEP_UNTIL_NEXT; 15 min */
};

/* One of the two sides of a blue-green service: an instance on every node, or a group of nodes. */
enum { SLOT_BLUE, SLOT_GREEN, SLOTS };
struct slot {
    uint16_t port;                   /* 0: service.port */
    const char *unit, *start, *stop; /* NULL: the service's */
    const char *hosts; /* an inventory pattern: the side is these nodes; NULL: on every node */
    int line;          /* 0: it does not stand in the file */
};
const char *slot_name(size_t slot); /* "blue", "green"; static */

/* How an instance shows which release it is. `text`: the header's name, a template of a text in the body, or a shell command. */
enum identity_kind { IDENTITY_NONE, IDENTITY_HEADER, IDENTITY_BODY, IDENTITY_COMMAND };
struct identity {
    enum identity_kind kind;
    const char *text;
};

enum probe_via { VIA_NODE, VIA_DIRECT };
struct health {
    const char *http; /* a path or a whole URL (`https://{address}:8443/x`); template */
    uint16_t expect_from, expect_to; /* 200-299 */
    const char *body; /* template of an extended regular expression that the body must match; NULL: any */
    struct identity identity; /* what proves that the new instance answers; none: the node's processes do */
    /* `Name: value` sent with the request; templates; key `headers`, by comma */
    struct string_list headers;
    const char *host;    /* Host header / TLS name; NULL: the address */
    bool tls_verify;     /* yes */
    bool tcp;            /* connect to the service's port */
    const char *command; /* run on the node, exit 0 = healthy */
    bool unit; /* the service's unit is active and not restarting; yes when service.unit is set */
    enum probe_via via;              /* node by default */
    uint16_t port;                   /* service.port by default */
    uint32_t rise, fall;             /* 2, 2 */
    int64_t interval_ms, timeout_ms; /* 1 s, 2 s */
    int64_t min_healthy_time_ms,
        healthy_deadline_ms;      /* 5 s, 60 s; min < healthy < progress (Nomad's rule) */
    int64_t progress_deadline_ms; /* 10 min; 0: none */
};

enum unreachable_policy { UNREACHABLE_FAIL, UNREACHABLE_SKIP };
enum failure_action { FAILURE_ROLLBACK, FAILURE_PAUSE, FAILURE_STOP };
struct failure {
    struct amount max_failures; /* 0 */
    enum unreachable_policy unreachable;
    enum failure_action action;
};

struct retry {
    uint32_t attempts;          /* tries of one step in all, 3; only for what is safe to repeat */
    int64_t base_ms;            /* first back-off, 500 ms */
    int64_t max_ms;             /* cap, 30 s */
    uint32_t max_retries;       /* budget of the whole rollout, 100 */
    int64_t connect_timeout_ms; /* 10 s */
    /* 5 min: stage, activate and other steps without a timeout of their own */
    int64_t step_timeout_ms;
    int64_t lease_ms; /* 60 s, at least 10 s: of a node's lock; renewed each 5 s, or four times in it */
};

/* Of each node, and of each thing that a rollout leans on: core/breaker.h. */
struct breaking {
    uint32_t failures; /* errors in a row that open it, 5; 0: never */
    int64_t cool_down_ms; /* 30 s */
};

enum hook_when {
    HOOK_AFTER_STAGE,
    HOOK_BEFORE_DRAIN,
    HOOK_BEFORE_ACTIVATE,
    HOOK_AFTER_ACTIVATE,
    HOOK_AFTER_ENABLE,
    HOOK_BEFORE_ROLLBACK,
    HOOK_AFTER_ROLLBACK,
    HOOK_ON_FAILURE,
    HOOK_BEFORE_SWITCH /* blue-green: the idle side has passed its gate and has no traffic yet */
};
enum hook_on { HOOK_ON_NODE, HOOK_ON_FIRST, HOOK_ON_RUNNER };
struct hook {
    const char *name; /* from [step NAME] */
    enum hook_when when;
    enum hook_on on;     /* node */
    const char *run;     /* a shell command; gets DEPLOYCTL_* as environment; never a template */
    int64_t timeout_ms;  /* 60 s */
    bool ignore_failure; /* no; key `ignore_failure` */
    int line;
};

/* What happens to the fleet's data, once. Same order as enum migration_kind of core/rollout.h. */
enum change_kind { CHANGE_EXPAND, CHANGE_CONTRACT, CHANGE_IRREVERSIBLE };
#define MIGRATIONS_MAX 64
struct migration {
    const char *name; /* from [migration NAME]: what the nodes' records know it by */
    enum change_kind kind; /* expand */
    const char *run;       /* a shell command, like a hook's */
    const char *down;      /* its way back; NULL: there is none; never of an irreversible one */
    const char *backup;    /* runs before; irreversible only; NULL: none */
    const char *on;        /* `first`, or a node of the inventory */
    int64_t timeout_ms;    /* 10 min; of each command */
    int line;
};
const char *change_kind_name(enum change_kind kind); /* "expand", ... static */

enum balancer_kind { BALANCER_HAPROXY, BALANCER_NGINX, BALANCER_COMMAND };
/* SCOPE_FLEET: it sends traffic to every node. SCOPE_NODE: each node has its own, in front of its own two slots. */
enum balancer_scope { SCOPE_FLEET, SCOPE_NODE };
enum balancer_on { BALANCER_ON_NODES, BALANCER_ON_RUNNER };
/* A server that comes in gets so much of its weight for so long. */
struct warmup_step {
    uint32_t weight; /* per mille */
    int64_t hold_ms;
};
struct balancer {
    const char *name; /* from [balancer NAME] */
    enum balancer_kind kind;
    enum balancer_scope scope;
    enum balancer_on on;      /* where its commands run; BALANCER_COMMAND only */
    const char *nodes;        /* an inventory pattern: where it runs; required, NULL with SCOPE_NODE or on the runner */
    const char *backend;      /* HAProxy's name of the servers' group; required */
    const char *socket;       /* `address:port` of its Runtime API, as its own node reaches it, or a path */
    const char *host;         /* of `socket`, without brackets; NULL: it is a path */
    uint16_t port;            /* of `socket` */
    const char *server;       /* template: how it calls a node; `{node}` by default */
    int64_t drain_timeout_ms; /* 30 s */
    struct warmup_step *warmup;
    size_t warmup_count;
    bool become;
    const char *upstream_file, *upstream, *test, *reload, *pid_file; /* nginx; with SCOPE_NODE the files are templates */
    const char *drain, *ready, *weight, *state;             /* command */
    int64_t timeout_ms;                                     /* of one such command; 10 s */
    int line;
};

/* How an etcd cluster is reached. The password itself never stands in a playbook. */
struct etcd_access {
    struct string_list urls; /* key `etcd`: http:// or https://, tried in turn; none: no etcd */
    const char *user;        /* NULL: without */
    const char *password_env, *password_file; /* one of them with a user */
    const char *ca, *certificate, *key;       /* PEM files on the runner; NULL: the system's, none */
    int64_t timeout_ms;      /* of one request, all endpoints together; 5 s */
};

/* A lock of the whole service beside the nodes' own, for runners that share no node. */
struct service_lock_settings {
    struct etcd_access etcd; /* no urls: there is no such lock */
    const char *prefix;      /* the key is PREFIX/SERVICE */
    int64_t ttl_ms;          /* the lease's */
};

/* Where other services read what serves where. */
enum discovery_kind { DISCOVERY_FILE_SD, DISCOVERY_ETCD, DISCOVERY_HOSTS, DISCOVERY_COMMAND };
enum discovery_on { DISCOVERY_ON_NODES, DISCOVERY_ON_RUNNER };
enum discovery_error { DISCOVERY_STOP, DISCOVERY_WARN };
struct discovery {
    const char *name; /* from [discovery NAME] */
    enum discovery_kind kind;
    const char *nodes;    /* an inventory pattern: where the file is, or the commands run */
    enum discovery_on on; /* nodes when `nodes` is given */
    const char *file;     /* absolute; file_sd and hosts */
    bool become;
    const char *target;   /* template: the address that others use; `{address}:{port}` */
    const char *line;     /* template; hosts; NULL: the target */
    const char *value;    /* template; etcd; NULL: a JSON object */
    const char *add, *remove, *list; /* commands */
    const char *prefix;   /* etcd: the key is PREFIX/SERVICE/NODE */
    int64_t lease_ms;     /* etcd: how long a key stands unless it is renewed; 0: for good */
    struct etcd_access etcd; /* its timeout_ms is that of every type */
    int64_t drain_wait_ms; /* how long others get to notice that a node has gone */
    enum discovery_error on_error;
    int line_number;
};
const char *discovery_kind_name(enum discovery_kind kind); /* "file_sd", ... static */

/* What another service's discovery says, as {discover.NAME}. */
#define DISCOVERS_MAX 32
struct discover {
    const char *name; /* from [discover NAME] */
    const char *file; /* on the runner: file_sd JSON or a hosts file */
    struct etcd_access etcd;
    const char *prefix;
    const char *service; /* NULL: the section's name */
    const char *separator;
    bool needed;       /* nothing found is an error */
    int line_number;
    const char *value; /* filled in by app/discover.h; NULL before */
};

/* Where a key stands that was given. */
struct playbook_place {
    const char *section; /* `health`, `step migrate` */
    const char *key;
    int line; /* 0: by an override */
};

struct playbook {
    struct arena arena;
    const char *file; /* as the user named it; for messages */
    struct service service;
    struct source source;
    struct strategy strategy;
    struct health health;
    struct failure failure;
    struct retry retry;
    struct service_lock_settings lock;
    struct breaking breaker;
    struct hook *hooks; /* file order */
    size_t hook_count;
    struct migration *migrations; /* file order; at most MIGRATIONS_MAX */
    size_t migration_count;
    struct balancer *balancers; /* file order */
    size_t balancer_count;
    struct slot slots[SLOTS];
    struct discovery *discoveries; /* file order */
    size_t discovery_count;
    struct discover *discovers; /* file order */
    size_t discover_count;
    struct analysis *analyses; /* file order; at most ANALYSES_MAX */
    size_t analysis_count;
    struct playbook_place *places; /* every key that was given */
    size_t place_count;
};

/* One `--set section.key=value`; applied after the file by the same table, the last of a key wins;
 * its faults have the file `--set` and line 0. The section of a hook is `step NAME`, of a slot
 * `slot blue`, of a
 * migration `migration NAME`, of a balancer `balancer NAME`, and must stand in the file. */
struct playbook_override {
    const char *section, *key, *value;
};

/* Parses; returns ERR_INPUT when there was any fault. Release always. Template names are checked
 * against `inventory` when it is not NULL (any node's variable, or a built-in name);
 * `service.hosts` is resolved by the caller. */
int playbook_parse(struct playbook *out, const char *file, const char *text, size_t length,
                   const struct playbook_override *overrides, size_t override_count,
                   const struct inventory *inventory, struct faults *faults, struct err *err);
void playbook_release(struct playbook *playbook);

/* Line of a key that stood in the file, 0 when it did not: for messages of later checks. A hook's
 * section is `step NAME`. */
int playbook_line(const struct playbook *playbook, const char *section, const char *key);

/* Both slots on each node, or a group of nodes for each; a playbook without slots is neither. */
bool playbook_has_slots(const struct playbook *playbook);
bool playbook_has_sides(const struct playbook *playbook);

/* Adds a fault for each reason why the gate cannot tell the old process from the new one, or why a failed release might go on running. */
void playbook_doubts(const struct playbook *playbook, struct faults *out);

/* Whether a key was given, in the file or by an override. */
bool playbook_has(const struct playbook *playbook, const char *section, const char *key);

const char *hook_when_name(enum hook_when when); /* "after_stage", ... static */

#endif
