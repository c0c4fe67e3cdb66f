#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ssh_key.h"

struct file_text {
    char text[SSH_KEY_FILE_MAX + 1];
    size_t length;
};

static int read_all(int fd, struct file_text *out)
{
    out->length = 0;
    for (;;) {
        ssize_t got = read(fd, out->text + out->length, SSH_KEY_FILE_MAX - out->length);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            out->text[out->length] = '\0';
            return got < 0 ? -1 : 0;
        }
        out->length += (size_t)got;
    }
}

/* The same rule as ssh(1): only the owner may read it, if the owner is us. */
static int read_key_file(struct file_text *out, const char *path, struct err *err)
{
    struct stat info;
    int rc = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0) {
        int code = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : ERR_AUTH;
        return err_set(err, code, "key file %s: %s; give the path of a private key (key=...)", path,
                       strerror(errno));
    }
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        rc = err_set(err, ERR_AUTH,
                     "key file %s: not a regular file; give the path of a private key", path);
    } else if (info.st_size > SSH_KEY_FILE_MAX) {
        rc = err_set(err, ERR_AUTH, "key file %s: larger than 64 KiB, so not a private key", path);
    } else if (read_all(fd, out) != 0) {
        rc = err_set(err, ERR_AUTH, "key file %s: %s", path, strerror(errno));
    } else if (info.st_uid == getuid() && (info.st_mode & 077) != 0 &&
               strstr(out->text, "PRIVATE KEY") != NULL) {
        rc = err_set(
            err, ERR_AUTH,
            "key file %s: others may read it (mode %04o); ssh refuses such keys: chmod 600 %s",
            path, (unsigned)(info.st_mode & 07777), path);
    }
    close(fd);
    return rc;
}

int ssh_key_load(struct ssh_key **out, const char *path, struct err *err)
{
    struct file_text *file = calloc(1, sizeof(*file));
    int rc;

    *out = NULL;
    if (file == NULL) {
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    rc = read_key_file(file, path, err);
    if (rc == 0) {
        rc = ssh_key_parse(out, path, file->text, err);
    }
    OPENSSL_cleanse(file->text, sizeof(file->text));
    free(file);
    return rc;
}
