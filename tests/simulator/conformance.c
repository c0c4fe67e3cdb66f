#include "conformance.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "model_internal.h"
#include "node/program.h"

#define NONCE "0123456789abcdef"

/* In front of the program, and so in each process of it; %s: the folder of the holds. A function costs a process less than a program on PATH. */
static const char prelude[] = "holds=%s\n"
                              "hold_here() {\n"
                              "[ -e \"$holds/$1\" ] || return 0\n"
                              "read -r held <\"$holds/$1\" || return 0\n"
                              "case $2 in $held) mkdir \"$holds/held\" 2>/dev/null || return 0 ;; *) return 0 ;; esac\n"
                              "while [ -d \"$holds/held\" ]; do command sleep 0.01; done\n"
                              "}\n"
                              "sync() { hold_here sync \"$*\"; }\n"
                              "ln() { hold_here ln \"$*\"; command ln \"$@\"; }\n"
                              "mv() { hold_here mv \"$*\"; command mv \"$@\"; }\n"
                              "sleep() { case $1 in 0.*) command sleep 0.01 ;; ?) command sleep \"$1\" ;; *) exec sleep \"$1\" ;; esac; }\n";
#define PRELUDE_LINES 11

/* --- answers --- */

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

void both_init(struct both *both, const char *folder)
{
    snprintf(both->folder, sizeof(both->folder), "%s", folder);
    snprintf(both->root, sizeof(both->root), "%s/root", folder);
    strbuf_init(&both->real_said, 1 << 16);
    strbuf_init(&both->model_said, 1 << 16);
    strbuf_init(&both->held_said, 1 << 16);
    strbuf_init(&both->story, 1 << 20);
}

void both_release(struct both *both)
{
    strbuf_release(&both->real_said);
    strbuf_release(&both->model_said);
    strbuf_release(&both->held_said);
    strbuf_release(&both->story);
}

/* --- sessions --- */

static void become_node(const struct both *both, int in, int out)
{
    dup2(in, 0);
    dup2(out, 1);
    for (int i = 3; i < 64; i++)
        close(i);
    /* Each folder before that of a tool costs a look for each process. */
    setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
    setenv("TMPDIR", both->folder, 1);
    if (chdir(both->folder) == 0)
        execl("/bin/sh", "sh", "-c", node_bootstrap(), (char *)NULL);
    _exit(127);
}

static void start_real(struct both *both, struct side *side)
{
    int to[2], from[2];
    char line[256];
    if (pipe(to) < 0 || pipe(from) < 0)
        abort();
    side->pid = fork();
    if (side->pid == 0)
        become_node(both, to[0], from[1]);
    close(to[0]);
    close(from[1]);
    side->in = fdopen(to[1], "w");
    side->out = fdopen(from[0], "r");
    if (side->pid < 0 || !side->in || !side->out)
        abort();
    fprintf(side->in, "boot-%s\n%zu\n", NONCE, node_program_lines + PRELUDE_LINES);
    fprintf(side->in, prelude, both->folder);
    fwrite(node_program, 1, node_program_length, side->in);
    fflush(side->in);
    if (!fgets(line, sizeof(line), side->out))
        abort();
}

void both_stop(struct side *side)
{
    if (!side->pid)
        return;
    fclose(side->in);
    fclose(side->out);
    waitpid(side->pid, NULL, 0);
    model_session_hangup(side->session);
    side->pid = 0;
}

bool both_open(struct both *both)
{
    char text[300];
    start_real(both, &both->now);
    both->now.epoch = ++both->connections;
    both->now.session = model_session_open(&both->model, both->connections, model_line, both);
    snprintf(text, sizeof(text), "become no\nroot %s\nservice shop\nstart true\nstop true\n", both->root);
    return both_ask(both, &both->now, "open", text);
}

/* --- requests --- */

bool both_send(struct both *both, struct side *side, const char *verb, const char *text)
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

bool both_compare(struct both *both, struct side *side, uint32_t id, const struct strbuf *model_said)
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

bool both_ask(struct both *both, struct side *side, const char *verb, const char *text)
{
    both_send(both, side, verb, text);
    return both_compare(both, side, both->id, &both->model_said);
}

/* --- holds --- */

static const char *const hold_tools[] = {[HOLD_SYNC] = "sync", [HOLD_LINK] = "ln", [HOLD_MOVE] = "mv"};

void both_hold(struct both *both, enum model_hold hold)
{
    static const char *const patterns[] = {[HOLD_SYNC] = "*/journal", [HOLD_LINK] = "*/lock/.new.*", [HOLD_MOVE] = "*link.new*current"};
    char path[200], part[200];
    both->model.hold = hold;
    strbuf_addf(&both->story, "hold the next %s\n", hold_tools[hold]);
    snprintf(path, sizeof(path), "%s/%s", both->folder, hold_tools[hold]);
    snprintf(part, sizeof(part), "%s/part", both->folder);
    FILE *file = fopen(part, "w");
    if (!file || fprintf(file, "%s\n", patterns[hold]) < 0 || fclose(file) != 0 || rename(part, path) < 0)
        abort();
}

void both_hold_none(struct both *both)
{
    both->model.hold = HOLD_NOTHING;
    for (enum model_hold hold = HOLD_SYNC; hold <= HOLD_MOVE; hold++) {
        char path[200];
        snprintf(path, sizeof(path), "%s/%s", both->folder, hold_tools[hold]);
        unlink(path);
    }
}

bool both_await_hold(struct both *both)
{
    char path[200];
    both->held_id = both->id;
    both->held_ended = false;
    strbuf_reset(&both->held_said);
    strbuf_add(&both->held_said, both->model_said.text, both->model_said.length);
    snprintf(path, sizeof(path), "%s/held", both->folder);
    for (int i = 0; i < 30000 && access(path, F_OK) != 0; i++)
        usleep(1000);
    bool held = access(path, F_OK) == 0;
    strbuf_addf(&both->story, held ? "  held\n" : "!! the model holds it\n");
    both_hold_none(both);
    return held;
}

bool both_let_go(struct both *both, struct side *side)
{
    char path[200];
    uint32_t id = both->held_id;
    snprintf(path, sizeof(path), "%s/held", both->folder);
    strbuf_addf(&both->story, "let go request %u\n", id);
    if (rmdir(path) < 0)
        abort();
    model_let_go(&both->model);
    while (!both->held_ended && clock_turn()) {
    }
    both->held_id = 0;
    return both_compare(both, side, id, &both->held_said);
}

/* --- journals --- */

static bool same_line(const struct model_journal_line *kept, const char *line)
{
    char rollout[64], step[64], mark[16], release[64], status[16];
    unsigned long long generation;
    return sscanf(line, "1 %*u %llu %63s %63s %15s %63s %15s", &generation, rollout, step, mark, release, status) == 6 &&
           kept->generation == generation && strcmp(kept->rollout, rollout) == 0 && strcmp(kept->step, step) == 0 &&
           strcmp(kept->mark, mark) == 0 && strcmp(kept->release, release) == 0 && strcmp(kept->status, status) == 0;
}

/* The same lines; what two processes write at once comes in either order. */
bool both_same_journals(struct both *both)
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
