#include "app/sink.h"

#include <stdlib.h>

#include "io/files.h"
#include "sink_json.h"

struct journal_sink {
    struct sink sink;
    struct append_file *file;
    struct strbuf line;
    bool dirty;     /* something was written since the last sync */
    struct err err; /* the first that happened */
};

static void journal_record(struct sink *sink, const struct record *record)
{
    struct journal_sink *journal = (struct journal_sink *)(void *)sink;
    if (record->kind == RECORD_PROGRESS || journal->err.code)
        return;
    if (!record_json(&journal->line, record))
        err_set(&journal->err, ERR_MEMORY, "out of memory");
    else
        append_line(journal->file, journal->line.text, 0, &journal->err);
    journal->dirty = true;
}

static int journal_sync(struct sink *sink, struct err *err)
{
    struct journal_sink *journal = (struct journal_sink *)(void *)sink;
    if (journal->dirty && !journal->err.code)
        append_sync(journal->file, &journal->err);
    journal->dirty = false;
    if (journal->err.code)
        *err = journal->err;
    return journal->err.code;
}

static void journal_finish(struct sink *sink)
{
    struct journal_sink *journal = (struct journal_sink *)(void *)sink;
    struct err ignored;
    journal_sync(sink, &ignored);
    append_close(journal->file);
    strbuf_release(&journal->line);
    free(journal);
}

struct sink *sink_journal_create(const char *path, struct err *err)
{
    struct journal_sink *journal = calloc(1, sizeof *journal);
    if (!journal) {
        err_set(err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    journal->sink = (struct sink){.record = journal_record, .sync = journal_sync, .finish = journal_finish};
    record_line_init(&journal->line);
    if (append_open(&journal->file, path, err)) {
        free(journal);
        return NULL;
    }
    return &journal->sink;
}
