#include "io/files.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_TEXT_MAX 4096

static int fail(struct err *err, const char *path, const char *what)
{
    int code = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    return err_set(err, code, "%s: %s: %s", path, what, strerror(errno));
}

static int check_regular(int fd, const char *path, size_t maximum, struct err *err)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return fail(err, path, "cannot be read");
    if (S_ISDIR(status.st_mode))
        return err_set(err, ERR_IO, "%s: is a folder, not a file", path);
    if (!S_ISREG(status.st_mode))
        return err_set(err, ERR_IO, "%s: is not a regular file", path);
    if ((uintmax_t)status.st_size > maximum)
        return err_set(err, ERR_IO, "%s: is larger than %zu bytes", path, maximum);
    return 0;
}

int file_read(struct strbuf *out, const char *path, struct err *err)
{
    char block[16384];
    int rc;
    strbuf_reset(out);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return fail(err, path, "cannot be opened");
    rc = check_regular(fd, path, out->maximum, err);
    while (rc == 0) {
        ssize_t got = read(fd, block, sizeof(block));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            rc = fail(err, path, "cannot be read");
        if (got <= 0)
            break;
        strbuf_add(out, block, (size_t)got);
    }
    if (rc == 0 && out->overflowed)
        rc = err_set(err, ERR_IO, "%s: is larger than %zu bytes", path, out->maximum);
    close(fd);
    return rc;
}

static int write_all(int fd, const char *bytes, size_t length)
{
    while (length) {
        ssize_t written = write(fd, bytes, length);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        bytes += written;
        length -= (size_t)written;
    }
    return 0;
}

int file_write(const char *path, const void *bytes, size_t length, unsigned mode, struct err *err)
{
    struct strbuf beside;
    int rc = 0;
    strbuf_init(&beside, PATH_TEXT_MAX);
    strbuf_addf(&beside, "%s.XXXXXX", path);
    int fd = beside.overflowed ? (errno = ENAMETOOLONG, -1) : mkostemp(beside.text, O_CLOEXEC);
    if (fd < 0) {
        rc = fail(err, path, "cannot be made");
        goto out;
    }
    if (write_all(fd, bytes, length) < 0 || fchmod(fd, mode) < 0 || fsync(fd) < 0)
        rc = fail(err, path, "cannot be written");
    if (close(fd) < 0 && rc == 0)
        rc = fail(err, path, "cannot be written");
    if (rc == 0 && rename(beside.text, path) < 0)
        rc = fail(err, path, "cannot be replaced");
    if (rc < 0)
        unlink(beside.text);
out:
    strbuf_release(&beside);
    return rc;
}

int folder_make(const char *path, struct err *err)
{
    char part[PATH_TEXT_MAX];
    struct stat status;
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof(part))
        return err_set(err, ERR_INPUT, "a folder's path of %zu bytes cannot be made", length);
    memcpy(part, path, length + 1);
    for (size_t i = 1; i <= length; i++) {
        if (part[i] != '/' && part[i] != '\0')
            continue;
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST && stat(part, &status) < 0)
            return fail(err, part, "cannot be made");
        part[i] = path[i];
    }
    if (stat(path, &status) < 0)
        return fail(err, path, "cannot be made");
    return S_ISDIR(status.st_mode) ? 0 : err_set(err, ERR_IO, "%s: is not a folder", path);
}

static const char *home(void)
{
    const char *named = getenv("HOME");
    if (named && named[0])
        return named;
    struct passwd *account = getpwuid(getuid());
    return account ? account->pw_dir : "/";
}

void path_expand_home(struct strbuf *out, const char *path)
{
    if (strcmp(path, "~") == 0 || strncmp(path, "~/", 2) == 0) {
        strbuf_adds(out, home());
        path++;
    }
    strbuf_adds(out, path);
}

void path_state(struct strbuf *out)
{
    const char *ours = getenv("DEPLOYCTL_STATE"), *common = getenv("XDG_STATE_HOME");
    if (ours && ours[0])
        strbuf_adds(out, ours);
    else if (common && common[0])
        strbuf_addf(out, "%s/deployctl", common);
    else
        strbuf_addf(out, "%s/.local/state/deployctl", home());
}

struct append_file {
    int fd;
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
    file->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        int rc = fail(err, path, "cannot be opened");
        free(file->path);
        free(file);
        return rc;
    }
    *out = file;
    return 0;
}

int append_line(struct append_file *file, const char *line, int sync, struct err *err)
{
    struct strbuf whole;
    strbuf_init(&whole, strlen(line) + 1);
    strbuf_adds(&whole, line);
    strbuf_addc(&whole, '\n');
    int rc = write_all(file->fd, whole.text, whole.length);
    if (rc == 0 && sync)
        rc = fdatasync(file->fd);
    strbuf_release(&whole);
    return rc < 0 ? fail(err, file->path, "cannot be written") : 0;
}

void append_close(struct append_file *file)
{
    if (!file)
        return;
    close(file->fd);
    free(file->path);
    free(file);
}
