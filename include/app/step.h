/*
 * How a step ended, as the engine tells the machine and the sinks; and what the node's replies mean
 * in those terms.
 */
#ifndef APP_STEP_H
#define APP_STEP_H

#include <stdbool.h>

#include "app/session.h"
#include "core/rollout.h"

/* Borrowed until the callback returns. */
struct step_result {
    enum done_status status;
    bool retryable;       /* DONE_FAILED: another try may help */
    bool leads;           /* of who leads: this node does */
    bool hopeless;        /* DONE_UNREACHABLE: another try cannot help; a probe: it will not recover */
    const char *sentence; /* why, safe to show; "" when it is done */
    const char *output;   /* what the node's command said, lines; "" */
};
typedef void step_done_fn(void *context, const struct step_result *result);

struct step_result step_from_reply(const struct reply *reply);
struct step_result step_from_error(const struct err *error);

#endif
