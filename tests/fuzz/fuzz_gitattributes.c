/* Any bytes as a commit's .gitattributes, at the top and in a folder (the part after the first NUL): each path is left out, or it is not, and the
 * same again. */
#include <assert.h>
#include <git2.h>
#include <git2/sys/mempack.h>
#include <git2/sys/repository.h>
#include <stdint.h>
#include <string.h>

#include "../../src/io/git_rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static git_repository *memory_repository(void)
{
    git_repository *repository;
    git_odb *objects;
    git_odb_backend *memory;
    assert(git_repository_new(&repository) == 0 && git_odb_new(&objects) == 0 && git_mempack_new(&memory) == 0);
    assert(git_odb_add_backend(objects, memory, 1) == 0 && git_repository_set_odb(repository, objects) == 0);
    git_odb_free(objects);
    return repository;
}

/* A tree with a file `.gitattributes`, and `below` (NULL: nothing) as its folder docs. */
static void write_tree(git_oid *out, git_repository *repository, const uint8_t *rules, size_t length, const git_oid *below)
{
    git_treebuilder *builder;
    git_oid blob;
    assert(git_blob_create_from_buffer(&blob, repository, rules, length) == 0);
    assert(git_treebuilder_new(&builder, repository, NULL) == 0);
    assert(git_treebuilder_insert(NULL, builder, ".gitattributes", &blob, GIT_FILEMODE_BLOB) == 0);
    if (below)
        assert(git_treebuilder_insert(NULL, builder, "docs", below, GIT_FILEMODE_TREE) == 0);
    assert(git_treebuilder_write(out, builder) == 0);
    git_treebuilder_free(builder);
}

static void ask(struct git_rules *rules, const char *path, bool folder)
{
    struct err err = {0};
    int first = git_rules_ignore(rules, path, folder, &err);
    assert(first == 0 || first == 1 || err.message[0]);
    assert(git_rules_ignore(rules, path, folder, &err) == first);
}

static void ask_all(struct git_rules *rules)
{
    static const char *const files[] = {"a", "a b.c", "docs/x", "docs/sub/y.md", ".gitattributes", "docs/.hidden"};
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        ask(rules, files[i], false);
    ask(rules, "docs", true);
    ask(rules, "docs/sub", true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t top = nul ? (size_t)(nul - data) : size;
    struct git_rules *rules;
    struct err err = {0};
    git_oid below, id;
    git_tree *tree;
    git_libgit2_init();
    git_repository *repository = memory_repository();
    write_tree(&below, repository, nul ? nul + 1 : data, nul ? size - top - 1 : 0, NULL);
    write_tree(&id, repository, data, top, &below);
    assert(git_tree_lookup(&tree, repository, &id) == 0);
    int rc = git_rules_create(&rules, repository, tree, &err);
    assert(rc == 0 || (rules == NULL && err.message[0]));
    if (rules)
        ask_all(rules);
    git_rules_free(rules);
    git_tree_free(tree);
    git_repository_free(repository);
    git_libgit2_shutdown();
    return 0;
}
