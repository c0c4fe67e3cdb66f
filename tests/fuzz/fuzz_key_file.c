/* Any text as a key file: a private key of OpenSSH's or PEM, a public key, or a sentence. A private half that is read signs. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/io/ssh_key.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void sign(const struct ssh_key *key)
{
    struct strbuf signature;
    struct err err = {0};
    const char *algorithm = ssh_key_is_rsa(key) ? "rsa-sha2-256" : key->algorithm;
    strbuf_init(&signature, 8192);
    int rc = ssh_key_sign(key, algorithm, "data", 4, &signature, &err);
    assert(rc == 0 ? signature.length > 0 : err.message[0] != '\0');
    strbuf_release(&signature);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ssh_key *key;
    struct err err = {0};
    char *text = fuzz_text(data, size < SSH_KEY_FILE_MAX ? size : SSH_KEY_FILE_MAX);
    int rc = ssh_key_parse(&key, "key", text, &err);
    assert(rc == 0 ? key != NULL : key == NULL && err.message[0]);
    if (rc == 0) {
        assert(key->label && (!key->private_key || key->blob));
        if (key->private_key)
            sign(key);
    }
    ssh_key_drop(key);
    free(text);
    return 0;
}
