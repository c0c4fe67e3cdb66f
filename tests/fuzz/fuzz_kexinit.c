/* Any bytes as what a peer sends before the keys: where its banner is, the lists of its KEXINIT, and the sentence about them. */
#include <assert.h>
#include <string.h>

#include "../../src/io/ssh_internal.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As the transport does: in pieces, until the bound. */
static void receive(struct ssh *ssh, const uint8_t *data, size_t size, size_t piece)
{
    for (size_t at = 0; at < size && !bounds_banner_exceeded(ssh) && ssh->seen.length < SSH_SEEN_MAX; at += piece) {
        size_t left = size - at < piece ? size - at : piece;
        strbuf_add(&ssh->seen, data + at, left);
        bounds_count_banner(ssh, ssh->seen_at, ssh->seen.length);
        ssh->seen_at = ssh->seen.length;
    }
}

static void explain(struct ssh *ssh)
{
    char names[600];
    size_t length;
    const char *banner = peer_banner_line(ssh, &length);
    assert(banner ? length >= 4 && memcmp(banner, "SSH-", 4) == 0 : length == 0);
    assert(!ssh->banner_found || banner);
    for (size_t list = 0; list < 10; list++)
        if (peer_algorithms(ssh, list, names, sizeof(names)))
            assert(banner && strlen(names) < sizeof(names));
    explain_handshake(ssh);
    assert(ssh->failure.code < 0 && ssh->failure.message[0]);
}

static void run(LIBSSH2_SESSION *session, const uint8_t *data, size_t size, size_t piece, struct err *out)
{
    struct target target = {.name = "web1", .address = "web1", .label = "deploy@web1:22"};
    struct ssh ssh = {.target = &target, .session = session, .closed = true, .phase = SSH_HANDSHAKE};
    strbuf_init(&ssh.seen, SSH_SEEN_MAX);
    receive(&ssh, data, size, piece);
    explain(&ssh);
    *out = ssh.failure;
    strbuf_release(&ssh.seen);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static LIBSSH2_SESSION *session;
    struct err whole, pieces;
    if (!session)
        session = libssh2_session_init();
    run(session, data, size, size + 1, &whole);
    run(session, data, size, 7, &pieces);
    /* beyond the bound the two have seen a different part */
    if (size < SSH_SEEN_MAX / 2 && !memchr(data, '\n', size))
        assert(strcmp(whole.message, pieces.message) == 0);
    return 0;
}
