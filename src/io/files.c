#include "io/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int system_error(struct err *err, const char *verb, const char *path)
{
    int code = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    return err_set(err, code, "cannot %s %s: %s", verb, path, strerror(errno));
}

/* --- reading --- */

static int read_all(struct strbuf *out, int file, const char *path, struct err *err)
{
    char piece[16384];
    while (true) {
        ssize_t got = read(file, piece, sizeof(piece));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return system_error(err, "read", path);
        if (got == 0)
            return 0;
        strbuf_add(out, piece, (size_t)got);
        if (out->overflowed)
            return err_set(err, ERR_INPUT,
                           "%s is larger than %zu bytes, the most that is read here", path,
                           out->maximum);
    }
}

int file_read(struct strbuf *out, const char *path, struct err *err)
{
    struct stat status;
    strbuf_reset(out);
    /* Non-blocking, so that opening a fifo by mistake does not wait for a writer. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file < 0)
        return system_error(err, "open", path);
    int rc = 0;
    if (fstat(file, &status) < 0)
        rc = system_error(err, "look at", path);
    else if (!S_ISREG(status.st_mode))
        rc = err_set(err, ERR_INPUT, "%s is %s, not a file", path,
                     S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket");
    else
        rc = read_all(out, file, path, err);
    close(file);
    return rc;
}

/* --- writing --- */

static int write_all(int file, const char *bytes, size_t length)
{
    while (length) {
        ssize_t put = write(file, bytes, length);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        bytes += put;
        length -= (size_t)put;
    }
    return 0;
}

/* Makes a rename durable; a file system that cannot sync a folder is no reason to fail. */
static void sync_parent(const char *path)
{
    struct strbuf parent;
    const char *slash = strrchr(path, '/');
    strbuf_init(&parent, PATH_MAX);
    strbuf_add(&parent, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
    int folder = open(parent.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
    strbuf_release(&parent);
}

int file_write(const char *path, const void *bytes, size_t length, unsigned mode, struct err *err)
{
    struct strbuf beside;
    int rc = 0;
    strbuf_init(&beside, PATH_MAX);
    strbuf_addf(&beside, "%s.XXXXXX", path);
    int file = beside.overflowed ? -1 : mkostemp(beside.text, O_CLOEXEC);
    if (file < 0) {
        if (beside.overflowed)
            errno = ENAMETOOLONG;
        rc = system_error(err, "write", path);
        goto out;
    }
    if (write_all(file, bytes, length) < 0 || fchmod(file, mode) < 0 || fsync(file) < 0) {
        rc = system_error(err, "write", path);
        close(file);
    } else if (close(file) < 0 || rename(beside.text, path) < 0) {
        rc = system_error(err, "write", path);
    }
    if (rc < 0)
        unlink(beside.text);
    else
        sync_parent(path);
out:
    strbuf_release(&beside);
    return rc;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int folder_make(const char *path, struct err *err)
{
    struct strbuf part;
    int rc = 0;
    if (!*path)
        return err_set(err, ERR_INPUT, "the folder to make has no name");
    strbuf_init(&part, PATH_MAX);
    for (const char *at = path; rc == 0 && *at;) {
        size_t length = strspn(at, "/");
        length += strcspn(at + length, "/");
        strbuf_add(&part, at, length);
        at += length;
        if (part.overflowed)
            rc = err_set(err, ERR_INPUT, "the folder's path is longer than %d bytes", PATH_MAX);
        else if (mkdir(part.text, 0700) < 0 && !is_folder(part.text)) {
            if (errno == EEXIST)
                errno = ENOTDIR;
            rc = err_set(err, ERR_IO, "cannot make the folder %s: %s", part.text, strerror(errno));
        }
    }
    strbuf_release(&part);
    return rc;
}

/* --- paths --- */

static void add_home(struct strbuf *out)
{
    const char *home = getenv("HOME");
    struct passwd entry, *found = NULL;
    char text[4096];
    if (home && *home)
        strbuf_adds(out, home);
    else if (getpwuid_r(getuid(), &entry, text, sizeof(text), &found) == 0 && found)
        strbuf_adds(out, found->pw_dir);
}

void path_expand_home(struct strbuf *out, const char *path)
{
    if (path[0] == '~' && (path[1] == '/' || path[1] == '\0')) {
        add_home(out);
        path++;
    }
    strbuf_adds(out, path);
}

void path_state(struct strbuf *out)
{
    const char *own = getenv("DEPLOYCTL_STATE");
    const char *shared = getenv("XDG_STATE_HOME");
    if (own && *own) {
        strbuf_adds(out, own);
    } else if (shared &&
               *shared ==
                   '/') { /* the XDG base directory specification: relative ones are ignored */
        strbuf_adds(out, shared);
        strbuf_adds(out, "/deployctl");
    } else {
        path_expand_home(out, "~/.local/state/deployctl");
    }
}

/* --- a file that only grows --- */

struct append_file {
    int file;
    char *path;
};

int append_open(struct append_file **out, const char *path, struct err *err)
{
    struct append_file *file = calloc(1, sizeof(*file));
    *out = NULL;
    if (!file || !(file->path = strdup(path))) {
        free(file);
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    file->file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (file->file < 0) {
        int rc = system_error(err, "open", path);
        append_close(file);
        return rc;
    }
    *out = file;
    return 0;
}

int append_line(struct append_file *file, const char *line, int sync, struct err *err)
{
    size_t length = strlen(line);
    char *text = malloc(length + 1);
    if (!text)
        return err_set(err, ERR_MEMORY, "out of memory");
    memcpy(text, line, length);
    text[length] = '\n'; /* in one piece, so that two writers never mix a line */
    int rc = 0;
    if (write_all(file->file, text, length + 1) < 0 || (sync && fdatasync(file->file) < 0))
        rc = system_error(err, "write", file->path);
    free(text);
    return rc;
}

int append_sync(struct append_file *file, struct err *err)
{
    return fdatasync(file->file) < 0 ? system_error(err, "write", file->path) : 0;
}

void append_close(struct append_file *file)
{
    if (!file)
        return;
    if (file->file >= 0)
        close(file->file);
    free(file->path);
    free(file);
}
