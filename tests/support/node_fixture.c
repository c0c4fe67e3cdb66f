#include "node_fixture.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deadline.h"

#define WAIT_MS deadline_ms(60000)

static void give_up(const char *what, const char *why) __attribute__((noreturn));
static void give_up(const char *what, const char *why)
{
    fprintf(stderr, "test support: %s: %s\n", what, why);
    exit(99);
}

/* --- nodes --- */

static void read_inventory(struct node_fixture *fixture, const struct node_options *options)
{
    struct strbuf text;
    strbuf_init(&text, 65536);
    strbuf_adds(&text, "[web]\n");
    for (size_t i = 0; i < fixture->count; i++) {
        const struct sshd *sshd = fixture->sshds[i];
        const struct sshd *any = sshd ? sshd : fixture->sshds[0];
        strbuf_addf(
            &text, "n%zu address=127.0.0.1 port=%u user=%s key=%s host_key=%s number=%zu %s",
            i + 1, sshd ? sshd->port : port_unused(), any->user, any->key,
            sshd_fingerprint(any, "ed25519"), i + 1, options->variables ? options->variables : "");
        if (options->weights[i])
            strbuf_addf(&text, " weight=%u", options->weights[i]);
        strbuf_addc(&text, '\n');
    }
    parsed_inventory(&fixture->inventory, text.text, text.length);
    if (fixture->inventory.code)
        give_up("inventory", fixture->inventory.told);
    strbuf_release(&text);
}

static void read_playbook(struct node_fixture *fixture, const struct node_options *options)
{
    struct strbuf text;
    strbuf_init(&text, 65536);
    strbuf_addf(&text, "[service]\nname = shop\nhosts = web\nroot = %s/{node}\n%s", fixture->folder,
                options->playbook ? options->playbook : "start = true\n[health]\ncommand = true\n");
    parsed_playbook(&fixture->playbook, text.text, text.length, NULL, 0,
                    &fixture->inventory.inventory);
    if (fixture->playbook.code)
        give_up("playbook", fixture->playbook.told);
    strbuf_release(&text);
}

void node_fixture_start(struct node_fixture *fixture, const struct node_options *options)
{
    struct sshd_options sshd = {.config = options->sshd};
    size_t nodes[FIXTURE_NODES_MAX] = {0, 1, 2, 3};
    struct err err;
    signal(SIGPIPE, SIG_IGN);
    *fixture = (struct node_fixture){.count = options->count};
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/test-nodes-XXXXXX");
    if (options->count > FIXTURE_NODES_MAX || !mkdtemp(fixture->folder))
        give_up("nodes", "cannot be made");
    for (size_t i = 0; i < fixture->count; i++)
        if (i + 1 < fixture->count || !options->dead_last)
            fixture->sshds[i] = sshd_start(&sshd);
    read_inventory(fixture, options);
    read_playbook(fixture, options);
    if (fleet_create(&fixture->fleet, &fixture->inventory.inventory, nodes, fixture->count,
                     &fixture->playbook.playbook, &err) < 0)
        give_up("fleet", err.message);
}

void node_fixture_stop(struct node_fixture *fixture)
{
    const char *const remove[] = {"rm", "-rf", fixture->folder, NULL};
    timer_stop(fixture->guard);
    fleet_free(fixture->fleet);
    for (size_t i = 0; i < fixture->count; i++)
        sshd_stop(fixture->sshds[i]);
    parsed_release(&fixture->playbook);
    parsed_release(&fixture->inventory);
    program_run(remove);
}

struct session *node_session(struct node_fixture *fixture, size_t node)
{
    return fixture->fleet->members[node].session;
}

static void too_long(void *context)
{
    struct node_fixture *fixture = context;
    fixture->guard = NULL;
    fixture->gave_up = true;
    loop_stop(fixture->fleet->loop);
}

bool node_wait(struct node_fixture *fixture, const bool *done)
{
    uv_loop_t *uv = loop_uv(fixture->fleet->loop);
    fixture->gave_up = false;
    fixture->guard = timer_start(fixture->fleet->loop, WAIT_MS, too_long, fixture);
    while (!*done && !fixture->gave_up)
        uv_run(uv, UV_RUN_ONCE);
    timer_stop(fixture->guard);
    fixture->guard = NULL;
    return *done;
}

const char *node_file(const struct node_fixture *fixture, size_t node, const char *name)
{
    static char buffers[8][256];
    static unsigned next;
    char *out = buffers[next++ % 8];
    snprintf(out, sizeof(buffers[0]), "%s/n%zu/%s", fixture->folder, node + 1, name);
    return out;
}

char *shell_output(const char *format, ...)
{
    char line[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    char *out = calloc(1, 65536);
    FILE *pipe = popen(line, "r");
    if (!out || !pipe)
        give_up(line, "cannot be run");
    size_t length = fread(out, 1, 65535, pipe);
    pclose(pipe);
    while (length && out[length - 1] == '\n')
        out[--length] = '\0';
    return out;
}

struct package *node_release(struct node_fixture *fixture, const char *version, const char *shell)
{
    char path[128];
    struct package *package;
    struct err err;
    snprintf(path, sizeof(path), "%s/source-%s", fixture->folder, version);
    free(shell_output("mkdir -p %s && cd %s && echo %s >version && { %s\n}", path, path, version,
                      shell ? shell : "true"));
    if (package_from_directory(&package, path, PACKAGE_BYTES_MAX, &err) < 0)
        give_up("package", err.message);
    return package;
}

/* --- requests --- */

void answer_keep(void *context, const struct reply *reply)
{
    struct answer *answer = context;
    *answer = (struct answer){.came = true,
                              .id = reply->id,
                              .status = reply->status,
                              .code = reply->error ? reply->error->code : 0};
    snprintf(answer->sentence, sizeof(answer->sentence), "%s", reply->sentence);
    snprintf(answer->output, sizeof(answer->output), "%s", reply->output);
    size_t length = 0;
    for (size_t i = 0; i < reply->value_count && length < sizeof(answer->values); i++)
        length += (size_t)snprintf(answer->values + length, sizeof(answer->values) - length,
                                   "%s %s\n", reply->values[i].key, reply->values[i].value);
}

char *answer_value(const struct answer *answer, const char *key)
{
    size_t length = strlen(key);
    for (const char *line = answer->values; *line; line += strcspn(line, "\n") + 1)
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return strndup(line + length + 1, strcspn(line + length + 1, "\n"));
    return NULL;
}

struct connecting {
    bool done;
    struct err error;
};

static void connected(void *context, const struct err *error)
{
    struct connecting *connecting = context;
    connecting->done = true;
    if (error)
        connecting->error = *error;
}

int node_connect(struct node_fixture *fixture, size_t node, int64_t timeout_ms, struct err *said)
{
    struct connecting connecting = {.done = false};
    session_connect(node_session(fixture, node), timeout_ms, connected, &connecting);
    if (!node_wait(fixture, &connecting.done))
        give_up("connect", "nothing came");
    if (said)
        *said = connecting.error;
    return connecting.error.code;
}

static uint32_t send_list(struct node_fixture *fixture, size_t node, int64_t timeout_ms,
                          struct answer *answer, const char *verb, va_list arguments)
{
    struct session *session = node_session(fixture, node);
    struct err err;
    *answer = (struct answer){.came = false};
    session_begin(session, verb);
    for (const char *key; (key = va_arg(arguments, const char *)) != NULL;) {
        const char *value = va_arg(arguments, const char *);
        if (strcmp(key, "fence") == 0)
            session_add_fence(session, strtoull(value, NULL, 10));
        else
            session_add(session, key, value);
    }
    uint32_t id = session_submit(session, timeout_ms, answer_keep, answer, &err);
    if (!id)
        give_up(verb, err.message);
    return id;
}

uint32_t node_send(struct node_fixture *fixture, size_t node, int64_t timeout_ms,
                   struct answer *answer, const char *verb, ...)
{
    va_list arguments;
    va_start(arguments, verb);
    uint32_t id = send_list(fixture, node, timeout_ms, answer, verb, arguments);
    va_end(arguments);
    return id;
}

void node_ask(struct node_fixture *fixture, size_t node, struct answer *answer, const char *verb,
              ...)
{
    va_list arguments;
    va_start(arguments, verb);
    send_list(fixture, node, WAIT_MS, answer, verb, arguments);
    va_end(arguments);
    if (!node_wait(fixture, &answer->came))
        give_up(verb, "no answer came");
}

uint64_t node_lock(struct node_fixture *fixture, size_t node, const char *rollout)
{
    struct answer answer;
    node_ask(fixture, node, &answer, "lock", "rollout", rollout, "holder", "tester", "ttl", "60",
             NULL);
    char *generation = answer_value(&answer, "generation");
    if (answer.status != REPLY_OK || !generation)
        give_up("lock", answer.sentence);
    uint64_t fence = strtoull(generation, NULL, 10);
    node_ask(fixture, node, &answer, "settle", "fence", generation, NULL);
    if (answer.status != REPLY_OK)
        give_up("settle", answer.sentence);
    free(generation);
    return fence;
}
