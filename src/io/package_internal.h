/*
 * What the package's files share: a tree being gathered from a source, entry by entry. Nobody else includes this.
 */
#ifndef PACKAGE_INTERNAL_H
#define PACKAGE_INTERNAL_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "base/arena.h"
#include "base/strbuf.h"
#include "io/digest.h"
#include "io/package.h"

enum entry_kind { ENTRY_FILE, ENTRY_FOLDER, ENTRY_LINK };

/* Where an entry's bytes are, by source: the reader of the source knows. */
struct entry {
    const char *path; /* relative, no `.` or `..` parts, no control characters */
    enum entry_kind kind;
    bool executable;
    const char *target; /* links */
    uint64_t size;      /* files; filled when read */
    unsigned char object[32]; /* git: the blob's id */
    int64_t position;   /* archive: where its bytes stand in the spool */
    char sha256[SHA256_HEX_SIZE];
};

struct package {
    struct arena arena;
    struct entry *entries; /* sorted by path before they are written */
    size_t entry_count;
    time_t time;           /* the release's and every entry's */
    uint64_t unpacked_bytes;
    char release[RELEASE_ID_LENGTH + 1];
    char *description;
    struct strbuf manifest;
    char manifest_sha256[SHA256_HEX_SIZE];
    FILE *spool;           /* the uncompressed tar, an unlinked temporary file */
    struct packed {
        bool made;
        struct package_bytes bytes; /* mapped */
    } packed[2];           /* by enum compression */
};

int package_new(struct package **out, struct err *err);

/* Adds an entry after checking that its path and link target stay inside the release. The path is copied. NULL with `err` set. */
struct entry *package_add(struct package *package, const char *path, enum entry_kind kind, const char *target,
                          struct err *err);

/* Gives a file's bytes, piece by piece, to `sink`. */
typedef int entry_sink_fn(void *context, const void *bytes, size_t length, struct err *err);
typedef int entry_read_fn(void *context, struct entry *entry, entry_sink_fn *sink, void *sink_context,
                          struct err *err);
/* Sorts the entries, reads every file once, writes the canonical tar and the manifest. package->time must be set. */
int package_seal(struct package *package, entry_read_fn *read, void *context, struct err *err);
/* Sets the release id from time and the first 12 of `hex`. */
void package_name(struct package *package, const char *hex);

#endif
