/*
 * The steps of a canary as a playbook writes them: `5%:2m, 25%:5m:manual, 50%, 100%`. Text in
 * memory becomes steps; which nodes they mean is core/waves.h's.
 */
#ifndef MODEL_CANARY_STEPS_H
#define MODEL_CANARY_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

#define BAKE_OF_STRATEGY (-1)
struct canary_step {
    uint32_t percent; /* of the fleet that runs the new release, 1 to 100 */
    int64_t bake_ms;  /* BAKE_OF_STRATEGY: none was written */
    bool manual;      /* held at its end, whatever `promote` says */
};

struct canary_steps {
    struct canary_step *items; /* percents grow; the last one is 100, added when it was not written */
    size_t count;
};

/* The steps live in the arena. ERR_INPUT with a sentence that names the step at fault. */
int canary_steps_parse(struct canary_steps *out, const char *text, struct arena *arena,
                       struct err *err);

#endif
