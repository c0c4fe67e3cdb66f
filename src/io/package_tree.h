/*
 * The entries of a release while it is read: contents are spooled once to an unlinked temporary
 * file and digested on the way, so that what the manifest says is what the tar will hold, whatever
 * happens to the source meanwhile.
 *
 * Everything hostile is refused here, for every source alike: names, link targets, LFS pointers,
 * sizes. After tree_settle the entries are in canonical order (bytes of the path, a folder's path
 * ending in `/`) and every parent folder stands before what it holds.
 */
#ifndef IO_PACKAGE_TREE_H
#define IO_PACKAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/strbuf.h"
#include "io/digest.h"

#define TREE_MANIFEST_NAME ".deployctl-manifest"
#define TREE_ENTRIES_MAX 1000000
#define TREE_PATH_MAX 4000 /* Linux' PATH_MAX less the release's own folder */

enum tree_kind { TREE_FOLDER, TREE_FILE, TREE_LINK };
/* Who may read a file besides its owner. */
enum tree_access { ACCESS_ALL, ACCESS_GROUP, ACCESS_OWNER };

struct tree_entry {
    enum tree_kind kind;
    bool executable;
    enum tree_access access;
    const char *path;
    const char *target; /* links */
    uint64_t offset;    /* files: in the spool */
    uint64_t size;      /* links: the target's length */
    unsigned char sha256[SHA256_BYTES];
};

struct tree {
    struct arena arena;
    struct tree_entry *entries;
    size_t count;
    size_t capacity;
    struct digest *digest;
    FILE *spool;
    uint64_t spooled;
    uint64_t bytes, bytes_max; /* of all files as they are unpacked, a hard link's content again; and how many may be */
    void *names;               /* files by path, for hard links: a search tree */
    char head[64]; /* the first bytes of the file being written */
    size_t head_length;
};

/* Both may be called on a zeroed tree; release after a failed init too. */
int tree_init(struct tree *tree, uint64_t bytes_max, struct err *err);
void tree_release(struct tree *tree);

/* Paths are relative, without `.`, `..` and empty parts; anything else is refused by name. */
int tree_add_folder(struct tree *tree, const char *path, struct err *err);
int tree_add_link(struct tree *tree, const char *path, const char *target, struct err *err);
/* A further name for a file already added (a hard link in an archive): the same content again. */
int tree_add_copy(struct tree *tree, const char *path, const char *of, struct err *err);
/* A file: start, write its pieces, end. `mode`: of the source; what stays of it is tree_mode's. */
int tree_file_start(struct tree *tree, const char *path, unsigned mode, struct err *err);
int tree_file_write(struct tree *tree, const void *bytes, size_t length, struct err *err);
/* Writes zeros: a hole. */
int tree_file_skip(struct tree *tree, uint64_t length, struct err *err);
int tree_file_end(struct tree *tree, struct err *err);

/* Sorts, adds the parents that no source named, refuses doubles and what lies under a file or a
 * link. */
int tree_settle(struct tree *tree, struct err *err);
/* 0755 or 0644, without what the source did not give: 0750 or 0640 if only owner and group could read, 0700 or 0600 if only the owner could. */
unsigned tree_mode(const struct tree_entry *entry);
/* Appends a line for every file and link. */
void tree_write_manifest(const struct tree *tree, struct strbuf *out);
/* What it takes on a file system with blocks of 4 KiB. */
uint64_t tree_disk_bytes(const struct tree *tree);
/* Maps the spool read-only; NULL with length 0 when nothing was spooled. The caller munmaps
 * `tree->spooled` bytes. */
int tree_map(const struct tree *tree, const unsigned char **out, struct err *err);

/* An unlinked temporary file in $TMPDIR, else /tmp. */
int temporary_file(int *out, struct err *err);
/* Maps a file's `length` bytes read-only; NULL when length is 0. */
int file_map(const unsigned char **out, int file, uint64_t length, struct err *err);

/* A foreign path or name for a message: sanitized, cut to 300 bytes, in a buffer of the caller. */
const char *shown(char out[304], const char *text);

#endif
