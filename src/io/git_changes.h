/* What a work tree has changed and not committed: for a warning, never for a decision. */
#ifndef IO_GIT_CHANGES_H
#define IO_GIT_CHANGES_H

#include <git2.h>

/* `2 files are changed and not committed: bin/start, ...`, of those that git tracks, in `folder` (from the top of the repository; empty: everywhere).
 * NULL: none, or nobody can say: a bare repository, a commit that is not checked out, no memory. The caller frees it. */
char *git_changes(git_repository *repository, const git_commit *commit, const char *folder);

#endif
