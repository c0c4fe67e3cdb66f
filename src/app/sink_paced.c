/* A sink whose reader may be slow: what can be left out is left out while the reader is behind. */
#include <inttypes.h>
#include <stdlib.h>

#include "app/sink.h"
#include "base/strbuf.h"

struct paced {
    struct sink sink;
    struct sink *inner;
    struct output *output;
    size_t left_out; /* records */
    bool waits;
};

static bool can_be_left_out(const struct record *record)
{
    return record->kind == RECORD_PROGRESS || record->kind == RECORD_PROBE;
}

static void paced_record(struct sink *sink, const struct record *record)
{
    struct paced *paced = (struct paced *)(void *)sink;
    if (!paced->waits && can_be_left_out(record) && output_is_behind(paced->output))
        paced->left_out++;
    else
        paced->inner->record(paced->inner, record);
}

static void paced_tick(struct sink *sink, int64_t elapsed_ms)
{
    struct paced *paced = (struct paced *)(void *)sink;
    if (paced->inner->tick && !output_is_behind(paced->output))
        paced->inner->tick(paced->inner, elapsed_ms);
}

static void paced_wait(struct sink *sink, const struct record *notice)
{
    struct paced *paced = (struct paced *)(void *)sink;
    struct record record = *notice;
    char text[240];
    output_wait(paced->output);
    paced->waits = true;
    size_t dropped = output_dropped(paced->output);
    if (!dropped && !paced->left_out)
        return;
    snprintf(text, sizeof(text),
             "the output was not read fast enough: %zu reports of progress and probes were left out, and %zu bytes of lines dropped; "
             "the journal on this machine has all of it",
             paced->left_out, dropped);
    record.text = text;
    paced->inner->record(paced->inner, &record);
}

static void paced_finish(struct sink *sink)
{
    struct paced *paced = (struct paced *)(void *)sink;
    paced->inner->finish(paced->inner);
    free(paced);
}

struct sink *sink_paced_create(struct sink *inner, struct output *output)
{
    struct paced *paced = inner ? calloc(1, sizeof(*paced)) : NULL;
    if (!paced)
        return inner;
    paced->sink = (struct sink){.record = paced_record, .tick = paced_tick, .wait = paced_wait, .finish = paced_finish};
    paced->inner = inner;
    paced->output = output;
    return &paced->sink;
}
