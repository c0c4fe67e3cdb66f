#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "inputs.h"
#include "io/files.h"

#define FOLDER "playbooks"
#define SUFFIX ".ini"
#define LISTED_MAX 12 /* names that a message shows */

static int by_text(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

size_t playbook_names(const char ***out, struct arena *arena)
{
    const char **names = NULL;
    size_t count = 0;
    DIR *folder = opendir(FOLDER);
    struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        size_t length = strlen(entry->d_name);
        size_t suffix = sizeof SUFFIX - 1;
        if (length <= suffix || entry->d_name[0] == '.' ||
            strcmp(entry->d_name + length - suffix, SUFFIX) != 0)
            continue;
        const char **grown = arena_grow(arena, (void *)names, count, sizeof *names);
        const char *name = arena_strndup(arena, entry->d_name, length - suffix);
        if (!grown || !name)
            break;
        names = grown;
        names[count++] = name;
    }
    if (folder)
        closedir(folder);
    if (count)
        qsort((void *)names, count, sizeof *names, by_text);
    *out = names;
    return count;
}

static int not_found(const char *name, struct arena *arena, struct err *err)
{
    const char **names;
    size_t count = playbook_names(&names, arena);
    if (count == 0)
        return err_set(err, ERR_NOT_FOUND,
                       "no playbook '%s': there is no " FOLDER "/%s" SUFFIX
                       ", and no other in " FOLDER "/ here",
                       name, name);
    struct strbuf list;
    strbuf_init(&list, ERR_MESSAGE_MAX / 2);
    for (size_t i = 0; i < count && i < LISTED_MAX; i++)
        strbuf_addf(&list, "%s%s", i ? ", " : "", names[i]);
    if (count > LISTED_MAX)
        strbuf_addf(&list, " and %zu more", count - LISTED_MAX);
    const char *nearest = text_nearest(name, names, count);
    err_set(err, ERR_NOT_FOUND, "no playbook '%s'%s%s%s; " FOLDER "/ holds %s", name,
            nearest ? " (did you mean " : "", nearest ? nearest : "", nearest ? "?)" : "",
            list.text);
    strbuf_release(&list);
    return err->code;
}

static bool is_path(const char *name)
{
    size_t length = strlen(name), suffix = sizeof SUFFIX - 1;
    return strchr(name, '/') || (length > suffix && strcmp(name + length - suffix, SUFFIX) == 0);
}

int playbook_path(const char **out, const char *name, struct arena *arena, struct err *err)
{
    *out =
        is_path(name) ? arena_strdup(arena, name) : arena_printf(arena, FOLDER "/%s" SUFFIX, name);
    if (!*out)
        return err_set(err, ERR_MEMORY, "out of memory");
    if (is_path(name) || access(*out, F_OK) == 0)
        return 0;
    struct stat status;
    if (stat(name, &status) != 0 || !S_ISREG(status.st_mode))
        return not_found(name, arena, err);
    *out = arena_strdup(arena, name);
    return *out ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

/* Whether a folder is called `playbooks`; `.` and `..` have the name they stand for. */
static bool is_playbooks(const char *folder)
{
    char *real = NULL;
    const char *base = strrchr(folder, '/');
    base = base ? base + 1 : folder;
    if (base[strspn(base, ".")] == '\0') {
        real = realpath(folder, NULL);
        base = real ? strrchr(real, '/') + 1 : folder;
    }
    bool result = strcmp(base, FOLDER) == 0;
    free(real);
    return result;
}

/* What relative locations of the playbook are relative to. */
static const char *source_base(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    const char *folder = slash == path ? "/" : slash ? arena_strndup(arena, path, length) : ".";
    if (!folder || !is_playbooks(folder))
        return folder;
    const char *parent = strrchr(folder, '/');
    if (folder[strspn(folder, ".")] == '\0' || folder[length - 1] == '.')
        return arena_printf(arena, "%s/..", folder);
    if (!parent)
        return ".";
    return parent == folder ? "/" : arena_strndup(arena, folder, (size_t)(parent - folder));
}

const char *inputs_source_path(struct inputs *inputs)
{
    const char *location = inputs->playbook.source.location;
    if (*location == '/')
        return location;
    if (location[0] == '~' && (location[1] == '/' || location[1] == '\0')) {
        struct strbuf text;
        strbuf_init(&text, 4096);
        path_expand_home(&text, location);
        const char *expanded = arena_strdup(&inputs->arena, text.text);
        strbuf_release(&text);
        return expanded;
    }
    const char *base = source_base(&inputs->arena, inputs->playbook_path);
    if (!base || strcmp(base, ".") == 0)
        return base ? location : NULL;
    if (strcmp(location, ".") == 0)
        return base;
    return arena_printf(&inputs->arena, "%s/%s", strcmp(base, "/") == 0 ? "" : base, location);
}
