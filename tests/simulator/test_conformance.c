/*
 * The model of the node beside the real one: the same random requests go to src/node/node.sh (under `sh`, over pipes, in a temporary
 * root) and to model.c; each answer (status and values) and, at the end, the journals must be the same. DEPLOYCTL_SEQUENCE
 * (the first) and DEPLOYCTL_SEQUENCES (how many) choose. What depends on the machine (clocks, disk, tools) is left out.
 *
 * Interleavings: a session or a step hangs while another session takes over, and the session before asks late, after the next has settled.
 * A few sequences at a time, each in a process of its own; root works as nobody there, since what a folder of root must be is another test's.
 */
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "conformance.h"

#define SEQUENCES 100
#define REQUESTS_MAX 4
#define PROCESSES 4
#define NOBODY 65534

static const char *const releases[] = {"20260101T000000Z-000000000001", "20260102T000000Z-000000000002"};

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

/* --- what is asked --- */

static bool ask(struct both *both, const char *verb, const char *text)
{
    return both_ask(both, &both->now, verb, text);
}

static bool open_again(struct both *both)
{
    strbuf_adds(&both->story, "the connection is lost; another one\n");
    both_stop(&both->now);
    return both_open(both);
}


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
    both_stop(&both->before);
    both->before = both->now;
    strbuf_adds(&both->story, "another connection\n");
    return both_open(both);
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
        both_hold(both, hold);
        held = !both_send(both, &both->now, verbs[which], text);
        if (held ? !both_await_hold(both) : !both_compare(both, &both->now, both->id, &both->model_said))
            return false;
        both_hold_none(both);
    }
    if (!open_next(both) || !settle(both) || !ask_changing(both) || (held && !both_let_go(both, &both->before)))
        return false;
    snprintf(text, sizeof(text), "fence %llu\nepoch %llu\ncommand true\nrelease %s\nstatus updated\nresult done\n",
             (unsigned long long)both->generation, (unsigned long long)both->before.epoch, releases[random_below(&both->random, 2)]);
    return both_ask(both, &both->before, late[random_below(&both->random, sizeof(late) / sizeof(late[0]))], text) && ask_changing(both);
}

/* Two sessions claim the lock; the first hangs. */
static bool race_for_the_lock(struct both *both)
{
    char text[200];
    if (!ask_short(both, "finish", "release -\nstatus updated\nresult done\n"))
        return false;
    snprintf(text, sizeof(text), "rollout race%u\nholder someone\nttl 1000\nrelease -\nkind rollout\ntoken race%u\n", both->runs, both->runs);
    both->runs++;
    both_hold(both, HOLD_LINK);
    bool held = !both_send(both, &both->now, "lock", text);
    if (held ? !both_await_hold(both) : !both_compare(both, &both->now, both->id, &both->model_said))
        return false;
    both_hold_none(both);
    bool first = held && random_below(&both->random, 2);
    if (first && !both_let_go(both, &both->now))
        return false;
    if (!open_next(both) || !ask_lock(both))
        return false;
    bool same = !held || first || both_let_go(both, &both->before);
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

static int remove_one(const char *path, const struct stat *information, int kind, struct FTW *place)
{
    (void)information;
    (void)kind;
    (void)place;
    return remove(path);
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
    same = both_open(both) && ask_lock(both);
    for (int i = 0; same && i < REQUESTS_MAX; i++)
        same = ask_something(both);
    same = same && ask(both, "facts", "") && both_same_journals(both);
    if (!same)
        shell("rm -rf %s/held", both->folder);
    both_stop(&both->before);
    both_stop(&both->now);
    clock_end();
    model_node_release(&both->model);
    nftw(both->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return same;
}

/* Every `step`th sequence from `seed` on; exits 0 when all are the same. */
static int run_some(const char *folder, uint64_t seed, uint64_t count, uint64_t step)
{
    struct both *both = calloc(1, sizeof(*both));
    bool same = both != NULL;
    if (mkdir(folder, 0755) < 0 || chdir(folder) < 0)
        return 1;
    if (geteuid() == 0 && (chown(folder, NOBODY, NOBODY) < 0 || setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
        return 1;
    if (both) {
        both_init(both, folder);
        pack_releases(both, folder);
    }
    for (uint64_t i = 0; same && i < count; i += step)
        if (!(same = run_sequence(both, seed + i)))
            printf("seed %llu: node.sh and its model differ\n%s", (unsigned long long)(seed + i), both->story.text);
    fflush(stdout);
    if (both)
        both_release(both);
    free(both);
    return !same;
}

int main(void)
{
    const char *chosen = getenv("DEPLOYCTL_SEQUENCE"), *number = getenv("DEPLOYCTL_SEQUENCES");
    uint64_t seed = chosen ? strtoull(chosen, NULL, 10) : 1, count = number ? strtoull(number, NULL, 10) : SEQUENCES;
    char folder[48];
    bool same = true;
    snprintf(folder, sizeof(folder), "%s/deployctl-conformance.XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    signal(SIGPIPE, SIG_IGN);
    if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
        return 1;
    for (unsigned i = 0; i < PROCESSES && i < count; i++) {
        char own[64];
        snprintf(own, sizeof(own), "%s/%u", folder, i);
        pid_t pid = fork();
        if (pid == 0)
            _exit(run_some(own, seed + i, count - i, PROCESSES));
        same = same && pid > 0;
    }
    for (int status; wait(&status) > 0;)
        same = same && status == 0;
    printf("%llu sequences from seed %llu beside the real node.sh\n%d passed, %d failed\n", (unsigned long long)count,
           (unsigned long long)seed, same, !same);
    shell("rm -rf %s", folder);
    return same ? 0 : 1;
}
