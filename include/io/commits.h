/*
 * Which release contains which, by the history of a local git repository. A release id names its commit by time and 12 hex; with `path` it names a
 * folder's tree, and its commit is the one of that time that has the tree. Reads only, fetches nothing, and never fails: what the repository does not
 * have (another source, a clone without that commit, a shallow one, in which the way between two commits may be missing) is unknown.
 *
 * Blocking, as io/package.h. Answers are kept.
 */
#ifndef IO_COMMITS_H
#define IO_COMMITS_H

enum contains { CONTAINS_UNKNOWN, CONTAINS_NO, CONTAINS_YES };
struct commits;

/* The repository at `location` (as io/package.h finds it) is opened by the first question; `path`: the folder that releases consist of, NULL: all.
 * Texts are copied. NULL when out of memory. */
struct commits *commits_create(const char *location, const char *path);
void commits_free(struct commits *commits);

/* Whether the commit of `release` is that of `other` or comes after it by ancestry. UNKNOWN also when `commits` is NULL. */
enum contains commits_contain(struct commits *commits, const char *release, const char *other);

#endif
