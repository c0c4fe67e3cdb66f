/*
 * An ssh-agent's replies (draft-miller-ssh-agent, section 3) as bytes. Never reads a socket. What they hold is borrowed from the
 * bytes; the comments of keys are foreign.
 */
#ifndef IO_AGENT_REPLY_H
#define IO_AGENT_REPLY_H

#include <stddef.h>

#include "io/agent.h"
#include "ssh_wire.h"

#define AGENT_MESSAGE_MAX (256 * 1024)

enum agent_reply { AGENT_REPLY_UNFINISHED, AGENT_REPLY_WHOLE, AGENT_REPLY_IMPOSSIBLE /* its length is none */ };
enum agent_reply agent_reply_state(const char *bytes, size_t length);

struct agent_keys {
    struct agent_key keys[AGENT_KEYS_MAX];
    char *comments[AGENT_KEYS_MAX];
    size_t count;
};
/* Both of a whole reply: 0; -1: it is malformed; 1: it is no such reply, the agent refuses. */
int agent_reply_keys(struct agent_keys *out, const char *bytes, size_t length); /* always agent_keys_release */
int agent_reply_signature(struct wire_string *out, const char *bytes, size_t length);
void agent_keys_release(struct agent_keys *keys);

#endif
