/*
 * reap [-t SECONDS] [-f COMMAND] PROGRAM [ARGUMENT]...: runs a program, and ends everything that it
 * started before it ends itself.
 *
 * It adopts each process that loses its parent below it (PR_SET_CHILD_SUBREAPER), so that a daemon,
 * a group of its own or a session of its own does not get away. The program stays in the caller's
 * process group, so that Ctrl-C reaches it. SIGINT, SIGTERM, SIGHUP and SIGQUIT, the death of the
 * caller, and the end of SECONDS (-t) end the program early: every process below gets SIGTERM,
 * those that are left after GRACE_MS get SIGKILL. COMMAND (-f) runs then, by sh, at most FINAL_MS.
 * All of it takes less than 10 s.
 *
 * Exit code: the program's own; 124 after SECONDS; 128 + N when signal N ended the program or this.
 * Processes that a program leaves when it ends by itself are printed on stderr, and ended in the
 * same way.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    GRACE_MS = 4000,
    KILL_MS = 2000,
    FINAL_MS = 3000,
    SETTLE_MS = 1000,
    DAY_S = 86400,
    LOOK_MS = 50,
    WATCH_MS = 500,
    PROCESSES_MAX = 65536
};

struct process {
    pid_t pid, parent;
    bool below;
};
static struct process processes[PROCESSES_MAX];

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

/* The parent's id, and not a zombie; 0 when it is gone. The name in parentheses may hold anything.
 */
static pid_t parent_of(pid_t pid)
{
    char path[64], text[512], *end;
    size_t length;
    char state;
    int parent;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    end = strrchr(text, ')');
    if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2 || state == 'Z')
        return 0;
    return parent;
}

static size_t read_processes(void)
{
    struct dirent *entry;
    size_t count = 0;
    DIR *folder = opendir("/proc");

    if (!folder)
        return 0;
    while ((entry = readdir(folder)) && count < PROCESSES_MAX) {
        pid_t pid = (pid_t)atoi(entry->d_name), parent = pid > 0 ? parent_of(pid) : 0;

        if (parent > 0)
            processes[count++] = (struct process){pid, parent, false};
    }
    closedir(folder);
    return count;
}

/* Marks what is below this process in the table; its number. */
static size_t mark_below(size_t count)
{
    size_t marked = 0;
    pid_t self = getpid();
    bool changed = true;

    while (changed) {
        changed = false;
        for (size_t i = 0; i < count; i++) {
            bool below = processes[i].parent == self;

            for (size_t j = 0; j < count && !below; j++)
                below = processes[j].below && processes[j].pid == processes[i].parent;
            if (processes[i].below || !below)
                continue;
            processes[i].below = changed = true;
            marked++;
        }
    }
    return marked;
}

/* Processes of a container belong to the one that runs it, and end with it. */
static bool is_of_our_namespace(pid_t pid)
{
    struct stat ours, other;
    char path[64];

    snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
    return stat("/proc/self/ns/pid", &ours) != 0 || stat(path, &other) != 0 ||
           ours.st_ino == other.st_ino;
}

/* Sends the signal to every process below, or none with 0; how many there are. */
static size_t signal_below(int number)
{
    size_t count = read_processes(), marked = mark_below(count);

    for (size_t i = 0; number && i < count; i++) {
        if (!processes[i].below || !is_of_our_namespace(processes[i].pid))
            continue;
        kill(processes[i].pid, number);
        kill(processes[i].pid, SIGCONT);
    }
    return marked;
}

static void print_below(void)
{
    size_t count = read_processes();

    mark_below(count);
    for (size_t i = 0; i < count; i++) {
        char path[64], text[200];
        size_t length;
        FILE *file;

        if (!processes[i].below)
            continue;
        snprintf(path, sizeof path, "/proc/%d/cmdline", (int)processes[i].pid);
        file = fopen(path, "re");
        length = file ? fread(text, 1, sizeof text - 1, file) : 0;
        if (file)
            fclose(file);
        for (size_t j = 0; j < length; j++)
            text[j] = text[j] ? text[j] : ' ';
        text[length] = '\0';
        fprintf(stderr, "left running: %d %s\n", (int)processes[i].pid, text);
    }
}

/* Collects the ended; the program's status goes to *status. True when it is among them. */
static bool collect(pid_t program, int *status)
{
    bool ended = false;
    int code;
    pid_t pid;

    while ((pid = waitpid(-1, &code, WNOHANG)) > 0) {
        if (pid != program)
            continue;
        *status = code;
        ended = true;
    }
    return ended;
}

static void wait_below(pid_t program, int *status, long long until)
{
    while (collect(program, status), signal_below(0) > 0 && now_ms() < until) {
        const struct timespec look = {0, LOOK_MS * 1000000L};

        nanosleep(&look, NULL);
    }
}

static void end_below(pid_t program, int *status)
{
    long long until;

    if (signal_below(SIGTERM) == 0)
        return;
    wait_below(program, status, now_ms() + GRACE_MS);
    for (until = now_ms() + KILL_MS; signal_below(SIGKILL) > 0 && now_ms() < until;)
        wait_below(program, status, now_ms() + 2 * LOOK_MS);
}

/* PROGRAM with the signals as they were before; it ends with this process, whatever ends that. */
static pid_t start(char **words, const sigset_t *before)
{
    pid_t self = getpid(), pid = fork();

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != self)
        _exit(143);
    sigprocmask(SIG_SETMASK, before, NULL);
    execvp(words[0], words);
    fprintf(stderr, "reap: cannot run %s: %s\n", words[0], strerror(errno));
    _exit(127);
}

static void run_finally(const char *command, const sigset_t *before)
{
    char *words[] = {"sh", "-c", (char *)command, NULL};
    int status = 0;

    if (!command || start(words, before) < 0)
        return;
    wait_below(-1, &status, now_ms() + FINAL_MS);
    signal_below(SIGKILL);
}

/* The kernel sends SIGHUP to the session's leader alone, which may be a make that waits for us. */
static bool is_closed(int terminal)
{
    struct pollfd polled = {terminal, 0, 0};

    return terminal >= 0 && poll(&polled, 1, 0) > 0 && (polled.revents & POLLHUP);
}

/* Until the program ends (0), its time is over (124), the terminal is closed or a signal comes (128
 * and its number). */
static int watch(pid_t program, const sigset_t *waited, long long until, int *status)
{
    const struct timespec look = {0, WATCH_MS * 1000000L};
    int terminal = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    bool minds = sigismember(waited, SIGHUP);

    while (!collect(program, status)) {
        int number = sigtimedwait(waited, NULL, &look);

        if (number > 0 && number != SIGCHLD)
            return 128 + number;
        if (now_ms() >= until)
            return 124;
        if (minds && is_closed(terminal))
            return 128 + SIGHUP;
    }
    return 0;
}

/* SIGCHLD, and those that end it; one that the caller ignores, as nohup does, is ignored. */
static void choose_signals(sigset_t *waited)
{
    const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

    sigemptyset(waited);
    sigaddset(waited, SIGCHLD);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
        struct sigaction action;

        if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(waited, signals[i]);
    }
}

int main(int count, char **words)
{
    long long seconds = DAY_S;
    const char *command = NULL;
    sigset_t waited, before;
    int option, code, status = 0;
    pid_t program;

    while ((option = getopt(count, words, "+t:f:")) != -1) {
        if (option == 't')
            seconds = atoll(optarg);
        else if (option == 'f')
            command = optarg;
        else
            return 64;
    }
    if (optind == count || seconds <= 0)
        return 64;
    choose_signals(&waited);
    sigprocmask(SIG_BLOCK, &waited, &before);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    program = start(words + optind, &before);
    if (program < 0)
        return 71;
    code = watch(program, &waited, now_ms() + seconds * 1000, &status);
    if (code == 0) {
        wait_below(program, &status, now_ms() + SETTLE_MS);
        print_below();
    }
    end_below(program, &status);
    run_finally(command, &before);
    if (code != 0)
        return code;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
