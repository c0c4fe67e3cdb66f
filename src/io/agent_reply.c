#include "agent_reply.h"

#include <stdlib.h>
#include <string.h>

enum { IDENTITIES_ANSWER = 12, SIGN_RESPONSE = 14 };

enum agent_reply agent_reply_state(const char *bytes, size_t length)
{
    struct wire wire;
    wire_init(&wire, bytes, length);
    uint32_t announced = wire_u32(&wire);
    if (wire.bad) {
        return AGENT_REPLY_UNFINISHED;
    }
    if (announced == 0 || announced > AGENT_MESSAGE_MAX - 4) {
        return AGENT_REPLY_IMPOSSIBLE;
    }
    return wire.left >= announced ? AGENT_REPLY_WHOLE : AGENT_REPLY_UNFINISHED;
}

static bool begins(struct wire *wire, const char *bytes, size_t length, uint8_t kind)
{
    wire_init(wire, bytes, length);
    wire_u32(wire);
    return wire_byte(wire) == kind;
}

int agent_reply_keys(struct agent_keys *out, const char *bytes, size_t length)
{
    struct wire wire;
    out->count = 0;
    if (!begins(&wire, bytes, length, IDENTITIES_ANSWER)) {
        return 1;
    }
    uint32_t count = wire_u32(&wire);
    while (out->count < count && out->count < AGENT_KEYS_MAX) {
        struct wire_string blob = wire_string(&wire);
        struct wire_string comment = wire_string(&wire);
        if (wire.bad) {
            break;
        }
        char *copy = strndup((const char *)comment.bytes, comment.length);
        out->comments[out->count] = copy;
        out->keys[out->count++] = (struct agent_key){
            .blob = blob.bytes, .blob_length = blob.length, .comment = copy != NULL ? copy : ""};
    }
    return wire.bad ? -1 : 0;
}

int agent_reply_signature(struct wire_string *out, const char *bytes, size_t length)
{
    struct wire wire;
    if (!begins(&wire, bytes, length, SIGN_RESPONSE)) {
        return 1;
    }
    *out = wire_string(&wire);
    return wire.bad ? -1 : 0;
}

void agent_keys_release(struct agent_keys *keys)
{
    while (keys->count > 0) {
        free(keys->comments[--keys->count]);
    }
}
