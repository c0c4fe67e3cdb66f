/*
 * Files on the runner: whole, bounded, never half written. Messages name the path and the system's
 * reason.
 */
#ifndef IO_FILES_H
#define IO_FILES_H

#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Reads a whole regular file into `out` (reset first; its maximum bounds the file). A directory, a
 * device or a larger file is an error. `-` is not special. */
int file_read(struct strbuf *out, const char *path, struct err *err);
/* Writes beside and renames; mode as given; the file's content is synced before the rename. */
int file_write(const char *path, const void *bytes, size_t length, unsigned mode, struct err *err);
/* Makes a folder and its parents, mode 0700 for those it makes. */
int folder_make(const char *path, struct err *err);
/* Appends `~/...` expanded by $HOME (else the account's home folder); other text as it is. */
void path_expand_home(struct strbuf *out, const char *path);
/* Appends where runs are remembered on this machine: $DEPLOYCTL_STATE, else
 * $XDG_STATE_HOME/deployctl, else
 * ~/.local/state/deployctl. Not made. */
void path_state(struct strbuf *out);

/* A file that only grows, a line at a time, each write(2)n whole; synced on request. */
struct append_file;
int append_open(struct append_file **out, const char *path, struct err *err);
int append_line(struct append_file *file, const char *line, int sync, struct err *err);
int append_sync(struct append_file *file, struct err *err);
void append_close(struct append_file *file);

#endif
