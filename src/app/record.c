#include "app/record.h"

const char *record_kind_name(enum record_kind kind)
{
    static const char *const names[RECORD_KINDS] = {
        [RECORD_STARTED] = "started", [RECORD_STATE] = "state",       [RECORD_WAVE] = "wave",
        [RECORD_PHASE] = "phase",     [RECORD_PROGRESS] = "progress", [RECORD_PROBE] = "probe",
        [RECORD_RETRY] = "retry",     [RECORD_TROUBLE] = "trouble",   [RECORD_OUTPUT] = "output",
        [RECORD_OUTCOME] = "outcome", [RECORD_NOTICE] = "notice",     [RECORD_RESULT] = "result",
        [RECORD_BREAKER] = "breaker",
        [RECORD_ANALYSIS] = "analysis",
    };
    return (size_t)kind < RECORD_KINDS ? names[kind] : "unknown";
}

void sinks_add(struct sinks *sinks, struct sink *sink)
{
    if (!sink)
        return;
    if (sinks->count < SINKS_MAX)
        sinks->items[sinks->count++] = sink;
    else
        sink->finish(sink);
}

void sinks_record(struct sinks *sinks, const struct record *record)
{
    for (size_t i = 0; i < sinks->count; i++)
        sinks->items[i]->record(sinks->items[i], record);
}

void sinks_tick(struct sinks *sinks, int64_t elapsed_ms)
{
    for (size_t i = 0; i < sinks->count; i++)
        if (sinks->items[i]->tick)
            sinks->items[i]->tick(sinks->items[i], elapsed_ms);
}

int sinks_sync(struct sinks *sinks, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < sinks->count && rc == 0; i++)
        if (sinks->items[i]->sync)
            rc = sinks->items[i]->sync(sinks->items[i], err);
    return rc;
}

void sinks_wait(struct sinks *sinks, const struct record *notice)
{
    for (size_t i = 0; i < sinks->count; i++)
        if (sinks->items[i]->wait)
            sinks->items[i]->wait(sinks->items[i], notice);
}

void sinks_finish(struct sinks *sinks)
{
    for (size_t i = 0; i < sinks->count; i++)
        sinks->items[i]->finish(sinks->items[i]);
    sinks->count = 0;
}
