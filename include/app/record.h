/*
 * What happens, once: every event of a run is one record, and every record passes once through the sinks (live view, lines, JSON, the
 * runner's journal). Nothing else of the program prints progress.
 *
 * A record is borrowed for the call. Texts are already safe to show (text_sanitize) and free of secrets.
 */
#ifndef APP_RECORD_H
#define APP_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "app/judged.h"
#include "base/err.h"

#define JOURNAL_VERSION 1 /* `v` of the lines; a reader refuses a later one */

enum record_kind {
    RECORD_STARTED,  /* a run begins: `roster` holds its nodes and waves; text: what it does */
    RECORD_STATE,    /* the rollout's state changed: `state` */
    RECORD_WAVE,     /* wave, wave_count */
    RECORD_PHASE,    /* node, phase, release */
    RECORD_PROGRESS, /* node, phase, done of total bytes */
    RECORD_PROBE,    /* node, healthy, text: the evidence, e.g. `http 503 in 12ms` */
    RECORD_RETRY,    /* node, phase, text: why, done: delay in ms */
    RECORD_TROUBLE,  /* node, phase, text: what happened and what to try */
    RECORD_OUTPUT,   /* node, phase, text: one line that the node said (stderr, a hook, the unit's journal) */
    RECORD_OUTCOME,  /* node, outcome, release, text: what to do, or NULL */
    RECORD_NOTICE,   /* text: a warning or remark of the run; node may be set */
    RECORD_BREAKER,  /* state: breaker_state_name; node, or phase: the dependency's name; cause; text: both in a sentence */
    RECORD_ANALYSIS, /* what an analysis found: `judged`, wave, text: judged_sentence */
    RECORD_RESULT,   /* result, exit_code, text: the last sentence */
    RECORD_KINDS
};
const char *record_kind_name(enum record_kind kind); /* "started", ... static: the JSON field `event` */

#define NO_WAVE SIZE_MAX
/* The nodes of a run, in the order of the waves. Lives as long as the run. */
struct roster {
    const char *verb, *service, *rollout, *release, *description;
    const char *root; /* the playbook's; NULL: not known */
    const char *const *nodes;
    const char *const *roots; /* of each node; NULL: none is known, as an item too */
    const size_t *waves; /* wave of each node, 0-based, NO_WAVE: outside the run (--limit); NULL when there are none */
    size_t node_count, wave_count;
};

struct record {
    enum record_kind kind;
    int64_t wall_ms;    /* since 1970, UTC */
    int64_t elapsed_ms; /* since the run began */
    const struct roster *roster;
    size_t node;        /* index into the roster; SIZE_MAX: none */
    const char *phase;  /* node_phase_name or a verb's own word; NULL: none */
    const char *state, *outcome, *result, *release, *text;
    const char *cause; /* RECORD_BREAKER: the last error; NULL: none is known */
    size_t wave, wave_count;
    uint64_t done, total;
    bool healthy;
    bool final;         /* RECORD_OUTCOME: the run is over, this is the node's last word */
    int exit_code;
    const struct judged *judged; /* RECORD_ANALYSIS */
};

/* A consumer of records. */
struct sink {
    void (*record)(struct sink *sink, const struct record *record);
    /* The time passes: redraw what moves. May be NULL. */
    void (*tick)(struct sink *sink, int64_t elapsed_ms);
    /* What was recorded is on the disk: 0, or the first error there was. May be NULL. */
    int (*sync)(struct sink *sink, struct err *err);
    /* Nothing waits for the run any more: what was written so far is shown, however long that takes, and so is what comes. `notice`: a
     * RECORD_NOTICE without a text, to be filled when there is something to tell. May be NULL. */
    void (*wait)(struct sink *sink, const struct record *notice);
    /* Ends it: puts the terminal right; frees the sink. */
    void (*finish)(struct sink *sink);
};

#define SINKS_MAX 8
struct sinks {
    struct sink *items[SINKS_MAX];
    size_t count;
};
void sinks_add(struct sinks *sinks, struct sink *sink); /* takes it over; NULL is ignored */
void sinks_record(struct sinks *sinks, const struct record *record);
void sinks_tick(struct sinks *sinks, int64_t elapsed_ms);
/* 0 when all that was recorded is where it stays; else the first error: what happened next would be on no record. */
int sinks_sync(struct sinks *sinks, struct err *err);
void sinks_wait(struct sinks *sinks, const struct record *notice);
void sinks_finish(struct sinks *sinks);

#endif
