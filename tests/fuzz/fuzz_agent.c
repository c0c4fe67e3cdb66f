/* Any bytes as an ssh-agent's reply: its keys and its signature lie within it. */
#include <assert.h>

#include "../../src/io/agent_reply.h"
#include "../../src/io/ssh_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(const uint8_t *data, size_t size, const unsigned char *bytes, size_t length)
{
    assert(length == 0 || (bytes >= data && length <= size && bytes + length <= data + size));
}

static void check_keys(const uint8_t *data, size_t size)
{
    struct agent_keys keys;
    int rc = agent_reply_keys(&keys, (const char *)data, size);
    assert(rc >= -1 && rc <= 1 && keys.count <= AGENT_KEYS_MAX);
    for (size_t i = 0; i < keys.count; i++) {
        struct ssh_key *key;
        struct err err = {0};
        check_inside(data, size, keys.keys[i].blob, keys.keys[i].blob_length);
        assert(ssh_key_from_blob(&key, keys.keys[i].comment, keys.keys[i].blob, keys.keys[i].blob_length, &err) == 0 ||
               (key == NULL && err.message[0]));
        ssh_key_drop(key);
    }
    agent_keys_release(&keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_string signature;
    agent_reply_state((const char *)data, size);
    check_keys(data, size);
    if (agent_reply_signature(&signature, (const char *)data, size) == 0)
        check_inside(data, size, signature.bytes, signature.length);
    return 0;
}
