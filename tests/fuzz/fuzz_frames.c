/* Any bytes as a node's replies, whole and in pieces: the same events come out, or the same error. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "node/frames.h"

#define NONCE "0123456789abcdef"
#define READY "deployctl-node 1 " NONCE "\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tally {
    uint64_t hash;
    uint64_t events;
};

static void mix(struct tally *tally, uint32_t id, const char *text)
{
    tally->events++;
    tally->hash = tally->hash * 31 + id;
    for (; *text; text++)
        tally->hash = tally->hash * 31 + (unsigned char)*text;
}

static void on_ready(void *context)
{
    mix(context, 0, "ready");
}

static void on_value(void *context, uint32_t id, const char *key, const char *value)
{
    assert(*key);
    mix(context, id, key);
    mix(context, id, value);
}

static void on_output(void *context, uint32_t id, const char *line)
{
    assert(!strchr(line, '\n'));
    mix(context, id, line);
}

static void on_started(void *context, uint32_t id, uint32_t group)
{
    assert(group > 1);
    mix(context, id, "started");
}

static void on_done(void *context, uint32_t id, enum reply_status status, const char *sentence)
{
    mix(context, id, reply_status_name(status));
    mix(context, id, sentence);
}

static const struct reply_events events = {.ready = on_ready,
                                           .value = on_value,
                                           .output = on_output,
                                           .started = on_started,
                                           .done = on_done};

static int read_all(struct tally *tally, const char *bytes, size_t size, size_t piece)
{
    struct reply_reader reader;
    struct err err = {0};
    reply_reader_init(&reader, NONCE, &events, tally);
    int result = 0;
    if (piece > 1)
        result = reply_reader_feed(&reader, READY, sizeof(READY) - 1, &err);
    else
        for (size_t i = 0; i < sizeof(READY) - 1; i++)
            result = reply_reader_feed(&reader, &READY[i], 1, &err);
    assert(result == 0 && reader.ready);
    for (size_t at = 0; at < size && result == 0; at += piece)
        result = reply_reader_feed(&reader, bytes + at, size - at < piece ? size - at : piece, &err);
    assert(result == 0 || (result == ERR_PROTOCOL && err.message[0]));
    reply_reader_release(&reader);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data;
    struct tally whole = {0};
    struct tally pieces = {0};
    int first = read_all(&whole, bytes, size, size + 2);
    int second = read_all(&pieces, bytes, size, 1);
    assert(first == second);
    assert(whole.hash == pieces.hash && whole.events == pieces.events);
    return 0;
}
