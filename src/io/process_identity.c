#include "io/process_identity.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_NAMESPACE "4026531836" /* PROC_PID_INIT_INO of the kernel */

struct identity {
    char machine[40], boot[40], space[24], pid[12], start[24], host[65];
};

/* The first word of a file; false when there is none. */
static bool read_word(char *out, size_t size, const char *path)
{
    FILE *file = fopen(path, "re");
    bool read = file && fgets(out, (int)size, file);
    if (file)
        fclose(file);
    if (read)
        out[strcspn(out, " \t\n")] = '\0';
    return read && *out;
}

/* `pid:[4026531836]` */
static bool read_namespace(char *out, size_t size)
{
    char link[64];
    ssize_t length = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);
    if (length <= 0)
        return false;
    link[length] = '\0';
    char *digits = strchr(link, '[');
    if (!digits || strspn(digits + 1, "0123456789") == 0 || strspn(digits + 1, "0123456789") >= size)
        return false;
    snprintf(out, size, "%.*s", (int)strspn(digits + 1, "0123456789"), digits + 1);
    return true;
}

/* State and start time of a process, fields 3 and 22 of its stat; false when it cannot be read. */
static bool read_stat(const char *pid, char *out_state, char *out_start, size_t size)
{
    char path[40], text[1024];
    snprintf(path, sizeof(path), "/proc/%.12s/stat", pid);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    if (file)
        fclose(file);
    text[length] = '\0';
    char *field = strrchr(text, ')');
    if (!field || field[1] != ' ')
        return false;
    field += 2;
    *out_state = *field;
    for (int number = 3; number < 22 && field; number++)
        if ((field = strchr(field, ' ')) != NULL)
            field++;
    size_t digits = field ? strspn(field, "0123456789") : 0;
    if (digits == 0 || digits >= size)
        return false;
    snprintf(out_start, size, "%.*s", (int)digits, field);
    return true;
}

static bool is_plain(const char *text)
{
    return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")] == '\0';
}

static bool read_ours(struct identity *out)
{
    char state;
    snprintf(out->pid, sizeof(out->pid), "%d", (int)getpid());
    if (gethostname(out->host, sizeof(out->host)) < 0)
        return false;
    out->host[sizeof(out->host) - 1] = '\0';
    return read_word(out->machine, sizeof(out->machine), "/etc/machine-id") &&
           read_word(out->boot, sizeof(out->boot), "/proc/sys/kernel/random/boot_id") &&
           read_namespace(out->space, sizeof(out->space)) && read_stat("self", &state, out->start, sizeof(out->start)) &&
           is_plain(out->machine) && is_plain(out->boot) && is_plain(out->host);
}

static bool parse(struct identity *out, const char *text)
{
    int end = 0;
    return sscanf(text, "%39s %39s %23s %11s %23s %64s%n", out->machine, out->boot, out->space, out->pid, out->start, out->host,
                  &end) == 6 &&
           text[end] == '\0' && strspn(out->pid, "0123456789") == strlen(out->pid) && strtol(out->pid, NULL, 10) > 1;
}

void process_identity(char out[PROCESS_IDENTITY_MAX])
{
    struct identity ours;
    out[0] = '\0';
    if (read_ours(&ours))
        snprintf(out, PROCESS_IDENTITY_MAX, "%s %s %s %s %s %s", ours.machine, ours.boot, ours.space, ours.pid, ours.start, ours.host);
}

static bool is_gone(const struct identity *theirs)
{
    char state, start[24];
    if (kill((pid_t)strtol(theirs->pid, NULL, 10), 0) < 0)
        return errno == ESRCH;
    return read_stat(theirs->pid, &state, start, sizeof(start)) &&
           (strcmp(start, theirs->start) != 0 || state == 'Z' || state == 'X');
}

bool process_has_ended(const char *identity)
{
    struct identity theirs, ours;
    if (!identity || !parse(&theirs, identity) || !read_ours(&ours) || strcmp(theirs.machine, ours.machine) != 0)
        return false;
    if (strcmp(theirs.boot, ours.boot) == 0)
        return strcmp(theirs.space, ours.space) == 0 && is_gone(&theirs);
    return strcmp(theirs.host, ours.host) == 0 && strcmp(theirs.space, FIRST_NAMESPACE) == 0 &&
           strcmp(ours.space, FIRST_NAMESPACE) == 0;
}
