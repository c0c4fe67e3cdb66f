/* What the discoveries' files share: places, changes, and what each type does there. Nobody else includes this. */
#ifndef DISCOVERY_INTERNAL_H
#define DISCOVERY_INTERNAL_H

#include "app/dependency.h"
#include "app/discovery.h"
#include "app/etcd.h"
#include "io/digest.h"
#include "io/loop.h"

/* What stands at a place: this service's nodes, and what else is there and stays. */
struct said {
    char *node, *text;
    int64_t lease; /* etcd's; 0: none */
};
struct announced {
    struct said *items;
    size_t count;
    char *head, *tail; /* what is not ours, before and behind it; NULL: nothing */
    bool unknown;      /* cannot be read */
};
void announced_release(struct announced *announced);
/* A node that is not in the list yet, at its end. Copies both; -1 when out of memory. */
int announced_append(struct announced *announced, const char *node, const char *text);
/* The same; one that is in the list gets the new text, in its place. */
int announced_add(struct announced *announced, const char *node, const char *text);
void announced_remove(struct announced *announced, const char *node);
const char *announced_find(const struct announced *announced, const char *node);
/* Of what is announced; NULL when it is not. */
struct said *announced_item(const struct announced *announced, const char *node);

/* --- discovery_text.c: files as text, pure --- */

/* A node's program gives back 256 KiB of output at most, and base64 takes a third more than its bytes. */
#define DISCOVERY_FILE_MAX ((size_t)180 << 10)

/* ERR_PROTOCOL: it is no such file; then nothing is written over it. */
int file_sd_parse(struct announced *out, const char *text, size_t length, const char *service, struct err *err);
int hosts_parse(struct announced *out, const char *text, size_t length, const char *service, struct err *err);
void file_sd_write(struct strbuf *out, const struct announced *announced, const char *service);
void hosts_write(struct strbuf *out, const struct announced *announced, const char *service);
/* What a discovery says of a node; malloc'ed, or NULL with `err`. */
char *discovery_text(const struct discovery *discovery, const struct member *member, const struct node_words *words,
                     struct err *err);

/* What a node sends of a file: `absent`, or its bytes in base64, their number and their digest ("-": absent). ERR_PROTOCOL, ERR_UNSUPPORTED:
 * larger than DISCOVERY_FILE_MAX. */
int file_reply_parse(struct strbuf *content, char digest[SHA256_HEX], const char *output, const char *file, struct err *err);
/* A command's list: one node a line. */
int list_parse(struct announced *out, const char *output);

/* --- discovery_keys.c: etcd's keys, pure --- */

#define ETCD_KEYS_MAX 20000 /* of one service: what is looked through for each node */
/* The keys below `prefix` in the answer to a range, with their leases; a value that is no text is an empty one. ERR_PROTOCOL: more than
 * ETCD_KEYS_MAX. */
int etcd_keys_parse(struct announced *out, const json_t *answer, const char *prefix, struct err *err);
/* Whether this service has written this value for this node. */
bool etcd_value_is_of(const char *text, const char *service, const char *node);

/* --- changes and places: discovery_place.c --- */

/* WISH_RENEW: what stands there goes on to stand; what does not, stays away. */
enum change_wish { WISH_LOOK, WISH_RENEW, WISH_ADD, WISH_REMOVE };
struct change {
    struct change *next;
    size_t member;
    enum change_wish wish;
    char *text;           /* WISH_ADD */
    int64_t lease;        /* WISH_ADD: its key's, when there is to be one */
    bool renewed;         /* WISH_RENEW */
    char *release, *slot; /* for commands' environment */
    struct part *part;    /* who waits; NULL: nobody */
};

struct place;
struct discovery_type {
    void (*read)(struct place *place);  /* ends with place_was_read */
    void (*write)(struct place *place); /* applies the batch; ends with place_was_written */
    void (*stop)(struct place *place);  /* forgets what is under way */
};
extern const struct discovery_type discovery_file_type, discovery_etcd_type, discovery_command_type;

enum place_stage { PLACE_IDLE, PLACE_READ, PLACE_WRITE, PLACE_CHECK };
struct place {
    struct discoveries *discoveries;
    const struct discovery *discovery;
    const struct discovery_type *type;
    const struct node *node; /* NULL: the runner, or etcd */
    struct service folder;   /* for become */
    struct session *session;
    struct etcd *etcd;
    struct etcd_call *call;
    struct child *child;
    uint32_t request;
    struct timer *soon, *beat; /* beat: of its leases */
    struct change *queue, *batch, *owed;
    struct change *at; /* whose command or lease is under way */
    enum place_stage stage;
    struct announced said;
    bool known;             /* `said` was read in this run */
    struct strbuf content;  /* a file on its way */
    size_t sent;            /* of it, or of etcd's operations */
    char digest[SHA256_HEX]; /* of the file as it was read; "-" when there was none */
    char tag[24];
    int64_t ends_ms; /* of the tries of a round */
    uint32_t tries;  /* that failed in it */
    struct dependency *guard; /* its breaker */
    struct err error; /* the last failure; code 0: none */
    bool told, releasing;
};

/* What names a place to people. */
void place_name(const struct place *place, char out[200]);
/* Takes over the change. */
void place_send(struct place *place, struct change *change);
void place_forget(struct place *place, const struct part *part);
bool place_is_idle(const struct place *place);
void place_release(struct place *place);
/* Before each request of a write that changes something: whether the leases of all nodes that the batch is about hold now (app/lease.h).
 * False: the write is over, and the round begins anew. */
bool place_may_write(struct place *place);
/* `err` NULL: `said` is what stands there. */
void place_was_read(struct place *place, const struct err *err);
void place_was_written(struct place *place, const struct err *err);
/* Whether what stands there is what the change wants. */
bool change_is_done(const struct place *place, const struct change *change);
/* Whether the service has such a node, whatever the limit. */
bool place_has_host(const struct place *place, const char *node);
/* The batch, and the service's nodes that are no more, applied to `said`. */
int place_apply(struct place *place);

/* --- one member's operation over all places: discovery.c --- */

struct part {
    struct task_of_discovery *task;
    bool waiting, withdrew;
    char *before; /* what was announced before the last OUT */
};
/* To whoever listens to notices. */
void discoveries_tell(struct discoveries *discoveries, const char *format, ...) __attribute__((format(printf, 2, 3)));
void part_done(struct part *part, const struct place *place, const struct err *error);

struct task_of_discovery {
    struct discoveries *discoveries;
    size_t member, waiting;
    enum discovery_wish wish;
    struct part *parts; /* one a place */
    struct timer *pause;
    struct err error;
    step_done_fn *fn;
    void *context;
};

/* A switch of sides under way. */
struct discovery_shift {
    size_t waiting;
    struct err error;
    step_done_fn *fn;
    void *context;
};

struct discoveries {
    struct fleet *fleet;
    struct discovery_shift shift;
    const char **hosts; /* names of all nodes that have the service, whatever the limit */
    size_t host_count;
    struct place *places;
    size_t count;
    struct task_of_discovery *tasks; /* one a member */
    void (*notice)(void *context, const char *text);
    void *notice_context;
    bool flushing;
};

#endif
