#include <git2.h>
#include <git2/sys/repository.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "package_internal.h"

#define LFS_MARK "version https://git-lfs.github.com/spec/"
#define NEAR_REFS_MAX 2000
#define TREE_DEPTH_MAX 100

struct gathering {
    git_repository *repository;
    git_oid commit;
    struct package *package;
    struct err *err;
};

static int git_fail(struct err *err, int code, const char *what)
{
    const git_error *error = git_error_last();
    return err_set(err, code, "%s: %s", what, error && error->message ? error->message : "no reason given");
}

/* --- the repository --- */

/* Only the commit counts: no working tree, and an empty index, so that an uncommitted .gitattributes changes nothing. */
static int hide_index(git_repository *repository, struct err *err)
{
    git_index *index = NULL;
    if (git_index_new(&index) < 0 || git_repository_set_index(repository, index) < 0) {
        git_index_free(index);
        return git_fail(err, ERR_IO, "git");
    }
    git_index_free(index);
    return 0;
}

static int explain_open(const char *location, int rc, struct err *err)
{
    const git_error *error = git_error_last();
    const char *text = error && error->message ? error->message : "";
    if (strstr(text, "safe.directory") || rc == GIT_EOWNER || strstr(text, "not owned"))
        return err_set(err, ERR_REFUSED,
                       "%s belongs to another user, and git does not trust it; if you do: "
                       "git config --global --add safe.directory <its absolute path>",
                       location);
    if (rc == GIT_ENOTFOUND)
        return err_set(err, ERR_NOT_FOUND, "%s: is not in a git repository", location);
    if (strstr(text, "extension"))
        return err_set(err, ERR_UNSUPPORTED, "%s: this kind of repository cannot be read (%s)", location,
                       text);
    return git_fail(err, ERR_IO, location);
}

static int open_repository(git_repository **out, const char *location, struct err *err)
{
    git_buf found = {0};
    int rc = git_repository_discover(&found, location, 0, NULL);
    if (rc == 0)
        rc = git_repository_open_ext(out, found.ptr,
                                     GIT_REPOSITORY_OPEN_BARE | GIT_REPOSITORY_OPEN_NO_SEARCH, NULL);
    git_buf_dispose(&found);
    return rc < 0 ? explain_open(location, rc, err) : hide_index(*out, err);
}

/* --- the commit --- */

struct ref_names {
    const char *items[NEAR_REFS_MAX];
    size_t count;
    struct arena arena;
};

static int keep_name(const char *name, void *payload)
{
    struct ref_names *names = payload;
    const char *bare = strncmp(name, "refs/heads/", 11) == 0     ? name + 11
                       : strncmp(name, "refs/tags/", 10) == 0    ? name + 10
                       : strncmp(name, "refs/remotes/", 13) == 0 ? name + 13
                                                                 : NULL;
    if (bare && names->count < NEAR_REFS_MAX)
        names->items[names->count++] = arena_strdup(&names->arena, bare);
    return 0;
}

static int unknown_ref(git_repository *repository, const char *location, const char *ref, struct err *err)
{
    struct ref_names *names = calloc(1, sizeof(*names));
    const char *near = NULL;
    if (names) {
        git_reference_foreach_name(repository, keep_name, names);
        near = text_nearest(ref, names->items, names->count);
    }
    err_set(err, ERR_NOT_FOUND, "%s: there is no commit '%s'%s%s%s; fetch it first (git -C %s fetch)",
            location, ref, near ? "; did you mean '" : "", near ? near : "", near ? "'" : "", location);
    if (names)
        arena_release(&names->arena);
    free(names);
    return ERR_NOT_FOUND;
}

static int find_commit(git_commit **out, git_repository *repository, const char *location, const char *ref,
                       struct err *err)
{
    git_object *object = NULL;
    struct strbuf expression;
    if (!ref[0] || strstr(ref, "@{") || strstr(ref, ".."))
        return err_set(err, ERR_INPUT,
                       "'%s' does not name one commit for everybody; use a branch, a tag or a commit id",
                       ref);
    strbuf_init(&expression, 4096);
    strbuf_addf(&expression, "%s^{commit}", ref);
    int rc = git_revparse_single(&object, repository, expression.text);
    strbuf_release(&expression);
    if (rc == GIT_EAMBIGUOUS)
        return err_set(err, ERR_NOT_FOUND, "%s: '%s' names more than one commit; give more digits",
                       location, ref);
    if (rc == GIT_ENOTFOUND || rc == GIT_EINVALIDSPEC || rc == GIT_EPEEL)
        return unknown_ref(repository, location, ref, err);
    if (rc < 0)
        return git_fail(err, ERR_IO, location);
    *out = (git_commit *)object;
    return 0;
}

static int find_tree(git_tree **out, git_commit *commit, const char *path, struct err *err)
{
    git_tree *top = NULL;
    git_tree_entry *entry = NULL;
    int rc = 0;
    if (git_commit_tree(&top, commit) < 0)
        return git_fail(err, ERR_IO, "git");
    if (!path || !path[0]) {
        *out = top;
        return 0;
    }
    if (git_tree_entry_bypath(&entry, top, path) < 0)
        rc = err_set(err, ERR_NOT_FOUND, "path '%s' is not in the commit", path);
    else if (git_tree_entry_type(entry) != GIT_OBJECT_TREE)
        rc = err_set(err, ERR_INPUT, "path '%s' is not a folder of the commit", path);
    else if (git_tree_lookup(out, git_commit_owner(commit), git_tree_entry_id(entry)) < 0)
        rc = git_fail(err, ERR_IO, "git");
    git_tree_entry_free(entry);
    git_tree_free(top);
    return rc;
}

/* --- its files --- */

static int is_ignored(struct gathering *gathering, const char *path, bool *out)
{
    git_attr_options options = {.version = GIT_ATTR_OPTIONS_VERSION};
    const char *value = NULL;
    options.flags = GIT_ATTR_CHECK_INDEX_ONLY | GIT_ATTR_CHECK_INCLUDE_COMMIT | GIT_ATTR_CHECK_NO_SYSTEM;
    git_oid_cpy(&options.attr_commit_id, &gathering->commit);
    if (git_attr_get_ext(&value, gathering->repository, &options, path, "export-ignore") < 0)
        return git_fail(gathering->err, ERR_IO, path);
    *out = git_attr_value(value) == GIT_ATTR_VALUE_TRUE;
    return 0;
}

static int add_blob(struct gathering *gathering, const git_tree_entry *from, const char *path,
                    const char *inside)
{
    unsigned mode = git_tree_entry_filemode(from);
    git_blob *blob = NULL;
    char *target = NULL;
    if (git_blob_lookup(&blob, gathering->repository, git_tree_entry_id(from)) < 0)
        return git_fail(gathering->err, ERR_IO, path);
    const char *bytes = git_blob_rawcontent(blob);
    uint64_t size = (uint64_t)git_blob_rawsize(blob);
    bool lfs = size > sizeof(LFS_MARK) - 1 && size < 1024 && memcmp(bytes, LFS_MARK, sizeof(LFS_MARK) - 1) == 0;
    int rc = 0;
    if (lfs)
        rc = err_set(gathering->err, ERR_UNSUPPORTED,
                     "%s: is a git LFS pointer, not the file; deploy from a folder (dir =) that git lfs filled",
                     path);
    if (rc == 0 && mode == GIT_FILEMODE_LINK)
        target = arena_strndup(&gathering->package->arena, bytes, size);
    if (rc == 0) {
        struct entry *entry = package_add(gathering->package, inside,
                                          target ? ENTRY_LINK : ENTRY_FILE, target, gathering->err);
        if (entry) {
            entry->executable = mode == GIT_FILEMODE_BLOB_EXECUTABLE;
            entry->size = size;
            memcpy(entry->object, git_tree_entry_id(from)->id, GIT_OID_RAWSZ);
        } else {
            rc = gathering->err->code;
        }
    }
    git_blob_free(blob);
    return rc;
}

static int walk(struct gathering *gathering, const git_tree *tree, const char *path, const char *inside,
                int depth);

static int walk_folder(struct gathering *gathering, const git_tree_entry *from, const char *path,
                       const char *inside, int depth)
{
    git_tree *tree = NULL;
    if (!package_add(gathering->package, inside, ENTRY_FOLDER, NULL, gathering->err))
        return gathering->err->code;
    if (git_tree_lookup(&tree, gathering->repository, git_tree_entry_id(from)) < 0)
        return git_fail(gathering->err, ERR_IO, path);
    int rc = walk(gathering, tree, path, inside, depth + 1);
    git_tree_free(tree);
    return rc;
}

static int add_entry(struct gathering *gathering, const git_tree_entry *from, const char *path,
                     const char *inside, int depth)
{
    bool ignored = false;
    int rc = is_ignored(gathering, path, &ignored);
    if (rc < 0 || ignored)
        return rc;
    switch (git_tree_entry_type(from)) {
    case GIT_OBJECT_TREE:
        return walk_folder(gathering, from, path, inside, depth);
    case GIT_OBJECT_BLOB:
        return add_blob(gathering, from, path, inside);
    default:
        return err_set(gathering->err, ERR_UNSUPPORTED,
                       "%s: is a submodule, whose files are not in the commit; deploy from a folder (dir =) "
                       "where it is checked out",
                       path);
    }
}

/* `path`: in the commit, for attributes and messages; `inside`: in the release. */
static int walk(struct gathering *gathering, const git_tree *tree, const char *path, const char *inside,
                int depth)
{
    struct strbuf full, release;
    int rc = 0;
    if (depth > TREE_DEPTH_MAX)
        return err_set(gathering->err, ERR_UNSUPPORTED, "%s: more than %d folders deep", path, TREE_DEPTH_MAX);
    strbuf_init(&full, 65536);
    strbuf_init(&release, 65536);
    size_t count = git_tree_entrycount(tree);
    for (size_t i = 0; i < count && rc == 0; i++) {
        const git_tree_entry *from = git_tree_entry_byindex(tree, i);
        const char *name = git_tree_entry_name(from);
        strbuf_reset(&full);
        strbuf_reset(&release);
        strbuf_addf(&full, "%s%s%s", path, path[0] ? "/" : "", name);
        strbuf_addf(&release, "%s%s%s", inside, inside[0] ? "/" : "", name);
        rc = add_entry(gathering, from, full.text, release.text, depth);
    }
    strbuf_release(&full);
    strbuf_release(&release);
    return rc;
}

static int read_blob(void *context, struct entry *entry, entry_sink_fn *sink, void *sink_context,
                     struct err *err)
{
    struct gathering *gathering = context;
    git_blob *blob = NULL;
    git_oid id;
    git_oid_fromraw(&id, entry->object);
    if (git_blob_lookup(&blob, gathering->repository, &id) < 0)
        return git_fail(err, ERR_IO, entry->path);
    int rc = sink(sink_context, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob), err);
    git_blob_free(blob);
    return rc;
}

/* --- the whole --- */

static void name_release(struct gathering *gathering, git_commit *commit, const git_tree *tree,
                         const char *ref, const char *path)
{
    char hex[GIT_OID_HEXSZ + 1];
    struct strbuf text;
    git_oid_tostr(hex, sizeof(hex), path && path[0] ? git_tree_id(tree) : git_commit_id(commit));
    package_name(gathering->package, hex);
    git_oid_tostr(hex, sizeof(hex), git_commit_id(commit));
    const char *summary = git_commit_summary(commit);
    strbuf_init(&text, 400);
    strbuf_addf(&text, "%s %.12s \"", ref, hex);
    if (summary)
        text_sanitize(&text, summary, strnlen(summary, 200), false);
    strbuf_addc(&text, '"');
    gathering->package->description = arena_strdup(&gathering->package->arena, text.text);
    strbuf_release(&text);
}

static int gather(struct gathering *gathering, const char *location, const char *ref, const char *path)
{
    git_commit *commit = NULL;
    git_tree *tree = NULL;
    char *base = arena_strdup(&gathering->package->arena, path ? path : "");
    size_t length = base ? strlen(base) : 0;
    while (length && base[length - 1] == '/')
        base[--length] = '\0';
    int rc = open_repository(&gathering->repository, location, gathering->err);
    if (rc == 0)
        rc = find_commit(&commit, gathering->repository, location, ref, gathering->err);
    if (rc == 0)
        rc = find_tree(&tree, commit, base, gathering->err);
    if (rc == 0) {
        git_oid_cpy(&gathering->commit, git_commit_id(commit));
        gathering->package->time = (time_t)git_commit_time(commit);
        name_release(gathering, commit, tree, ref, base);
        rc = walk(gathering, tree, base, "", 0);
    }
    if (rc == 0)
        rc = package_seal(gathering->package, read_blob, gathering, gathering->err);
    git_tree_free(tree);
    git_commit_free(commit);
    git_repository_free(gathering->repository);
    return rc;
}

int package_from_git(struct package **out, const char *location, const char *ref, const char *path,
                     struct err *err)
{
    struct gathering gathering = {.err = err};
    int rc = package_new(&gathering.package, err);
    *out = NULL;
    if (rc < 0)
        return rc;
    git_libgit2_init();
    rc = gather(&gathering, location, ref, path);
    git_libgit2_shutdown();
    if (rc < 0)
        package_free(gathering.package);
    else
        *out = gathering.package;
    return rc;
}
