/*
 * What the three sources share: a package whose tree they fill, and what is said about it at the
 * end.
 */
#ifndef IO_PACKAGE_INTERNAL_H
#define IO_PACKAGE_INTERNAL_H

#include "io/package.h"
#include "package_tree.h"

struct packed {
    int file;
    bool made;
    struct package_bytes bytes;
};

struct package {
    struct tree tree;
    int64_t time; /* seconds since 1970 UTC */
    char release[RELEASE_ID_LENGTH + 1];
    char *description, *uncommitted; /* NULL: nothing is */
    struct strbuf manifest;
    char manifest_sha256[SHA256_HEX];
    struct packed packed[2]; /* by enum compression */
};

/* An empty package, to be filled; freed by package_free also when half made. */
int package_create(struct package **out, uint64_t bytes_max, struct err *err);
/* Settles the tree, writes the manifest and names the release. `hex`: at least 12 digits; NULL: the
 * manifest's digest. `location` is for messages. `description` is copied. */
int package_finish(struct package *package, const char *location, int64_t time, const char *hex,
                   const char *description, struct err *err);

#endif
