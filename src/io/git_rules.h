/*
 * A commit's own `export-ignore` rules, and nobody else's.
 *
 * libgit2's look-up also reads the index, the working tree, $GIT_DIR/info/attributes and the user's
 * files, and takes no folder
 * (`docs/ export-ignore`) in a bare repository. So the commit's .gitattributes files are copied
 * into two repositories in memory: one where rules for folders have lost their slash, to ask about
 * folders, and one without those rules, to ask about files.
 */
#ifndef IO_GIT_RULES_H
#define IO_GIT_RULES_H

#include <git2.h>
#include <stdbool.h>

#include "base/err.h"

struct git_rules;
/* `*out` is NULL when nothing in that tree speaks of export-ignore. */
int git_rules_create(struct git_rules **out, git_repository *repository, const git_tree *tree,
                     struct err *err);
void git_rules_free(struct git_rules *rules);
/* 1: `path` (from the top of the repository) is left out; 0: it is not; negative: err. */
int git_rules_ignore(struct git_rules *rules, const char *path, bool folder, struct err *err);

/* ERR_IO with libgit2's last words. */
int git_fault(struct err *err, const char *what);

#define GIT_DEPTH_MAX 512

#endif
