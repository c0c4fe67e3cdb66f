#include "git_changes.h"

#include "base/strbuf.h"
#include "base/text.h"

#define NAMED_MAX 3
#define NAME_MAX_SHOWN 120

static bool is_checked_out(git_repository *repository, const git_commit *commit)
{
    git_oid head;
    return !git_repository_is_bare(repository) && git_reference_name_to_id(&head, repository, "HEAD") == 0 &&
           git_oid_equal(&head, git_commit_id(commit));
}

static const char *name_of(const git_status_entry *entry)
{
    const git_diff_delta *delta = entry->index_to_workdir ? entry->index_to_workdir : entry->head_to_index;
    return delta ? delta->new_file.path : "";
}

static char *describe(git_status_list *list)
{
    struct strbuf text;
    size_t count = git_status_list_entrycount(list);
    if (count == 0)
        return NULL;
    strbuf_init(&text, 1000);
    strbuf_addf(&text, "%zu file%s changed and not committed: ", count, count == 1 ? " is" : "s are");
    for (size_t i = 0; i < count && i < NAMED_MAX; i++) {
        const char *name = name_of(git_status_byindex(list, i));
        strbuf_adds(&text, i ? ", " : "");
        text_sanitize(&text, name, text_cut(name, NAME_MAX_SHOWN), false);
    }
    strbuf_adds(&text, count > NAMED_MAX ? ", ..." : "");
    return strbuf_detach(&text);
}

char *git_changes(git_repository *repository, const git_commit *commit, const char *folder)
{
    git_status_options options;
    git_status_list *list;
    char *paths[] = {(char *)folder};
    if (!is_checked_out(repository, commit) || git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION) < 0)
        return NULL;
    options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
    options.flags = GIT_STATUS_OPT_EXCLUDE_SUBMODULES | GIT_STATUS_OPT_DISABLE_PATHSPEC_MATCH;
    if (*folder)
        options.pathspec = (git_strarray){.strings = paths, .count = 1};
    if (git_status_list_new(&list, repository, &options) < 0)
        return NULL;
    char *text = describe(list);
    git_status_list_free(list);
    return text;
}
