/*
 * A release, packed once: the tree of a git commit, a folder or an archive as one canonical tar
 * with a manifest.
 *
 * The same source gives the same bytes: entries sorted by path, owner 0, all times the release's,
 * modes 0644, 0755 or 0777 for links. A file that its folder or archive keeps from others stays so: 0600, 0700, or for its group 0640, 0750. Nothing of the working tree, the index or the user's git
 * configuration enters a git package: the commit's own attributes decide `export-ignore`. Refused
 * with a clear word: submodules, LFS pointers, special files, absolute or `..` links and names,
 * what git says is not a repository, another owner's repository, control characters in names, an
 * empty release. No filter of git is applied (eol, ident, export-subst). Links may climb by leading
 * `..` only, and stay inside. Blocking calls: make the package before the loop runs.
 */
#ifndef IO_PACKAGE_H
#define IO_PACKAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RELEASE_ID_LENGTH 29 /* YYYYMMDDTHHMMSSZ-<12 hex> */

enum compression { COMPRESSION_ZSTD, COMPRESSION_GZIP };

struct package;

/* Each takes at most `bytes_max` bytes of files, as they are unpacked. */
#define PACKAGE_BYTES_MAX (UINT64_C(4) << 30) /* by default */

/* A commit of a local repository: a branch, a tag, an id, `main~2`; nothing that asks the reflog;
 * NULL: HEAD. With `path`, that folder's files alone, at the top. The release's time is the
 * commit's; its 12 hex are the commit's, or with `path` those of that folder's tree. `location`:
 * the work tree or the bare repository (found from a folder inside it too). */
int package_from_git(struct package **out, const char *location, const char *ref, const char *path,
                     uint64_t bytes_max, struct err *err);
/* A folder, but a `.git` at its top. Time: the newest file's; hex: of the manifest's sha256. */
int package_from_directory(struct package **out, const char *location, uint64_t bytes_max, struct err *err);
/* A tar, plain or by gzip, bzip2, compress, xz, lzma, lz4, zstd. As for a folder. Hard links become
 * files of their own. */
int package_from_archive(struct package **out, const char *location, uint64_t bytes_max, struct err *err);
void package_free(struct package *package);

/* All borrowed until package_free. */
const char *package_release(const struct package *package); /* the release id */
const char *package_description(
    const struct package *package); /* `main 1a2b3c4d5e6f "subject"`, or the folder */
/* What the release lacks, since the work tree has it and its commit has not: `2 files are changed and not committed: a, b`. NULL: nothing; the commit
 * is not the one that is checked out; the source is no git repository. Of files that git tracks, in `path`. */
const char *package_uncommitted(const struct package *package);
const char *package_manifest(const struct package *package,
                             size_t *length); /* lines `<sha256> <mode> <size> <path>`;
                                               * link: sha256 of its target, mode 120000 */
const char *package_manifest_sha256(const struct package *package); /* hex */
/* What it takes on a file system with blocks of 4 KiB. */
uint64_t package_unpacked_bytes(const struct package *package);
/* Files, links and folders. */
uint64_t package_entries(const struct package *package);

/* The compressed tar, made at the first call for that compression and kept: one read-only buffer
 * for all nodes, with its sha256 in hex. The tar holds the release's files at its top and the
 * manifest as `.deployctl-manifest`. */
struct package_bytes {
    const unsigned char *bytes;
    size_t length;
    uint64_t tar_length; /* of the tar itself */
    char sha256[65];
};
int package_pack(struct package *package, enum compression compression, struct package_bytes *out,
                 struct err *err);

#endif
