#include "package_internal.h"

#include <git2.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "git_changes.h"
#include "git_rules.h"

struct checkout {
    struct package *package;
    git_repository *repository;
    struct git_rules *rules; /* NULL: there are none */
    struct strbuf path;      /* from the top of the repository */
    size_t skip;             /* how much of it the release does not have */
};

/* --- the repository --- */

static int open_fault(int code, const char *location, struct err *err)
{
    const git_error *last = git_error_last();
    const char *reason = last ? last->message : "";
    if (code == GIT_EOWNER || (code == GIT_ENOTFOUND && strstr(reason, "safe.directory")))
        return err_set(
            err, ERR_REFUSED,
            "the git repository %s belongs to another user, so git does not trust it; if you "
            "do: git config --global --add safe.directory %s",
            location, location);
    if (code == GIT_ENOTFOUND)
        return err_set(err, ERR_NOT_FOUND, "%s is no git repository, nor is it inside one",
                       location);
    if (strstr(reason, "unsupported extension") || strstr(reason, "repository version"))
        return err_set(
            err, ERR_UNSUPPORTED,
            "the git repository %s has a format that libgit2 here cannot read (%s); deploy "
            "what `git archive` writes, with archive =",
            location, reason);
    return err_set(err, ERR_IO, "cannot open the git repository %s: %s", location, reason);
}

/* As git finds it: from a folder inside upwards, on one file system. */
static int repository_open(git_repository **out, const char *location, struct err *err)
{
    int rc = git_repository_open_ext(out, location, 0, NULL);
    return rc < 0 ? open_fault(rc, location, err) : 0;
}

/* --- the commit --- */

#define NAMES_MAX 2000

/* Short names of branches and tags, in the arena. */
static size_t list_names(git_repository *repository, struct arena *arena, const char **names)
{
    static const char *const prefixes[] = {"refs/heads/", "refs/tags/", "refs/remotes/"};
    git_reference_iterator *iterator;
    const char *full;
    size_t count = 0;
    if (git_reference_iterator_new(&iterator, repository) < 0)
        return 0;
    while (count < NAMES_MAX && git_reference_next_name(&full, iterator) == 0)
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
            size_t length = strlen(prefixes[i]);
            if (strncmp(full, prefixes[i], length) == 0 &&
                (names[count] = arena_strdup(arena, full + length)))
                count++;
        }
    git_reference_iterator_free(iterator);
    return count;
}

static const char *near_name(const char *ref, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) { /* `feature`, where only origin/feature is here */
        const char *slash = strchr(names[i], '/');
        if (slash && strcmp(slash + 1, ref) == 0)
            return names[i];
    }
    return text_nearest(ref, names, count);
}

static int unknown_ref(git_repository *repository, const char *location, const char *ref,
                       struct err *err)
{
    char name[304], other[304];
    struct arena arena;
    struct strbuf hint;
    arena_init(&arena);
    strbuf_init(&hint, 900);
    const char **names = arena_alloc(&arena, NAMES_MAX * sizeof(*names));
    size_t count = names ? list_names(repository, &arena, names) : 0;
    const char *near = near_name(ref, names, count);
    if (near)
        strbuf_addf(&hint, "the nearest name is '%s'", shown(other, near));
    else if (count == 0)
        strbuf_adds(&hint, "there is no branch or tag yet");
    else
        for (size_t i = 0; i < count && i < 5; i++)
            strbuf_addf(&hint, "%s%s", i ? ", " : "it has ", shown(other, names[i]));
    if (!near && count > 5)
        strbuf_addf(&hint, " and %zu more", count - 5);
    if (git_repository_is_empty(repository) == 1)
        err_set(err, ERR_NOT_FOUND, "nothing is committed in %s yet, so there is no '%s'; commit what is to be deployed",
                location, shown(name, ref));
    else
        err_set(err, ERR_NOT_FOUND, "'%s' is no commit, branch or tag in %s: %s; `%s` may bring it",
                shown(name, ref), location, hint.text,
                git_repository_is_shallow(repository) == 1 ? "git fetch --unshallow --tags"
                                                           : "git fetch --tags");
    strbuf_release(&hint);
    arena_release(&arena);
    return ERR_NOT_FOUND;
}

/* Forms that name no one commit, or another one tomorrow. */
static const char *ref_trouble(const char *ref)
{
    if (!*ref)
        return "is empty";
    if (strstr(ref, "@{"))
        return "asks this clone's reflog, which says something else elsewhere";
    if (strstr(ref, ".."))
        return "is a range";
    for (const char *at = ref; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            return "has a control character";
    return NULL;
}

static int find_commit(git_commit **out, git_repository *repository, const char *location,
                       const char *ref, struct err *err)
{
    char name[304];
    git_object *object = NULL;
    const char *trouble = ref_trouble(ref);
    if (trouble)
        return err_set(err, ERR_INPUT, "ref '%s' %s; name a commit, a branch or a tag",
                       shown(name, ref), trouble);
    int rc = git_revparse_single(&object, repository, ref);
    if (rc == GIT_EAMBIGUOUS)
        return err_set(err, ERR_INPUT,
                       "'%s' is the beginning of several commits in %s; write more of it",
                       shown(name, ref), location);
    if (rc == GIT_EINVALIDSPEC)
        return err_set(err, ERR_INPUT, "ref '%s' is malformed; name a commit, a branch or a tag",
                       shown(name, ref));
    if (rc < 0)
        return unknown_ref(repository, location, ref, err);
    rc = git_object_peel((git_object **)out, object, GIT_OBJECT_COMMIT);
    git_object_free(object);
    if (rc < 0)
        return err_set(err, ERR_INPUT, "'%s' in %s is no commit, nor does it lead to one",
                       shown(name, ref), location);
    return 0;
}

/* --- its tree --- */

static int add_blob(struct checkout *checkout, const git_tree_entry *entry, struct err *err)
{
    struct tree *tree = &checkout->package->tree;
    const char *path = checkout->path.text + checkout->skip;
    git_filemode_t mode = git_tree_entry_filemode(entry);
    git_blob *blob;
    int rc;
    if (git_blob_lookup(&blob, checkout->repository, git_tree_entry_id(entry)) < 0)
        return git_fault(err, "cannot read a file's content; the clone may be partial: `git fetch "
                              "--refetch --no-filter` completes it");
    const void *bytes = git_blob_rawcontent(blob);
    size_t size = (size_t)git_blob_rawsize(blob);
    if (mode == GIT_FILEMODE_LINK) {
        char *target = strndup(size ? bytes : "", size);
        rc = !target ? err_set(err, ERR_MEMORY, "out of memory")
             : strlen(target) != size
                 ? err_set(err, ERR_INPUT, "the link '%s' has a NUL byte in its target", path)
                 : tree_add_link(tree, path, target, err);
        free(target);
    } else {
        rc = tree_file_start(tree, path, mode == GIT_FILEMODE_BLOB_EXECUTABLE ? 0755 : 0644, err);
        if (rc == 0)
            rc = tree_file_write(tree, bytes, size, err);
        if (rc == 0)
            rc = tree_file_end(tree, err);
    }
    git_blob_free(blob);
    return rc;
}

static int add_tree(struct checkout *checkout, const git_oid *id, unsigned depth, struct err *err);

static int add_entry(struct checkout *checkout, const git_tree_entry *entry, unsigned depth,
                     struct err *err)
{
    char name[304];
    git_filemode_t mode = git_tree_entry_filemode(entry);
    if (checkout->rules) {
        int ignored =
            git_rules_ignore(checkout->rules, checkout->path.text, mode == GIT_FILEMODE_TREE, err);
        if (ignored)
            return ignored < 0 ? ignored : 0;
    }
    if (mode == GIT_FILEMODE_COMMIT)
        return err_set(
            err, ERR_INPUT,
            "'%s' is a submodule, which git does not hold in the commit; deploy a checked-out "
            "folder (dir =), or leave it out by export-ignore in .gitattributes",
            shown(name, checkout->path.text));
    if (mode != GIT_FILEMODE_TREE)
        return add_blob(checkout, entry, err);
    strbuf_addc(&checkout->path, '/');
    return add_tree(checkout, git_tree_entry_id(entry), depth + 1, err);
}

static int add_tree(struct checkout *checkout, const git_oid *id, unsigned depth, struct err *err)
{
    size_t length = checkout->path.length;
    git_tree *tree;
    int rc = 0;
    if (depth > GIT_DEPTH_MAX)
        return err_set(err, ERR_INPUT, "more than %d folders deep", GIT_DEPTH_MAX);
    if (git_tree_lookup(&tree, checkout->repository, id) < 0)
        return git_fault(err, "cannot read a folder");
    for (size_t i = 0; rc == 0 && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        strbuf_adds(&checkout->path, git_tree_entry_name(entry));
        rc = checkout->path.overflowed ? err_set(err, ERR_INPUT, "a path is too long")
                                       : add_entry(checkout, entry, depth, err);
        checkout->path.length = length;
        checkout->path.text[length] = '\0';
    }
    git_tree_free(tree);
    return rc;
}

/* `path` as git wants it; empty for the top. */
static int plain_folder(struct strbuf *out, const char *path, struct err *err)
{
    while (path && path[0] == '.' && (path[1] == '/' || path[1] == '\0')) {
        path++;
        path += strspn(path, "/");
    }
    strbuf_adds(out, path ? path : "");
    while (out->length && out->text[out->length - 1] == '/')
        out->text[--out->length] = '\0';
    return out->overflowed ? err_set(err, ERR_INPUT, "path is too long") : 0;
}

/* The tree to take: the commit's, or that of the folder. */
static int find_folder(git_oid *out, const git_tree *top, const char *folder, const char *ref,
                       struct err *err)
{
    git_tree_entry *entry;
    char name[304];
    if (!*folder) {
        *out = *git_tree_id(top);
        return 0;
    }
    if (git_tree_entry_bypath(&entry, top, folder) < 0)
        return err_set(err, ERR_NOT_FOUND, "path '%s' is not in %s", shown(name, folder), ref);
    bool is_folder = git_tree_entry_type(entry) == GIT_OBJECT_TREE;
    *out = *git_tree_entry_id(entry);
    git_tree_entry_free(entry);
    return is_folder
               ? 0
               : err_set(err, ERR_INPUT, "path '%s' in %s is no folder", shown(name, folder), ref);
}

static char *describe(git_commit *commit, const char *ref)
{
    char hex[GIT_OID_HEXSZ + 1], name[304];
    const char *summary = git_commit_summary(commit);
    struct strbuf text;
    strbuf_init(&text, 1200);
    git_oid_tostr(hex, sizeof(hex), git_commit_id(commit));
    if (strncmp(hex, ref, strlen(ref)) != 0)
        strbuf_addf(&text, "%s ", shown(name, ref));
    strbuf_addf(&text, "%.12s \"", hex);
    if (summary) {
        size_t length = strlen(summary);
        text_sanitize(&text, summary, length < 200 ? length : 200, false);
    }
    strbuf_addc(&text, '"');
    return strbuf_detach(&text);
}

static int finish(struct checkout *checkout, git_commit *commit, const char *location,
                  const char *ref, const git_oid *folder, struct err *err)
{
    char hex[GIT_OID_HEXSZ + 1];
    git_oid_tostr(hex, sizeof(hex), checkout->skip ? folder : git_commit_id(commit));
    char *description = describe(commit, ref);
    int rc = description ? package_finish(checkout->package, location, git_commit_time(commit), hex,
                                          description, err)
                         : err_set(err, ERR_MEMORY, "out of memory");
    free(description);
    checkout->path.text[checkout->skip] = '\0';
    if (rc == 0)
        checkout->package->uncommitted = git_changes(checkout->repository, commit, checkout->path.text);
    return rc;
}

static int check_out(struct checkout *checkout, git_commit *commit, const char *location,
                     const char *ref, struct err *err)
{
    git_tree *top = NULL;
    git_oid folder;
    int rc;
    if (git_commit_tree(&top, commit) < 0)
        return git_fault(err, "cannot read the commit's tree");
    rc = find_folder(&folder, top, checkout->path.text, ref, err);
    if (rc == 0)
        rc = git_rules_create(&checkout->rules, checkout->repository, top, err);
    if (rc == 0 && checkout->path.length)
        strbuf_addc(&checkout->path, '/');
    checkout->skip = checkout->path.length;
    if (rc == 0)
        rc = add_tree(checkout, &folder, 0, err);
    if (rc < 0)
        err_prefix(err, "%s in %s", ref, location);
    else
        rc = finish(checkout, commit, location, ref, &folder, err);
    git_tree_free(top);
    return rc;
}

int package_from_git(struct package **out, const char *location, const char *ref, const char *path,
                     uint64_t bytes_max, struct err *err)
{
    struct checkout checkout = {0};
    git_commit *commit = NULL;
    *out = NULL;
    if (git_libgit2_init() < 0)
        return git_fault(err, "cannot start libgit2");
    strbuf_init(&checkout.path, 2 * TREE_PATH_MAX);
    if (!ref)
        ref = "HEAD";
    int rc = package_create(&checkout.package, bytes_max, err);
    if (rc == 0)
        rc = repository_open(&checkout.repository, location, err);
    if (rc == 0)
        rc = find_commit(&commit, checkout.repository, location, ref, err);
    if (rc == 0)
        rc = plain_folder(&checkout.path, path, err);
    if (rc == 0)
        rc = check_out(&checkout, commit, location, ref, err);
    git_rules_free(checkout.rules);
    git_commit_free(commit);
    git_repository_free(checkout.repository);
    strbuf_release(&checkout.path);
    git_libgit2_shutdown();
    if (rc < 0)
        package_free(checkout.package);
    else
        *out = checkout.package;
    return rc;
}
