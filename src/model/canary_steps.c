#include "model/canary_steps.h"

#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define STEPS_MAX 100
#define BAKE_MAX_MS ((int64_t)7 * 24 * 3600 * 1000)

/* `5m`, `manual`, or one after the other. */
static int read_part(struct canary_step *step, const char *part, struct err *err)
{
    if (strcmp(part, "manual") == 0 && !step->manual) {
        step->manual = true;
        return 0;
    }
    if (step->bake_ms != BAKE_OF_STRATEGY)
        return err_set(err, ERR_INPUT, "'%.100s' is left over; a step is written like 25%%:5m or 25%%:5m:manual",
                       part);
    if (duration_parse(&step->bake_ms, part, err) < 0)
        return err->code;
    return step->bake_ms <= BAKE_MAX_MS
               ? 0
               : err_set(err, ERR_INPUT, "'%.100s' is more than 7d", part);
}

/* Cuts `text`. */
static int read_step(struct canary_step *step, char *text, struct err *err)
{
    struct amount amount;
    char *colon = strchr(text, ':');
    *step = (struct canary_step){.bake_ms = BAKE_OF_STRATEGY};
    if (colon)
        *colon = '\0';
    if (amount_parse(&amount, text_trim(text), err) < 0 || !amount.percent || amount.value == 0)
        return err_set(err, ERR_INPUT, "'%.100s' is not a share from 1%% to 100%%", text_trim(text));
    step->percent = amount.value;
    while (colon) {
        char *part = colon + 1;
        colon = strchr(part, ':');
        if (colon)
            *colon = '\0';
        if (read_part(step, text_trim(part), err) < 0)
            return err->code;
    }
    return 0;
}

int canary_steps_parse(struct canary_steps *out, const char *text, struct arena *arena,
                       struct err *err)
{
    char *at = arena_strdup(arena, text);
    *out = (struct canary_steps){.items = arena_alloc(arena, (STEPS_MAX + 1) * sizeof(*out->items))};
    if (!at || !out->items)
        return err_set(err, ERR_MEMORY, "out of memory");
    while (at) {
        char *comma = strchr(at, ',');
        struct canary_step *step = &out->items[out->count];
        if (comma)
            *comma = '\0';
        if (out->count == STEPS_MAX)
            return err_set(err, ERR_INPUT, "more than %d steps", STEPS_MAX);
        if (read_step(step, at, err) < 0)
            return err->code;
        if (out->count && step->percent <= step[-1].percent)
            return err_set(err, ERR_INPUT, "%u%% comes after %u%%; each step has more than the one before",
                           step->percent, step[-1].percent);
        out->count++;
        at = comma ? comma + 1 : NULL;
    }
    if (out->items[out->count - 1].percent < 100)
        out->items[out->count++] = (struct canary_step){.percent = 100, .bake_ms = BAKE_OF_STRATEGY};
    return 0;
}
