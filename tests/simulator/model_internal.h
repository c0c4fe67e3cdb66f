/* What model.c, model_steps.c and model_facts.c share. Nobody else includes this. */
#ifndef SIMULATOR_MODEL_INTERNAL_H
#define SIMULATOR_MODEL_INTERNAL_H

#include <stdarg.h>

#include "model.h"

struct model_session {
    struct model_session *next;
    struct model_node *node;
    uint64_t connection;
    uint32_t boot;
    model_out_fn *out; /* NULL: nobody listens */
    void *context;
    bool opened;
    char service[MODEL_NAME];
    struct model_step *busy;
    bool settling;
};

/* --- replies --- */
void session_text(struct model_session *session, const struct model_request *request, const char *key, const char *value);
/* What steps have said: lines as `= KEY VALUE`. */
void session_lines(struct model_session *session, const struct model_request *request, const struct strbuf *lines);
void session_value(struct model_session *session, const struct model_request *request, const char *key, const char *format,
                   ...) __attribute__((format(printf, 4, 5)));
void session_reply(struct model_session *session, const struct model_request *request, const char *status,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Runs on the node: later when it is frozen, never when it has crashed since. */
void node_after(struct model_node *node, int64_t delay_ms, timer_fn *fn, void *context);
int64_t node_epoch(const struct model_node *node);
void node_happened(struct model_node *node, enum model_event event, const struct model_step *step);
void node_journal(struct model_node *node, uint64_t generation, const char *rollout, const char *step, const char *mark,
                  const char *release, const char *status, const char *sentence);

enum lock_state { LOCK_FREE, LOCK_HELD, LOCK_EXPIRED };
enum lock_state lock_state(const struct model_node *node);
int64_t lock_age_s(const struct model_node *node); /* since its last renewal, or the boot */
bool fence_holds(const struct model_node *node, uint64_t generation);
/* A step of this generation and epoch may change something. */
bool may_act(const struct model_node *node, uint64_t generation, uint64_t epoch);
uint64_t request_number(const struct model_request *request, const char *key);
/* Replies and returns false unless the request's fence holds. */
bool check_fence(struct model_session *session, const struct model_request *request);
void describe_holder(struct model_session *session, const struct model_request *request);
bool is_busy(struct model_session *session, const struct model_request *request);

/* --- the record of the last step --- */
enum record_state { RECORD_NONE, RECORD_RUNNING, RECORD_LOST, RECORD_ENDED };
enum record_state record_state(struct model_node *node);
struct model_step *step_of_record(struct model_node *node);
void step_launch(struct model_session *session, const struct model_request *request, bool recorded, bool plain,
                 int64_t limit_ms);
void step_go_on(struct model_step *step);
void step_cancel(struct model_session *session, const struct model_request *request);
void settle_start(struct model_session *session, const struct model_request *request);
bool answer_from_record(struct model_session *session, const struct model_request *request);

/* --- releases --- */
bool release_complete(const struct model_release *release);
bool current_committed(struct model_node *node);
struct model_release *find_previous(struct model_node *node);
void step_commit(struct model_step *step);
void step_retract(struct model_step *step);
void step_verify(struct model_step *step);
void lead_facts(struct model_step *step);
/* The values of the facts as lines `= KEY VALUE`: of a step, and of a settle that asks for them. */
void say_facts(struct model_node *node, struct strbuf *out);
void lines_text(struct strbuf *out, const char *key, const char *value);
void lines_value(struct strbuf *out, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
void lines_value_va(struct strbuf *out, const char *key, const char *format, va_list arguments);
void step_text(struct model_step *step, const char *key, const char *value);
void step_value(struct model_step *step, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
void step_said(struct model_step *step, const char *status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- slots --- */
/* NULL: the request is about none. */
struct model_slot *slot_of(struct model_node *node, const struct model_request *request);
size_t slot_index(const struct model_node *node, const struct model_slot *slot);
void lead_activate_slot(struct model_step *step, struct model_slot *slot);
void lead_stop_slot(struct model_step *step, struct model_slot *slot);
void lead_keep_old(struct model_step *step, struct model_slot *slot);
bool slot_commits(struct model_step *step, struct model_slot *slot);
void slot_note_before(struct model_step *step, struct model_before *before);
void slot_retracts(struct model_node *node, const struct model_before *before);
void slot_forget_keep(struct model_node *node);
void say_slots(struct model_node *node, struct strbuf *out);

/* --- migrations --- */
struct model_migration *find_migration(struct model_node *node, const char *name);
const char *migration_state_on(struct model_node *node, const struct model_migration *migration);
void write_migration(struct model_node *node, const char *name, const char *release, const char *kind, const char *state);

/* --- the confirm timer --- */
bool timer_arm(struct model_step *step);
void timer_disarm(struct model_node *node);
bool timer_is_reverting(const struct model_node *node);
void timer_confirm(struct model_session *session, const struct model_request *request);

#endif
