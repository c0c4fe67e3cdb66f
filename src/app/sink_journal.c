#include "app/sink.h"

#include <stdlib.h>

#include "io/files.h"
#include "sink_json.h"

struct journal_sink {
    struct sink sink;
    struct append_file *file;
    struct err err; /* the first that happened */
};

/* What must be on the disk before the next thing happens. */
static bool is_action(enum record_kind kind)
{
    return kind == RECORD_STARTED || kind == RECORD_STATE || kind == RECORD_WAVE ||
           kind == RECORD_PHASE || kind == RECORD_OUTCOME || kind == RECORD_RESULT;
}

static void journal_record(struct sink *sink, const struct record *record)
{
    struct journal_sink *journal = (struct journal_sink *)(void *)sink;
    if (record->kind == RECORD_PROGRESS || journal->err.code)
        return;
    char *line = record_json(record);
    if (!line)
        err_set(&journal->err, ERR_MEMORY, "out of memory");
    else
        append_line(journal->file, line, is_action(record->kind), &journal->err);
    free(line);
}

static void journal_finish(struct sink *sink)
{
    struct journal_sink *journal = (struct journal_sink *)(void *)sink;
    append_close(journal->file);
    free(journal);
}

const struct err *sink_journal_error(const struct sink *sink)
{
    const struct journal_sink *journal = (const struct journal_sink *)(const void *)sink;
    return journal->err.code ? &journal->err : NULL;
}

struct sink *sink_journal_create(const char *path, struct err *err)
{
    struct journal_sink *journal = calloc(1, sizeof *journal);
    if (!journal) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    journal->sink = (struct sink){.record = journal_record, .finish = journal_finish};
    if (append_open(&journal->file, path, err)) {
        free(journal);
        return NULL;
    }
    return &journal->sink;
}
