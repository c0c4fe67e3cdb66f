/*
 * The model of the node beside the real one: the same random requests go to src/node/node.sh (under `sh`, over pipes, in a temporary
 * root) and to model.c; each answer (status and values) and, at the end, the journals must be the same. DEPLOYCTL_SEQUENCE
 * (the first) and DEPLOYCTL_SEQUENCES (how many) choose. What depends on the machine (clocks, disk, tools) is left out.
 *
 * Interleavings: programs before sync, ln and mv on the node's PATH hold one call until they are let go, so that a supervisor hangs in the
 * sync of the journal, a session with its claim of the lock, or a leader with the switch of `current`, while another session takes over;
 * and the session before may ask late, after the next has settled. A few sequences at a time, each in a process of its own.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"
#include "model_internal.h"
#include "node/program.h"

#define SEQUENCES 100
#define REQUESTS_MAX 8
#define PROCESSES 4
#define NONCE "0123456789abcdef"

static const char *const releases[] = {"20260101T000000Z-000000000001", "20260102T000000Z-000000000002"};

/* One connection: the real program and its model. */
struct side {
    FILE *in, *out;
    pid_t pid;
    struct model_session *session;
    uint64_t epoch;
};

struct both {
    char root[96], shims[96];
    char archive[2][128], sha256[2][65], manifest[2][65];
    struct model_node model;
    struct side now, before; /* before.pid 0: there is none */
    struct strbuf real_said, model_said, story;
    uint32_t id, model_ended; /* the last request, and the last that the model has answered */
    uint32_t held_id;         /* the request that is held; 0: none */
    bool held_ended;
    struct strbuf held_said; /* its answers by the model */
    unsigned runs;
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
    uint32_t id = (uint32_t)strtoul(line, NULL, 10);
    (void)verb;
    if (id == both->held_id) {
        keep(&both->held_said, line);
        both->held_ended = both->held_ended || last;
        return;
    }
    if (id == both->id)
        keep(&both->model_said, line);
    if (last)
        both->model_ended = id;
}

static void start_real(struct both *both, struct side *side)
{
    int to[2], from[2];
    struct node_boot boot;
    const char *piece;
    size_t length;
    char line[256];
    if (pipe(to) < 0 || pipe(from) < 0)
        abort();
    side->pid = fork();
    if (side->pid == 0) {
        char path[400];
        dup2(to[0], 0);
        dup2(from[1], 1);
        for (int i = 3; i < 64; i++)
            close(i);
        snprintf(path, sizeof(path), "%s:%s", both->shims, getenv("PATH"));
        setenv("PATH", path, 1);
        execl("/bin/sh", "sh", "-c", node_bootstrap(), (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    side->in = fdopen(to[1], "w");
    side->out = fdopen(from[0], "r");
    node_boot_init(&boot, NONCE);
    while (piece = node_boot_next(&boot, &length), length)
        boot.written += fwrite(piece, 1, length, side->in);
    fflush(side->in);
    if (!fgets(line, sizeof(line), side->out))
        abort();
}

static void stop_side(struct side *side)
{
    if (!side->pid)
        return;
    fclose(side->in);
    fclose(side->out);
    waitpid(side->pid, NULL, 0);
    model_session_hangup(side->session);
    side->pid = 0;
}

/* Sends to both. The model goes on until it has answered, or holds the request: false. */
static bool send_both(struct both *both, struct side *side, const char *verb, const char *text)
{
    char request[2000];
    snprintf(request, sizeof(request), "%u %s\n%s\n", ++both->id, verb, text);
    strbuf_addf(&both->story, "%s%s", side == &both->before ? "the session before: " : "", request);
    strbuf_reset(&both->model_said);
    both->model_ended = 0;
    fputs(request, side->in);
    fflush(side->in);
    model_session_feed(side->session, request, strlen(request));
    while (both->model_ended != both->id && !(model_holds(&both->model) && !both->held_id) && clock_turn()) {
    }
    return both->model_ended == both->id;
}

/* The answers to request `id`, which the model has given: false when they differ. */
static bool compare(struct both *both, struct side *side, uint32_t id, const struct strbuf *model_said)
{
    char line[4096];
    bool last = false;
    strbuf_reset(&both->real_said);
    while (!last && fgets(line, sizeof(line), side->out))
        last = strtoul(line, NULL, 10) == id && keep(&both->real_said, line);
    strbuf_addf(&both->story, "  node.sh: %s", both->real_said.length ? both->real_said.text : "nothing\n");
    if (both->real_said.length == model_said->length && memcmp(both->real_said.text, model_said->text, model_said->length) == 0)
        return true;
    strbuf_addf(&both->story, "!! model: %s", model_said->length ? model_said->text : "nothing\n");
    return false;
}

static bool ask_side(struct both *both, struct side *side, const char *verb, const char *text)
{
    send_both(both, side, verb, text);
    return compare(both, side, both->id, &both->model_said);
}

/* One request to both; false when they differ. `text`: its lines after the first. */
static bool ask(struct both *both, const char *verb, const char *text)
{
    return ask_side(both, &both->now, verb, text);
}

static bool open_both(struct both *both)
{
    char text[300];
    start_real(both, &both->now);
    both->now.epoch = ++both->connections;
    both->now.session = model_session_open(&both->model, both->connections, model_line, both);
    snprintf(text, sizeof(text), "become no\nroot %s\nservice shop\nstart true\nstop true\n", both->root);
    return ask(both, "open", text);
}

static bool open_again(struct both *both)
{
    strbuf_adds(&both->story, "the connection is lost; another one\n");
    stop_side(&both->now);
    return open_both(both);
}

/* --- holds --- */

static void make_shims(struct both *both)
{
    static const char *const tools[] = {"sync", "ln", "mv", "sleep"};
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++) {
        char path[200], real[200];
        snprintf(path, sizeof(path), "%s/%s", both->shims, tools[i]);
        read_word(real, sizeof(real), "command -v %s", tools[i]);
        FILE *file = fopen(path, "w");
        if (!file)
            abort();
        if (strcmp(tools[i], "sleep") == 0)
            fprintf(file, "#!/bin/sh\ncase $1 in 0.*) exec %s 0.01 ;; esac\nexec %s \"$@\"\n", real, real);
        else
            fprintf(file,
                    "#!/bin/sh\nif [ -e %s/%s.hold ]; then\ncase $* in\n$(cat %s/%s.hold))\n"
                    "if mkdir %s/held 2>/dev/null; then while [ -d %s/held ]; do %s/sleep 0.01; done; fi ;;\nesac\nfi\nexec %s \"$@\"\n",
                    both->shims, tools[i], both->shims, tools[i], both->shims, both->shims, both->shims, real);
        fclose(file);
        if (chmod(path, 0755) < 0)
            abort();
    }
}

static void set_hold(struct both *both, enum model_hold hold)
{
    static const char *const tools[] = {[HOLD_SYNC] = "sync", [HOLD_LINK] = "ln", [HOLD_MOVE] = "mv"};
    static const char *const patterns[] = {[HOLD_SYNC] = "*/journal", [HOLD_LINK] = "*/lock/.new.*", [HOLD_MOVE] = "*link.new*current"};
    char path[200];
    both->model.hold = hold;
    strbuf_addf(&both->story, "hold the next %s\n", tools[hold]);
    snprintf(path, sizeof(path), "%s/%s.hold", both->shims, tools[hold]);
    FILE *file = fopen(path, "w");
    if (!file || fputs(patterns[hold], file) < 0 || fclose(file) != 0)
        abort();
}

static void clear_hold(struct both *both)
{
    both->model.hold = HOLD_NOTHING;
    if (shell("rm -f %s/*.hold", both->shims) != 0)
        abort();
}

/* The real program is held where the model is; false when it is not. */
static bool await_hold(struct both *both)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/held", both->shims);
    for (int i = 0; i < 30000 && access(path, F_OK) != 0; i++)
        usleep(1000);
    bool held = access(path, F_OK) == 0;
    strbuf_addf(&both->story, held ? "  held\n" : "!! the model holds it\n");
    return held;
}

/* What is held goes on, and is answered. */
static bool let_go(struct both *both, struct side *side)
{
    char path[200];
    uint32_t id = both->held_id;
    snprintf(path, sizeof(path), "%s/held", both->shims);
    strbuf_addf(&both->story, "let go request %u\n", id);
    if (rmdir(path) < 0)
        abort();
    model_let_go(&both->model);
    while (!both->held_ended && clock_turn()) {
    }
    both->held_id = 0;
    return compare(both, side, id, &both->held_said);
}

/* --- what is asked --- */

static bool settle(struct both *both)
{
    char text[80];
    snprintf(text, sizeof(text), "fence %llu\nepoch %llu\n", (unsigned long long)both->generation, (unsigned long long)both->now.epoch);
    return ask(both, "settle", text);
}

static bool ask_lock(struct both *both)
{
    char text[300];
    static const char *const chains[] = {"", "resumes r1\n", "resumes r2 r0\n"};
    /* A run takes its lock once: mostly a new one. */
    unsigned run = random_below(&both->random, 4) == 0 ? (unsigned)random_below(&both->random, 3) : 3 + both->runs++;
    snprintf(text, sizeof(text), "rollout r%u\nholder someone\nttl 1000\nrelease %s\nkind rollout\n%stoken t%u\n", run,
             releases[random_below(&both->random, 2)], chains[random_below(&both->random, 3)], run);
    bool same = ask(both, "lock", text);
    both->generation = both->model.lock.generation;
    return same && (random_below(&both->random, 8) == 0 || settle(both));
}

static bool ask_changing(struct both *both)
{
    static const char *const verbs[] = {"stage", "activate", "activate", "restart", "commit", "commit", "retract", "run", "migrate", "migrate"};
    const char *verb = verbs[random_below(&both->random, sizeof(verbs) / sizeof(verbs[0]))];
    int which = (int)random_below(&both->random, 2);
    bool stale = random_below(&both->random, 8) == 0;
    char text[900];
    int used = snprintf(text, sizeof(text), "rollout r0\ntoken k%u\nfence %llu\nepoch %llu\n", (unsigned)random_below(&both->random, 4),
                        (unsigned long long)(stale && both->generation ? both->generation - 1 : both->generation),
                        (unsigned long long)(random_below(&both->random, 10) == 0 ? both->now.epoch - 1 : both->now.epoch));
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
    snprintf(text, sizeof(text), "fence %llu\nepoch %llu\n%s",
             (unsigned long long)(stale ? both->generation + 1 : both->generation),
             (unsigned long long)(random_below(&both->random, 10) == 0 ? both->now.epoch - 1 : both->now.epoch), more);
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

/* The next session: the one there was stays, and may ask late. */
static bool open_next(struct both *both)
{
    stop_side(&both->before);
    both->before = both->now;
    strbuf_adds(&both->story, "another connection\n");
    return open_both(both);
}

static bool keep_held(struct both *both)
{
    both->held_id = both->id;
    both->held_ended = false;
    strbuf_reset(&both->held_said);
    strbuf_add(&both->held_said, both->model_said.text, both->model_said.length);
    bool held = await_hold(both);
    clear_hold(both);
    return held;
}

/* A step hangs, or nothing does; the next session settles and acts; what hung goes on, and the session before asks late. */
static bool take_over(struct both *both, enum model_hold hold)
{
    static const char *const steps[] = {"name hook\ncommand exit 0\n", "name m3\nrelease %s\nkind expand\ncommand true\n", "release %s\n"};
    static const char *const verbs[] = {"run", "migrate", "activate"};
    static const char *const late[] = {"renew", "run", "activate", "finish", "settle", "failed", "unlock"};
    size_t which = hold == HOLD_MOVE ? 2 : (size_t)random_below(&both->random, 3);
    char text[400], more[200];
    bool held = false;
    int used = snprintf(text, sizeof(text), "rollout r0\ntoken h%u\nfence %llu\nepoch %llu\n", both->id, (unsigned long long)both->generation,
                        (unsigned long long)both->now.epoch);
    snprintf(more, sizeof(more), steps[which], releases[random_below(&both->random, 2)]);
    snprintf(text + used, sizeof(text) - (size_t)used, "%s", more);
    if (hold != HOLD_NOTHING) {
        set_hold(both, hold);
        held = !send_both(both, &both->now, verbs[which], text);
        if (held ? !keep_held(both) : !compare(both, &both->now, both->id, &both->model_said))
            return false;
        clear_hold(both);
    }
    if (!open_next(both) || !settle(both) || !ask_changing(both) || (held && !let_go(both, &both->before)))
        return false;
    snprintf(text, sizeof(text), "fence %llu\nepoch %llu\ncommand true\nrelease %s\nstatus updated\nresult done\n",
             (unsigned long long)both->generation, (unsigned long long)both->before.epoch, releases[random_below(&both->random, 2)]);
    return ask_side(both, &both->before, late[random_below(&both->random, sizeof(late) / sizeof(late[0]))], text) && ask_changing(both);
}

/* Two sessions claim the lock; the first hangs. */
static bool race_for_the_lock(struct both *both)
{
    char text[200];
    if (!ask_short(both, "finish", "release -\nstatus updated\nresult done\n"))
        return false;
    snprintf(text, sizeof(text), "rollout race%u\nholder someone\nttl 1000\nrelease -\nkind rollout\ntoken race%u\n", both->runs, both->runs);
    both->runs++;
    set_hold(both, HOLD_LINK);
    bool held = !send_both(both, &both->now, "lock", text);
    if (held ? !keep_held(both) : !compare(both, &both->now, both->id, &both->model_said))
        return false;
    clear_hold(both);
    bool first = held && random_below(&both->random, 2);
    if (first && !let_go(both, &both->now))
        return false;
    if (!open_next(both) || !ask_lock(both))
        return false;
    bool same = !held || first || let_go(both, &both->before);
    both->generation = both->model.lock.generation;
    return same;
}

static bool ask_something(struct both *both)
{
    char failed[80];
    switch (random_below(&both->random, 19)) {
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
    case 7: return open_again(both) && settle(both);
    case 13: return race_for_the_lock(both);
    case 10: return take_over(both, HOLD_SYNC);
    case 11: return take_over(both, HOLD_MOVE);
    case 12: return take_over(both, HOLD_NOTHING);
    default: return ask_changing(both);
    }
}

static bool same_line(const struct model_journal_line *kept, const char *line)
{
    char rollout[64], step[64], mark[16], release[64], status[16];
    unsigned long long generation;
    return sscanf(line, "1 %*u %llu %63s %63s %15s %63s %15s", &generation, rollout, step, mark, release, status) == 6 &&
           kept->generation == generation && strcmp(kept->rollout, rollout) == 0 && strcmp(kept->step, step) == 0 &&
           strcmp(kept->mark, mark) == 0 && strcmp(kept->release, release) == 0 && strcmp(kept->status, status) == 0;
}

/* The same lines; what two processes write at once comes in either order. */
static bool same_journals(struct both *both)
{
    char path[160], line[600];
    size_t found = 0;
    bool *matched = calloc(both->model.journal_count + 1, sizeof(*matched)), same = matched;
    snprintf(path, sizeof(path), "%s/.deployctl/journal", both->root);
    FILE *file = fopen(path, "r");
    while (same && file && fgets(line, sizeof(line), file)) {
        size_t at = 0;
        while (at < both->model.journal_count && (matched[at] || !same_line(&both->model.journal[at], line)))
            at++;
        same = at < both->model.journal_count;
        if (same)
            matched[at] = true;
        else
            strbuf_addf(&both->story, "!! journal of node.sh alone: %s", line);
        found++;
    }
    for (size_t i = 0; same && i < both->model.journal_count; i++)
        if (!matched[i])
            strbuf_addf(&both->story, "!! journal of the model alone: %s %s %s\n", both->model.journal[i].rollout,
                        both->model.journal[i].step, both->model.journal[i].mark);
    if (file)
        fclose(file);
    same = same && found == both->model.journal_count;
    free(matched);
    return same;
}

static bool run_sequence(struct both *both, uint64_t seed)
{
    bool same;
    random_init(&both->random, seed * 0x9e3779b97f4a7c15u);
    clock_begin(seed, NULL);
    both->id = both->held_id = 0;
    both->generation = both->connections = 0;
    both->runs = 0;
    strbuf_reset(&both->story);
    model_node_init(&both->model, "n1", NULL);
    same = open_both(both) && ask_lock(both);
    for (int i = 0; same && i < REQUESTS_MAX; i++)
        same = ask_something(both);
    same = same && ask(both, "facts", "") && same_journals(both);
    if (!same)
        shell("rm -rf %s/held", both->shims);
    stop_side(&both->before);
    stop_side(&both->now);
    clock_end();
    model_node_release(&both->model);
    shell("rm -rf %s", both->root);
    return same;
}

/* Every `step`th sequence from `seed` on; exits 0 when all are the same. */
static int run_some(const char *folder, uint64_t seed, uint64_t count, uint64_t step)
{
    struct both *both = calloc(1, sizeof(*both));
    bool same = both != NULL;
    if (!both)
        return 1;
    snprintf(both->root, sizeof(both->root), "%s/root", folder);
    snprintf(both->shims, sizeof(both->shims), "%s/shims", folder);
    if (shell("mkdir -p %s", both->shims) != 0)
        return 1;
    make_shims(both);
    pack_releases(both, folder);
    strbuf_init(&both->real_said, 1 << 16);
    strbuf_init(&both->model_said, 1 << 16);
    strbuf_init(&both->held_said, 1 << 16);
    strbuf_init(&both->story, 1 << 20);
    for (uint64_t i = 0; same && i < count; i += step)
        if (!(same = run_sequence(both, seed + i)))
            printf("seed %llu: node.sh and its model differ\n%s", (unsigned long long)(seed + i), both->story.text);
    fflush(stdout);
    strbuf_release(&both->real_said);
    strbuf_release(&both->model_said);
    strbuf_release(&both->held_said);
    strbuf_release(&both->story);
    free(both);
    return !same;
}

int main(void)
{
    const char *chosen = getenv("DEPLOYCTL_SEQUENCE"), *number = getenv("DEPLOYCTL_SEQUENCES");
    uint64_t seed = chosen ? strtoull(chosen, NULL, 10) : 1, count = number ? strtoull(number, NULL, 10) : SEQUENCES;
    /* In memory where there is such a place: node.sh syncs each step. */
    char folder[64];
    bool same = true;
    snprintf(folder, sizeof(folder), "%s/deployctl-conformance.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder))
        return 1;
    for (unsigned i = 0; i < PROCESSES && i < count; i++) {
        char own[80];
        snprintf(own, sizeof(own), "%s/%u", folder, i);
        pid_t pid = fork();
        if (pid == 0)
            _exit(mkdir(own, 0755) < 0 || run_some(own, seed + i, count - i, PROCESSES));
        same = same && pid > 0;
    }
    for (int status; wait(&status) > 0;)
        same = same && status == 0;
    printf("%llu sequences from seed %llu beside the real node.sh\n%d passed, %d failed\n", (unsigned long long)count,
           (unsigned long long)seed, same, !same);
    shell("rm -rf %s", folder);
    return same ? 0 : 1;
}
