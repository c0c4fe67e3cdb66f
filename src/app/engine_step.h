/*
 * What the carriers of steps share: ends, requests, and the carriers themselves, by subject. engine_steps.c holds the table. Nobody else
 * includes this.
 */
#ifndef ENGINE_STEP_H
#define ENGINE_STEP_H

#include "app/balancer.h"
#include "app/fallback.h"
#include "engine_internal.h"

#define QUICK_TIMEOUT_MS 25000
#define KILL_GRACE_MS 15000 /* the node's program: TERM, 3 s, KILL, waits up to 10 s */

/* engine_request.c: asking the node, and what an end means */
void step_end(struct worker *worker, enum done_status status, const char *sentence);
void step_end_error(struct worker *worker, const struct err *error);
/* Lines that a node's command said, as records. */
void step_output(struct worker *worker, const char *output);
/* Ends the worker's action by a result or a reply; late ones are ignored. */
void step_ended(void *context, const struct step_result *result);
void step_replied(void *context, const struct reply *reply);
/* What became of a step; `sentence` is room for why, when the reply does not say it. */
struct step_result step_judge(const struct worker *worker, const struct reply *reply, char sentence[SENTENCE_MAX]);
/* For node_environment: into the request under construction. */
void step_env(void *context, const char *name, const char *value);
/* Begins a request that changes something: fenced, and with a token by which the node knows a repeated one. */
struct session *step_begin_change(struct worker *worker, const char *verb);
/* The same for a second request of one action: `key` makes its token another. */
struct session *step_begin_keyed(struct worker *worker, const char *verb, const char *key);
void step_submit(struct worker *worker, int64_t timeout_ms, reply_fn *fn);
/* Asks the node to compare a release with its manifest. */
void step_look_into(struct worker *worker, const char *release, reply_fn *fn);
/* The release that an action is about: the target, what the node ran before us, or what it runs. NULL: none. */
const char *step_release_of(const struct worker *worker, const struct action *action);

/* engine_setup.c: connect, preflight, lock */
void carry_connect(struct worker *worker);
void carry_preflight(struct worker *worker);
void carry_lock(struct worker *worker);
/* Before the lock is given back: a renewal that came after it would take the end for a loss. */
void step_stop_heartbeat(struct worker *worker);

/* Asks the node to renew its lease, unless that is under way. False: it cannot be asked. */
bool step_renew(struct worker *worker);

/* engine_lease.c */
/* `then` comes when the lease of the worker's node, or of the run for the runner's own, holds; else the step fails. */
void step_with_lease(struct worker *worker, void (*then)(struct worker *worker));
void step_forget_lease(struct worker *worker);
/* Of an operation outside the node that failed: a node whose lease ran out and that is not connected is to be connected again first. */
struct step_result step_outside(const struct worker *worker, const struct step_result *result);

/* engine_stateful.c */
void carry_leader(struct worker *worker);
void carry_ready(struct worker *worker);

/* engine_balance.c */
void step_ask_balancers(struct worker *worker, enum balancer_wish wish, step_done_fn *fn);
void step_balancers_looked(void *context, const struct step_result *result);
void step_drain_balancers(struct worker *worker);
void step_enable_balancers(struct worker *worker);

/* engine_discovery.c: what others are told, around what the balancers do */
void step_look_outside(struct worker *worker);
void carry_drain(struct worker *worker);
void carry_enable(struct worker *worker);
void carry_release(struct worker *worker);
void step_announce(struct worker *worker);
/* After a shift by the engine's goals; ends the step. */
void step_announce_sides(struct worker *worker, size_t count);
void step_announce_again(struct worker *worker);
void step_cancel_discovery(struct worker *worker);

/* engine_steps.c: notes the result on the node and gives its lock back */
void step_give_back(struct worker *worker);

/* engine_judge.c */
void carry_judge(struct worker *worker);

/* engine_switch.c: the sides of a blue-green service */
void carry_shift(struct worker *worker);
/* The idle instance gets no traffic while it changes: `then` comes when that is sure. */
void switch_prepare(struct worker *worker, void (*then)(struct worker *worker));
void switch_stop_preparing(struct worker *worker);
/* The slot of an instance that a request is about; NULL: the node has no slots. */
const char *switch_slot(const struct worker *worker);
/* What the probe at hand is about. */
struct prober *switch_prober(struct worker *worker);
/* In an abort that takes commits back: what was live before runs on, whatever timer would end it, or runs again. False: there is nothing to do,
 * and no answer comes. */
bool switch_keep_live(struct worker *worker);
/* What is no longer live is stopped later: asks for that, then goes on with `then`. */
void switch_keep_old(struct worker *worker, void (*then)(struct worker *worker));
/* What an earlier run has activated here; `current` without slots. */
const char *switch_begun(const struct worker *worker, const char *current);
/* What a node in preflight must say to be what the run was planned by. */
int switch_check(const struct worker *worker, struct err *err);

/* engine_share.c: a canary's share of the traffic, by weights */
void share_shift(struct worker *worker);
/* Nobody is taken out while others have less than their ordinary weight: `then` comes when they have it; else the worker's
 * `failed`. */
void share_prepare(struct worker *worker, void (*then)(struct worker *worker));
void share_put_in(struct worker *worker, step_done_fn *fn);

/* engine_hooks.c: commands of the playbook, on nodes and on the runner */
void carry_hook(struct worker *worker);
void carry_backup(struct worker *worker);
void carry_migrate(struct worker *worker);
void step_add_migrations(struct worker *worker, struct session *session);

#endif
