#include "sshd.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define DESCENDANTS_MAX 1024

static void give_up(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void give_up(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "test support: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(99);
}

void program_run(const char *const argv[])
{
    pid_t pid;
    int status;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    int rc = posix_spawnp(&pid, argv[0], &actions, NULL, (char **)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        give_up("%s: %s", argv[0], strerror(rc));
    }
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        give_up("%s %s: status %d", argv[0], argv[1] != NULL ? argv[1] : "", status);
    }
}

static void write_mode(const char *path, const char *text, const char *mode)
{
    FILE *file = fopen(path, mode);
    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0) {
        give_up("write %s: %s", path, strerror(errno));
    }
}

void text_write(const char *path, const char *text)
{
    write_mode(path, text, "w");
}

void text_append(const char *path, const char *text)
{
    write_mode(path, text, "a");
}

char *text_read(const char *path)
{
    size_t size = 1024 * 1024;
    char *text = calloc(1, size);
    FILE *file = fopen(path, "r");
    if (text == NULL || file == NULL) {
        give_up("read %s: %s", path, strerror(errno));
    }
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
    return text;
}

void key_make(const char *path, const char *type, const char *passphrase, const char *format)
{
    const char *argv[12] = {"ssh-keygen", "-q", "-t", type, "-N", passphrase, "-f", path};
    if (format != NULL) {
        argv[8] = "-m";
        argv[9] = format;
    }
    program_run(argv);
}

uint16_t port_unused(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        give_up("no free port: %s", strerror(errno));
    }
    close(fd);
    return ntohs(address.sin_port);
}

const char *sshd_path(const struct sshd *sshd, const char *name)
{
    static char buffers[8][256];
    static unsigned next;
    char *out = buffers[next++ % 8];
    snprintf(out, sizeof(buffers[0]), "%s/%s", sshd->folder, name);
    return out;
}

const char *sshd_fingerprint(const struct sshd *sshd, const char *type)
{
    static char buffers[8][128];
    static unsigned next;
    char *out = buffers[next++ % 8];
    char command[400];
    snprintf(command, sizeof(command), "ssh-keygen -lf %s/host_%s.pub | cut -d' ' -f2",
             sshd->folder, type);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL || fgets(out, sizeof(buffers[0]), pipe) == NULL) {
        give_up("no fingerprint of %s", type);
    }
    pclose(pipe);
    out[strcspn(out, "\n")] = '\0';
    return out;
}

static void make_host_keys(struct sshd *sshd, const char *types, FILE *config)
{
    char list[128];
    char *rest = NULL;
    snprintf(list, sizeof(list), "%s", types);
    for (char *type = strtok_r(list, ",", &rest); type != NULL; type = strtok_r(NULL, ",", &rest)) {
        char path[128];
        char line[200];
        snprintf(path, sizeof(path), "%s/host_%s", sshd->folder, type);
        key_make(path, type, "", NULL);
        fprintf(config, "HostKey %s\n", path);
        strcat(path, ".pub");
        char *text = text_read(path);
        snprintf(line, sizeof(line), "[127.0.0.1]:%u ", sshd->port);
        text_append(sshd->known_hosts, line);
        text_append(sshd->known_hosts, text);
        free(text);
    }
}

static void write_config(struct sshd *sshd, const struct sshd_options *options)
{
    FILE *config = fopen(sshd_path(sshd, "sshd_config"), "w");
    if (config == NULL) {
        give_up("write sshd_config: %s", strerror(errno));
    }
    fprintf(config, "%s\n", options->config != NULL ? options->config : "");
    make_host_keys(sshd, options->host_keys != NULL ? options->host_keys : "ed25519", config);
    fprintf(config,
            "Port %u\nListenAddress 0.0.0.0\nAuthorizedKeysFile %s/authorized_keys\nUsePAM %s\n"
            "StrictModes no\nPidFile none\nUseDNS no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin yes\nPrintMotd no\n"
            /* No start-up file of the account: slow, and it may leave a lock when it is killed. */
            "SetEnv HOME=%s\n",
            sshd->port, sshd->folder, getuid() == 0 ? "no" : "yes", sshd->folder);
    fclose(config);
}

/* sshd must never wait for its log's reader. */
static void *drain(void *context)
{
    struct sshd *sshd = context;
    char bytes[4096];
    int log = open(sshd_path(sshd, "log"), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (;;) {
        ssize_t got = read(sshd->log_pipe, bytes, sizeof(bytes));
        if (got <= 0 || write(log, bytes, (size_t)got) != got) {
            break;
        }
    }
    close(log);
    close(sshd->log_pipe);
    return NULL;
}

/* True once it listens; false when the port was taken in between. */
static int wait_until_it_listens(struct sshd *sshd)
{
    char text[8192];
    size_t length = 0;
    for (;;) {
        ssize_t got = read(sshd->log_pipe, text + length, sizeof(text) - 1 - length);
        if (got <= 0) {
            return 0;
        }
        length += (size_t)got;
        text[length] = '\0';
        if (strstr(text, "Server listening") != NULL) {
            return 1;
        }
        if (length == sizeof(text) - 1) {
            give_up("sshd says too much: %s", text);
        }
    }
}

static int launch(struct sshd *sshd)
{
    char config[128];
    int ends[2];
    snprintf(config, sizeof(config), "%s/sshd_config", sshd->folder);
    const char *argv[] = {"/usr/sbin/sshd", "-D", "-e", "-f", config, NULL};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        give_up("pipe: %s", strerror(errno));
    }
    sshd->pid = fork();
    if (sshd->pid < 0) {
        give_up("sshd: %s", strerror(errno));
    }
    if (sshd->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a failed test must not leave it behind */
        int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(nothing, 0);
        dup2(nothing, 1);
        dup2(ends[1], 2);
        execv(argv[0], (char **)(uintptr_t)argv);
        _exit(127);
    }
    close(ends[1]);
    sshd->log_pipe = ends[0];
    if (!wait_until_it_listens(sshd)) {
        waitpid(sshd->pid, NULL, 0);
        close(ends[0]);
        return 0;
    }
    pthread_t thread;
    if (pthread_create(&thread, NULL, drain, sshd) != 0) {
        give_up("no thread");
    }
    sshd->drain_thread = (unsigned long)thread;
    return 1;
}

struct sshd *sshd_start(const struct sshd_options *options)
{
    static const struct sshd_options defaults;
    struct sshd *sshd = calloc(1, sizeof(*sshd));
    struct passwd *account = getpwuid(getuid());
    options = options != NULL ? options : &defaults;
    if (sshd == NULL || account == NULL) {
        give_up("out of memory");
    }
    mkdir("/run/sshd", 0755);
    snprintf(sshd->user, sizeof(sshd->user), "%s", account->pw_name);
    snprintf(sshd->folder, sizeof(sshd->folder), "/tmp/test-sshd-XXXXXX");
    if (mkdtemp(sshd->folder) == NULL) {
        give_up("%s: %s", sshd->folder, strerror(errno));
    }
    snprintf(sshd->key, sizeof(sshd->key), "%s/id", sshd->folder);
    snprintf(sshd->known_hosts, sizeof(sshd->known_hosts), "%s/known_hosts", sshd->folder);
    key_make(sshd->key, "ed25519", "", NULL);
    char *public_half = text_read(sshd_path(sshd, "id.pub"));
    text_write(sshd_path(sshd, "authorized_keys"), public_half);
    free(public_half);
    for (int attempt = 0; attempt < 10; attempt++) {
        sshd->port = port_unused();
        text_write(sshd->known_hosts, "");
        const char *const old[] = {"/bin/sh", "-c", "rm -f \"$0\"/host_*", sshd->folder, NULL};
        program_run(old);
        write_config(sshd, options);
        if (launch(sshd)) {
            return sshd;
        }
    }
    give_up("sshd does not start; see %s", sshd->folder);
}

/* Descendants of a process, nearest first. */
static size_t descendants(pid_t parent, pid_t *out, size_t count)
{
    char path[64];
    int child;
    snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
    FILE *file = fopen(path, "r");
    while (file != NULL && count < DESCENDANTS_MAX && fscanf(file, "%d", &child) == 1) {
        out[count++] = child;
        count = descendants(child, out, count);
    }
    if (file != NULL) {
        fclose(file);
    }
    return count;
}

static void signal_connections(struct sshd *sshd, int number)
{
    pid_t found[DESCENDANTS_MAX];
    size_t count = descendants(sshd->pid, found, 0);
    for (size_t i = 0; i < count; i++) {
        kill(found[i], number);
    }
}

void sshd_freeze(struct sshd *sshd)
{
    signal_connections(sshd, SIGSTOP);
}

void sshd_thaw(struct sshd *sshd)
{
    signal_connections(sshd, SIGCONT);
}

void sshd_cut(struct sshd *sshd)
{
    signal_connections(sshd, SIGKILL);
}

void sshd_stop(struct sshd *sshd)
{
    if (sshd == NULL) {
        return;
    }
    signal_connections(sshd, SIGKILL);
    kill(sshd->pid, SIGTERM);
    waitpid(sshd->pid, NULL, 0);
    pthread_join((pthread_t)sshd->drain_thread, NULL);
    const char *const remove[] = {"rm", "-rf", sshd->folder, NULL};
    program_run(remove);
    free(sshd);
}
