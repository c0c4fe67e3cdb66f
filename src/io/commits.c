#include "io/commits.h"

#include <git2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "io/package.h"

#define ANSWERS_MAX 256
#define WALK_MAX 500000 /* commits that are looked at for one of a folder's releases */
#define STAMP_LENGTH 17 /* `YYYYMMDDTHHMMSSZ-` */

struct answer {
    char release[RELEASE_ID_LENGTH + 1], other[RELEASE_ID_LENGTH + 1];
    enum contains contains;
};

struct commits {
    char *location, *path; /* path: NULL, all of a commit */
    bool opened;
    git_repository *repository; /* NULL: there is none */
    struct answer answers[ANSWERS_MAX];
    size_t count;
};

struct commits *commits_create(const char *location, const char *path)
{
    struct commits *commits = calloc(1, sizeof(*commits));
    if (!commits)
        return NULL;
    commits->location = strdup(location);
    commits->path = path ? strdup(path) : NULL;
    if (commits->location && (!path || commits->path))
        return commits;
    commits_free(commits);
    return NULL;
}

void commits_free(struct commits *commits)
{
    if (!commits)
        return;
    git_repository_free(commits->repository);
    if (commits->opened)
        git_libgit2_shutdown();
    free(commits->location);
    free(commits->path);
    free(commits);
}

static bool is_open(struct commits *commits)
{
    if (!commits->opened && git_libgit2_init() < 0)
        return false;
    if (!commits->opened && git_repository_open_ext(&commits->repository, commits->location, 0, NULL) < 0)
        commits->repository = NULL;
    commits->opened = true;
    return commits->repository != NULL;
}

/* --- from a release to its commit --- */

static bool is_of_time(git_commit *commit, const char *release)
{
    char stamp[STAMP_LENGTH + 1];
    time_t seconds = (time_t)git_commit_time(commit);
    struct tm utc;
    return gmtime_r(&seconds, &utc) && strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ-", &utc) == STAMP_LENGTH &&
           strncmp(stamp, release, STAMP_LENGTH) == 0;
}

static bool has_tree(git_commit *commit, const char *path, const char *hex)
{
    git_tree *top = NULL;
    git_tree_entry *entry = NULL;
    char text[GIT_OID_HEXSZ + 1];
    bool has = git_commit_tree(&top, commit) == 0 && git_tree_entry_bypath(&entry, top, path) == 0;
    if (has)
        has = strncmp(git_oid_tostr(text, sizeof(text), git_tree_entry_id(entry)), hex, strlen(hex)) == 0;
    git_tree_entry_free(entry);
    git_tree_free(top);
    return has;
}

/* The commit that a release was packed from, of all that branches and tags lead to. */
static bool find_by_tree(git_oid *out, const struct commits *commits, const char *release)
{
    git_revwalk *walk = NULL;
    bool found = false;
    if (git_revwalk_new(&walk, commits->repository) < 0)
        return false;
    git_revwalk_push_head(walk);
    git_revwalk_push_glob(walk, "*");
    for (size_t i = 0; i < WALK_MAX && !found && git_revwalk_next(out, walk) == 0; i++) {
        git_commit *commit;
        if (git_commit_lookup(&commit, commits->repository, out) < 0)
            continue;
        found = is_of_time(commit, release) && has_tree(commit, commits->path, release + STAMP_LENGTH);
        git_commit_free(commit);
    }
    git_revwalk_free(walk);
    return found;
}

static bool find_by_id(git_oid *out, const struct commits *commits, const char *release)
{
    git_oid prefix;
    git_commit *commit;
    size_t length = strlen(release + STAMP_LENGTH);
    if (git_oid_fromstrn(&prefix, release + STAMP_LENGTH, length) < 0 ||
        git_commit_lookup_prefix(&commit, commits->repository, &prefix, length) < 0)
        return false;
    bool found = is_of_time(commit, release);
    *out = *git_commit_id(commit);
    git_commit_free(commit);
    return found;
}

static bool find_commit(git_oid *out, const struct commits *commits, const char *release)
{
    if (strlen(release) != RELEASE_ID_LENGTH)
        return false;
    return commits->path ? find_by_tree(out, commits, release) : find_by_id(out, commits, release);
}

/* --- ancestry --- */

static enum contains ask(const struct commits *commits, const char *release, const char *other)
{
    git_oid commit, before;
    if (!find_commit(&commit, commits, release) || !find_commit(&before, commits, other))
        return CONTAINS_UNKNOWN;
    if (git_oid_equal(&commit, &before))
        return CONTAINS_YES;
    /* libgit2 1.5 leaks the commit whose parents are not there */
    if (git_repository_is_shallow(commits->repository))
        return CONTAINS_UNKNOWN;
    int follows = git_graph_descendant_of(commits->repository, &commit, &before);
    return follows == 1 ? CONTAINS_YES : follows == 0 ? CONTAINS_NO : CONTAINS_UNKNOWN;
}

enum contains commits_contain(struct commits *commits, const char *release, const char *other)
{
    if (!commits || !is_open(commits))
        return CONTAINS_UNKNOWN;
    for (size_t i = 0; i < commits->count; i++)
        if (strcmp(commits->answers[i].release, release) == 0 && strcmp(commits->answers[i].other, other) == 0)
            return commits->answers[i].contains;
    enum contains contains = ask(commits, release, other);
    if (commits->count < ANSWERS_MAX && contains != CONTAINS_UNKNOWN) {
        struct answer *answer = &commits->answers[commits->count++];
        snprintf(answer->release, sizeof(answer->release), "%s", release);
        snprintf(answer->other, sizeof(answer->other), "%s", other);
        answer->contains = contains;
    }
    return contains;
}
