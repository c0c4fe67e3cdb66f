/*
 * The model of the node beside the real one: the same random requests go to src/node/node.sh (under `sh`, over pipes, in a temporary
 * root) and to model.c; each answer (status and values) and, at the end, the journals must be the same. DEPLOYCTL_SEQUENCE
 * (the first) and DEPLOYCTL_SEQUENCES (how many) choose. What depends on the machine (clocks, disk, tools) is left out.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"
#include "model_internal.h"
#include "node/program.h"

#define SEQUENCES 100
#define REQUESTS_MAX 14
#define NONCE "0123456789abcdef"

static const char *const releases[] = {"20260101T000000Z-000000000001", "20260102T000000Z-000000000002"};

struct both {
    char root[80];
    char archive[2][128], sha256[2][65], manifest[2][65];
    FILE *in, *out;
    pid_t pid;
    struct model_node model;
    struct model_session *session;
    struct strbuf real_said, model_said, story;
    bool model_ended;
    uint32_t id;
    uint64_t connections, generation;
    struct random random;
};

static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int shell(const char *format, ...)
{
    char command[2000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(command, sizeof(command), format, arguments);
    va_end(arguments);
    return system(command);
}

static void read_word(char *out, size_t size, const char *format, const char *path)
{
    char command[300];
    snprintf(command, sizeof(command), format, path);
    FILE *pipe = popen(command, "r");
    if (!pipe || !fgets(out, (int)size, pipe))
        abort();
    out[strcspn(out, " \n")] = '\0';
    pclose(pipe);
}

/* Two releases, packed as the program packs them. */
static void pack_releases(struct both *both, const char *folder)
{
    for (int i = 0; i < 2; i++) {
        snprintf(both->archive[i], sizeof(both->archive[i]), "%s/%d.tar.gz", folder, i);
        if (shell("mkdir -p %s/%d && cd %s/%d && echo v%d >file && printf '%%s 644 3 file\\n' $(sha256sum <file | cut -c1-64) "
                  ">.deployctl-manifest && tar -czf %s .deployctl-manifest file",
                  folder, i, folder, i, i, both->archive[i]) != 0)
            abort();
        char manifest[160];
        snprintf(manifest, sizeof(manifest), "%s/%d/.deployctl-manifest", folder, i);
        read_word(both->sha256[i], sizeof(both->sha256[i]), "sha256sum <%s", both->archive[i]);
        read_word(both->manifest[i], sizeof(both->manifest[i]), "sha256sum <%s", manifest);
    }
}

/* --- the two sides --- */

static bool compared(const char *key)
{
    static const char *const left_out[] = {"now",  "uptime",    "disk_free", "disk_total", "inodes_free", "lock_age", "age", "user",
                                           "elevated", "temporary", "tool",      "path",       "sudo", "taken_over",
                                           "warning", "protocol", "was", "last_sentence", "lock_held",
                                           "since"};
    for (size_t i = 0; i < sizeof(left_out) / sizeof(left_out[0]); i++)
        if (strcmp(key, left_out[i]) == 0)
            return false;
    return true;
}

/* Keeps what is compared of a reply's line; true at its last one. */
static bool keep(struct strbuf *out, const char *line)
{
    unsigned id;
    char mark, key[40];
    if (sscanf(line, "%u %c %39s", &id, &mark, key) != 3)
        return false;
    if (mark == '=' && compared(key))
        strbuf_adds(out, strchr(line, '=') + 2);
    if (mark == '.')
        strbuf_addf(out, ". %s\n", key);
    return mark == '.';
}

static void model_line(void *context, const char *verb, const char *line, bool last)
{
    struct both *both = context;
    (void)verb;
    keep(&both->model_said, line);
    both->model_ended = both->model_ended || last;
}

static void start_real(struct both *both)
{
    int to[2], from[2];
    struct node_boot boot;
    const char *piece;
    size_t length;
    char line[256];
    if (pipe(to) < 0 || pipe(from) < 0)
        abort();
    both->pid = fork();
    if (both->pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        for (int i = 3; i < 64; i++)
            close(i);
        execl("/bin/sh", "sh", "-c", node_bootstrap(), (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    both->in = fdopen(to[1], "w");
    both->out = fdopen(from[0], "r");
    node_boot_init(&boot, NONCE);
    while (piece = node_boot_next(&boot, &length), length)
        boot.written += fwrite(piece, 1, length, both->in);
    fflush(both->in);
    if (!fgets(line, sizeof(line), both->out))
        abort();
}

static void stop_real(struct both *both)
{
    fclose(both->in);
    fclose(both->out);
    waitpid(both->pid, NULL, 0);
}

/* One request to both; false when they differ. `text`: its lines after the first. */
static bool ask(struct both *both, const char *verb, const char *text)
{
    char request[2000], line[4096];
    snprintf(request, sizeof(request), "%u %s\n%s\n", ++both->id, verb, text);
    strbuf_addf(&both->story, "%s", request);
    strbuf_reset(&both->real_said);
    strbuf_reset(&both->model_said);
    fputs(request, both->in);
    fflush(both->in);
    bool last = false;
    while (!last && fgets(line, sizeof(line), both->out))
        last = keep(&both->real_said, line);
    both->model_ended = false;
    model_session_feed(both->session, request, strlen(request));
    while (!both->model_ended && clock_turn()) {
    }
    strbuf_addf(&both->story, "  node.sh: %s", both->real_said.length ? both->real_said.text : "nothing\n");
    if (both->real_said.length == both->model_said.length &&
        memcmp(both->real_said.text, both->model_said.text, both->real_said.length) == 0)
        return true;
    strbuf_addf(&both->story, "!! model: %s", both->model_said.length ? both->model_said.text : "nothing\n");
    return false;
}

static bool open_both(struct both *both)
{
    char text[300];
    start_real(both);
    both->session = model_session_open(&both->model, ++both->connections, model_line, both);
    snprintf(text, sizeof(text), "become no\nroot %s\nservice shop\nstart true\nstop true\n", both->root);
    return ask(both, "open", text);
}

static bool open_again(struct both *both)
{
    strbuf_adds(&both->story, "the connection is lost; another one\n");
    stop_real(both);
    model_session_hangup(both->session);
    return open_both(both);
}

/* --- what is asked --- */

static bool ask_lock(struct both *both)
{
    char text[300];
    static const char *const chains[] = {"", "resumes r1\n", "resumes r2 r0\n"};
    unsigned run = (unsigned)random_below(&both->random, 3);
    snprintf(text, sizeof(text), "rollout r%u\nholder someone\nttl 1000\nrelease %s\nkind rollout\n%stoken t%u\n", run,
             releases[random_below(&both->random, 2)], chains[random_below(&both->random, 3)], run);
    bool same = ask(both, "lock", text);
    both->generation = both->model.lock.generation;
    return same;
}

static bool ask_changing(struct both *both)
{
    static const char *const verbs[] = {"stage", "activate", "activate", "restart", "commit", "commit", "retract", "run", "migrate", "migrate"};
    const char *verb = verbs[random_below(&both->random, sizeof(verbs) / sizeof(verbs[0]))];
    int which = (int)random_below(&both->random, 2);
    bool stale = random_below(&both->random, 8) == 0;
    char text[900];
    int used = snprintf(text, sizeof(text), "rollout r0\ntoken k%u\nfence %llu\n", (unsigned)random_below(&both->random, 4),
                        (unsigned long long)(stale && both->generation ? both->generation - 1 : both->generation));
    char *rest = text + used;
    size_t left = sizeof(text) - (size_t)used;
    if (strcmp(verb, "run") == 0)
        snprintf(rest, left, "name hook\ncommand exit 0\n");
    else if (strcmp(verb, "migrate") == 0)
        snprintf(rest, left, "name m%d\nrelease %s\nkind expand\ncommand true\n%s", which, releases[which],
                 random_below(&both->random, 4) == 0 ? "down yes\n" : "");
    else
        snprintf(rest, left, "release %s\nkind %s\nbytes 300\nunpacked 4096\nsha256 %s\nmanifest_sha256 %s\ncompression gzip\n",
                 strcmp(verb, "activate") == 0 && random_below(&both->random, 8) == 0 ? "-" : releases[which],
                 random_below(&both->random, 4) == 0 ? "rollback" : "rollout", both->sha256[which], both->manifest[which]);
    if (strcmp(verb, "stage") != 0)
        return ask(both, verb, text);
    if (!ask(both, "stage", text))
        return false;
    if (!strstr(both->model_said.text, "have no"))
        return true;
    char received[400];
    int length = snprintf(received, sizeof(received), "incoming/%llu-%s\nbytes", (unsigned long long)both->generation, releases[which]);
    model_receive(&both->model, received, (size_t)length);
    if (shell("cp %s %s/.deployctl/incoming/%llu-%s", both->archive[which], both->root, (unsigned long long)both->generation,
              releases[which]) != 0)
        abort();
    return ask(both, "unpack", text);
}

static bool ask_short(struct both *both, const char *verb, const char *more)
{
    char text[300];
    bool stale = random_below(&both->random, 8) == 0;
    snprintf(text, sizeof(text), "fence %llu\n%s",
             (unsigned long long)(stale ? both->generation + 1 : both->generation), more);
    return ask(both, verb, text);
}

/* The lease has not been renewed for longer than its ttl. */
static bool let_age(struct both *both)
{
    if (!both->generation || both->model.lock.ended)
        return true;
    strbuf_adds(&both->story, "the lease is not renewed for a long time\n");
    if (shell("printf '0 %%s\\n' another-boot >%s/.deployctl/lock/%llu.beat", both->root,
              (unsigned long long)both->generation) != 0)
        abort();
    both->model.lock.boot = 0;
    return true;
}

static bool ask_something(struct both *both)
{
    char failed[80];
    switch (random_below(&both->random, 16)) {
    case 0: return ask_lock(both);
    case 1: return ask_short(both, "renew", "");
    case 2: return ask_short(both, "settle", "");
    case 3: return ask_short(both, "finish", "release -\nstatus updated\nresult done\nmigration m9 r9 contract\n");
    case 4:
        return ask_short(both, "finish",
                         random_below(&both->random, 2) ? "release -\nstatus untouched\nresult held\nopen yes\n"
                                                        : "release -\nstatus refused\nresult refused\nopen before\n");
    case 5:
        snprintf(failed, sizeof(failed), "release %s\n", releases[random_below(&both->random, 2)]);
        return ask_short(both, "failed", failed);
    case 8:
        snprintf(failed, sizeof(failed), "release %s\n", releases[random_below(&both->random, 2)]);
        return ask_short(both, "verify", failed);
    case 9:
        snprintf(failed, sizeof(failed), "release %s\n", releases[random_below(&both->random, 2)]);
        return ask(both, "instance", failed);
    case 6: return let_age(both) && ask_lock(both);
    case 7: return open_again(both) && ask_short(both, "settle", "");
    default: return ask_changing(both);
    }
}

static bool same_journals(struct both *both)
{
    char path[160], line[600];
    size_t at = 0;
    snprintf(path, sizeof(path), "%s/.deployctl/journal", both->root);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) {
        char rollout[64], step[64], mark[16], release[64], status[16];
        unsigned long long generation;
        if (sscanf(line, "1 %*u %llu %63s %63s %15s %63s %15s", &generation, rollout, step, mark, release, status) != 6)
            continue;
        const struct model_journal_line *kept = at < both->model.journal_count ? &both->model.journal[at] : NULL;
        at++;
        if (kept && kept->generation == generation && strcmp(kept->rollout, rollout) == 0 && strcmp(kept->step, step) == 0 &&
            strcmp(kept->mark, mark) == 0 && strcmp(kept->release, release) == 0 && strcmp(kept->status, status) == 0)
            continue;
        strbuf_addf(&both->story, "journal of node.sh: %s!! model: %s %s %s %s %s\n", line, kept ? kept->rollout : "nothing",
                    kept ? kept->step : "", kept ? kept->mark : "", kept ? kept->release : "", kept ? kept->status : "");
        fclose(file);
        return false;
    }
    if (file)
        fclose(file);
    return at == both->model.journal_count;
}

static bool run_sequence(struct both *both, uint64_t seed)
{
    bool same;
    random_init(&both->random, seed * 0x9e3779b97f4a7c15u);
    clock_begin(seed, NULL);
    both->id = 0;
    both->generation = 0;
    strbuf_reset(&both->story);
    model_node_init(&both->model, "n1", NULL);
    same = open_both(both) && ask_lock(both) && ask_short(both, "settle", "");
    for (int i = 0; same && i < REQUESTS_MAX; i++)
        same = ask_something(both);
    same = same && ask(both, "facts", "") && same_journals(both);
    stop_real(both);
    clock_end();
    model_node_release(&both->model);
    shell("rm -rf %s", both->root);
    return same;
}

int main(void)
{
    const char *chosen = getenv("DEPLOYCTL_SEQUENCE"), *number = getenv("DEPLOYCTL_SEQUENCES");
    uint64_t seed = chosen ? strtoull(chosen, NULL, 10) : 1, count = number ? strtoull(number, NULL, 10) : SEQUENCES, done = 0;
    /* In memory where there is such a place: node.sh syncs each step. */
    char folder[64];
    snprintf(folder, sizeof(folder), "%s/deployctl-conformance.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    struct both *both = calloc(1, sizeof(*both));
    bool same = true;
    signal(SIGPIPE, SIG_IGN);
    if (!both || !mkdtemp(folder))
        return 1;
    snprintf(both->root, sizeof(both->root), "%s/root", folder);
    pack_releases(both, folder);
    strbuf_init(&both->real_said, 1 << 16);
    strbuf_init(&both->model_said, 1 << 16);
    strbuf_init(&both->story, 1 << 20);
    for (; same && done < count; done++)
        same = run_sequence(both, seed + done);
    if (!same)
        printf("seed %llu: node.sh and its model differ\n%s", (unsigned long long)(seed + done - 1), both->story.text);
    printf("%llu sequences from seed %llu beside the real node.sh\n%d passed, %d failed\n", (unsigned long long)done,
           (unsigned long long)seed, same, !same);
    shell("rm -rf %s", folder);
    strbuf_release(&both->real_said);
    strbuf_release(&both->model_said);
    strbuf_release(&both->story);
    free(both);
    return same ? 0 : 1;
}
