#include "git_rules.h"

#include <git2/sys/mempack.h>
#include <git2/sys/repository.h>
#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"

#define RULES_MAX (1 << 20) /* bytes of one .gitattributes */

struct rule_set {
    git_repository *repository; /* in memory */
    git_oid commit;
};

struct git_rules {
    struct rule_set files, folders;
};

int git_fault(struct err *err, const char *what)
{
    const git_error *last = git_error_last();
    return err_set(err, ERR_IO, "%s: %s", what, last ? last->message : "git gives no reason");
}

/* --- is there a rule at all --- */

static bool is_rules_file(const git_tree_entry *entry)
{
    return git_tree_entry_type(entry) == GIT_OBJECT_BLOB &&
           strcmp(git_tree_entry_name(entry), ".gitattributes") == 0;
}

static int blob_speaks(git_repository *repository, const git_oid *id)
{
    static const char word[] = "export-ignore";
    git_blob *blob;
    if (git_blob_lookup(&blob, repository, id) < 0)
        return -1;
    int found = memmem(git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob), word,
                       strlen(word)) != NULL;
    git_blob_free(blob);
    return found;
}

/* 1, 0 or -1. */
static int tree_speaks(git_repository *repository, const git_tree *tree, unsigned depth)
{
    int found = 0;
    for (size_t i = 0; found == 0 && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        git_tree *below;
        if (is_rules_file(entry)) {
            found = blob_speaks(repository, git_tree_entry_id(entry));
        } else if (git_tree_entry_type(entry) == GIT_OBJECT_TREE && depth < GIT_DEPTH_MAX) {
            if (git_tree_lookup(&below, repository, git_tree_entry_id(entry)) < 0)
                return -1;
            found = tree_speaks(repository, below, depth + 1);
            git_tree_free(below);
        }
    }
    return found;
}

/* --- the copies --- */

/* One line, its newline included: for folders without the pattern's slash at the end, for files not
 * at all if it has one. */
static void copy_rule(struct strbuf *out, const char *line, size_t length, bool folders)
{
    size_t start = 0;
    while (start < length && (line[start] == ' ' || line[start] == '\t'))
        start++;
    size_t end = start;
    while (end < length && !strchr(" \t\r\n", line[end]))
        end++;
    bool folder_only = end > start + 1 && line[end - 1] == '/' && line[start] != '#';
    if (folder_only && !folders)
        return;
    strbuf_add(out, line + start, end - start - (folder_only ? 1 : 0));
    strbuf_add(out, line + end, length - end);
}

static int copy_rules_file(git_oid *out, const git_tree_entry *entry, git_repository *from,
                           git_repository *to, bool folders)
{
    struct strbuf text;
    git_blob *blob;
    if (git_blob_lookup(&blob, from, git_tree_entry_id(entry)) < 0)
        return -1;
    strbuf_init(&text, RULES_MAX);
    const char *at = git_blob_rawcontent(blob);
    const char *end = at + git_blob_rawsize(blob);
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline ? newline + 1 : end;
        copy_rule(&text, at, (size_t)(next - at), folders);
        at = next;
    }
    int rc = text.overflowed ? -1 : git_blob_create_from_buffer(out, to, text.text, text.length);
    if (text.overflowed)
        git_error_set_str(GIT_ERROR_INVALID, "a .gitattributes file is larger than 1 MiB");
    strbuf_release(&text);
    git_blob_free(blob);
    return rc;
}

/* 1: *out is a tree that holds the .gitattributes files of `tree`; 0: there are none; -1. */
static int copy_tree(git_oid *out, const git_tree *tree, git_repository *from, git_repository *to,
                     bool folders, unsigned depth)
{
    git_treebuilder *builder;
    int rc = 0;
    if (git_treebuilder_new(&builder, to, NULL) < 0)
        return -1;
    for (size_t i = 0; rc >= 0 && i < git_tree_entrycount(tree); i++) {
        const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
        git_filemode_t mode = git_tree_entry_filemode(entry);
        git_tree *below;
        git_oid copy;
        int found = 0;
        if (is_rules_file(entry) && mode != GIT_FILEMODE_LINK) {
            found = copy_rules_file(&copy, entry, from, to, folders) < 0 ? -1 : 1;
        } else if (mode == GIT_FILEMODE_TREE && depth < GIT_DEPTH_MAX) {
            rc = git_tree_lookup(&below, from, git_tree_entry_id(entry));
            if (rc == 0) {
                found = copy_tree(&copy, below, from, to, folders, depth + 1);
                git_tree_free(below);
            }
        }
        if (found < 0)
            rc = -1;
        else if (found && rc == 0)
            rc = git_treebuilder_insert(NULL, builder, git_tree_entry_name(entry), &copy, mode);
    }
    size_t count = git_treebuilder_entrycount(builder);
    if (rc == 0 && count)
        rc = git_treebuilder_write(out, builder);
    git_treebuilder_free(builder);
    return rc < 0 ? -1 : count > 0;
}

/* A repository without a folder, so that nothing outside of it is read. */
static int memory_repository(git_repository **out)
{
    git_odb *objects = NULL;
    git_odb_backend *memory = NULL;
    git_config *config = NULL;
    git_index *index = NULL;
    int rc = git_repository_new(out);
    if (rc == 0)
        rc = git_odb_new(&objects);
    if (rc == 0)
        rc = git_mempack_new(&memory);
    if (rc == 0)
        rc = git_odb_add_backend(objects, memory, 1); /* the odb owns it from here */
    if (rc == 0)
        rc = git_repository_set_odb(*out, objects);
    if (rc == 0)
        rc = git_config_new(&config);
    if (rc == 0)
        rc = git_repository_set_config(*out, config);
    if (rc == 0)
        rc = git_index_new(&index);
    if (rc == 0)
        rc = git_repository_set_index(*out, index);
    if (rc == 0)
        rc = git_repository_set_bare(*out);
    git_index_free(index);
    git_config_free(config);
    git_odb_free(objects);
    return rc;
}

static int fill(struct rule_set *set, git_repository *from, const git_tree *tree, bool folders)
{
    git_signature *nobody = NULL;
    git_oid id;
    int rc = memory_repository(&set->repository);
    if (rc == 0 && copy_tree(&id, tree, from, set->repository, folders, 0) != 1)
        rc = -1;
    git_tree *copy = NULL;
    if (rc == 0)
        rc = git_tree_lookup(&copy, set->repository, &id);
    if (rc == 0)
        rc = git_signature_new(&nobody, "rules", "rules", 0, 0);
    if (rc == 0)
        rc = git_commit_create(&set->commit, set->repository, NULL, nobody, nobody, NULL, "rules",
                               copy, 0, NULL);
    git_signature_free(nobody);
    git_tree_free(copy);
    return rc;
}

int git_rules_create(struct git_rules **out, git_repository *repository, const git_tree *tree,
                     struct err *err)
{
    *out = NULL;
    int speaks = tree_speaks(repository, tree, 0);
    if (speaks == 0)
        return 0;
    struct git_rules *rules = speaks < 0 ? NULL : calloc(1, sizeof(*rules));
    if (speaks > 0 && !rules)
        return err_set(err, ERR_MEMORY, "out of memory");
    /* Else ~/.config/git/attributes would have a word; for this use of libgit2 only, until its
     * shutdown. */
    git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, GIT_CONFIG_LEVEL_XDG, "");
    if (speaks < 0 || fill(&rules->files, repository, tree, false) < 0 ||
        fill(&rules->folders, repository, tree, true) < 0) {
        git_rules_free(rules);
        return git_fault(err, "cannot read .gitattributes");
    }
    *out = rules;
    return 0;
}

void git_rules_free(struct git_rules *rules)
{
    if (!rules)
        return;
    git_repository_free(rules->files.repository);
    git_repository_free(rules->folders.repository);
    free(rules);
}

int git_rules_ignore(struct git_rules *rules, const char *path, bool folder, struct err *err)
{
    struct rule_set *set = folder ? &rules->folders : &rules->files;
    const char *value = NULL;
    git_attr_options options = {
        .version = GIT_ATTR_OPTIONS_VERSION,
        .flags =
            GIT_ATTR_CHECK_INDEX_ONLY | GIT_ATTR_CHECK_INCLUDE_COMMIT | GIT_ATTR_CHECK_NO_SYSTEM,
        .attr_commit_id = set->commit,
    };
    if (git_attr_get_ext(&value, set->repository, &options, path, "export-ignore") < 0)
        return git_fault(err, "cannot evaluate .gitattributes");
    return GIT_ATTR_IS_TRUE(value);
}
