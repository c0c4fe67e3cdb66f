#include "package_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "base/units.h"

#define SPOOL_BUFFER (256 * 1024)
#define LFS_HEAD "version https://git-lfs.github.com/spec/"
#define LFS_POINTER_MAX 1024 /* git-lfs takes nothing larger for a pointer */

const char *shown(char out[304], const char *text)
{
    struct strbuf clean;
    strbuf_init(&clean, 300);
    text_sanitize(&clean, text, strlen(text), false);
    snprintf(out, 304, "%s%s", clean.text, clean.overflowed ? "..." : "");
    strbuf_release(&clean);
    return out;
}

/* --- temporary files --- */

int temporary_file(int *out, struct err *err)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    *out = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (*out < 0) { /* not every file system has O_TMPFILE */
        char path[4096];
        snprintf(path, sizeof(path), "%s/deployctl.XXXXXX", folder);
        *out = mkostemp(path, O_CLOEXEC);
        if (*out < 0)
            return err_set(
                err, ERR_IO,
                "cannot make a temporary file in %s: %s; set TMPDIR to a folder with room", folder,
                strerror(errno));
        unlink(path);
    }
    return 0;
}

int file_map(const unsigned char **out, int file, uint64_t length, struct err *err)
{
    *out = NULL;
    if (length == 0)
        return 0;
    void *memory = mmap(NULL, length, PROT_READ, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        return err_set(err, ERR_MEMORY, "cannot map the package: %s", strerror(errno));
    *out = memory;
    return 0;
}

static int spool_error(struct err *err)
{
    const char *folder = getenv("TMPDIR");
    return err_set(err, ERR_IO,
                   "cannot write a temporary file in %s: %s; set TMPDIR to a folder with room",
                   folder && *folder ? folder : "/tmp", strerror(errno));
}

int tree_init(struct tree *tree, uint64_t bytes_max, struct err *err)
{
    int file;
    memset(tree, 0, sizeof(*tree));
    tree->bytes_max = bytes_max;
    arena_init(&tree->arena);
    tree->digest = digest_create();
    if (!tree->digest)
        return err_set(err, ERR_MEMORY, "out of memory");
    int rc = temporary_file(&file, err);
    if (rc < 0)
        return rc;
    tree->spool = fdopen(file, "w+");
    if (!tree->spool) {
        close(file);
        return err_set(err, ERR_MEMORY, "out of memory");
    }
    setvbuf(tree->spool, NULL, _IOFBF, SPOOL_BUFFER);
    return 0;
}

static void keep_name(void *name)
{
    (void)name; /* the arena's */
}

void tree_release(struct tree *tree)
{
    tdestroy(tree->names, keep_name);
    if (tree->spool)
        fclose(tree->spool);
    digest_free(tree->digest);
    free(tree->entries);
    arena_release(&tree->arena);
    memset(tree, 0, sizeof(*tree));
}

/* --- what is refused --- */

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool is_dots(const char *part, size_t length)
{
    return length && length <= 2 && strncmp(part, "..", length) == 0;
}

static const char *path_trouble(const char *path)
{
    if (*path == '/')
        return "is absolute; a release holds relative names only";
    if (strlen(path) > TREE_PATH_MAX)
        return "is longer than 4000 bytes";
    if (has_control(path))
        return "has a control character in its name; rename it";
    if (strncmp(path, TREE_MANIFEST_NAME, strlen(TREE_MANIFEST_NAME)) == 0 &&
        strchr("/", path[strlen(TREE_MANIFEST_NAME)]))
        return "is a name that deployctl needs for itself; rename it";
    for (const char *at = path;; at++) {
        size_t length = strcspn(at, "/");
        if (length == 0)
            return "has an empty part in its name";
        if (is_dots(at, length))
            return "has '.' or '..' as a part of its name";
        if (length > 255)
            return "has a part longer than 255 bytes";
        at += length;
        if (!*at)
            return NULL;
    }
}

/* Only leading `..` are taken, and no more than there are folders above: those are real folders of
 * the release, so that the target cannot leave it, whatever other links there are. */
static const char *target_trouble(const char *path, const char *target)
{
    size_t above = 0;
    bool climbs = true;
    if (*target == '\0' || strlen(target) > TREE_PATH_MAX || has_control(target))
        return "empty, too long or with a control character";
    if (*target == '/')
        return "absolute; make it relative, within the release";
    for (; *path; path++)
        above += *path == '/';
    for (const char *at = target; *at;) {
        size_t length = strcspn(at, "/");
        if (length == 2 && is_dots(at, 2)) {
            if (!climbs)
                return "with '..' after a name; write it without the detour";
            if (above-- == 0)
                return "outside of the release";
        } else if (length > 1 || (length == 1 && *at != '.')) {
            climbs = false;
        }
        at += length;
        at += strspn(at, "/");
    }
    return NULL;
}

/* --- adding --- */

static int add(struct tree *tree, struct tree_entry **out, enum tree_kind kind, const char *path,
               struct err *err)
{
    char name[304];
    const char *trouble = path_trouble(path);
    if (trouble)
        return err_set(err, ERR_INPUT, "'%s' %s", shown(name, path), trouble);
    if (tree->count >= TREE_ENTRIES_MAX)
        return err_set(err, ERR_INPUT, "more than %d files; that is no release", TREE_ENTRIES_MAX);
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity ? tree->capacity * 2 : 256;
        struct tree_entry *grown = realloc(tree->entries, capacity * sizeof(*grown));
        if (!grown)
            return err_set(err, ERR_MEMORY, "out of memory");
        tree->entries = grown;
        tree->capacity = capacity;
    }
    struct tree_entry *entry = &tree->entries[tree->count];
    *entry = (struct tree_entry){.kind = kind};
    entry->path = kind == TREE_FOLDER ? arena_printf(&tree->arena, "%s/", path)
                                      : arena_strdup(&tree->arena, path);
    if (!entry->path)
        return err_set(err, ERR_MEMORY, "out of memory");
    tree->count++;
    *out = entry;
    return 0;
}

int tree_add_folder(struct tree *tree, const char *path, struct err *err)
{
    struct tree_entry *entry;
    return add(tree, &entry, TREE_FOLDER, path, err);
}

int tree_add_link(struct tree *tree, const char *path, const char *target, struct err *err)
{
    struct tree_entry *entry;
    char name[304], to[304];
    int rc = add(tree, &entry, TREE_LINK, path, err);
    if (rc < 0)
        return rc;
    const char *trouble = target_trouble(path, target);
    if (trouble)
        return err_set(err, ERR_INPUT, "the link '%s' has a target that is refused: '%s' is %s",
                       shown(name, path), shown(to, target), trouble);
    entry->size = strlen(target);
    entry->target = arena_strdup(&tree->arena, target);
    if (!entry->target || digest_start(tree->digest) < 0 ||
        digest_add(tree->digest, target, entry->size) < 0 ||
        digest_end(tree->digest, entry->sha256) < 0)
        return err_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

/* --- files by name --- */

struct file_name {
    const char *path;
    size_t index;
};

static int by_name(const void *a, const void *b)
{
    const struct file_name *left = a, *right = b;
    return strcmp(left->path, right->path);
}

/* Of two files of one name the first counts; tree_settle refuses both. */
static int remember_name(struct tree *tree, struct err *err)
{
    struct file_name *name = arena_alloc(&tree->arena, sizeof(*name));
    if (!name)
        return err_set(err, ERR_MEMORY, "out of memory");
    *name = (struct file_name){tree->entries[tree->count - 1].path, tree->count - 1};
    return tsearch(name, &tree->names, by_name) ? 0 : err_set(err, ERR_MEMORY, "out of memory");
}

/* The file at `path`; NULL: none. */
static const struct tree_entry *file_named(const struct tree *tree, const char *path)
{
    const struct file_name wanted = {.path = path};
    struct file_name *const *found = tfind(&wanted, &tree->names, by_name);
    return found ? &tree->entries[(*found)->index] : NULL;
}

static int count_bytes(struct tree *tree, uint64_t length, struct err *err)
{
    char most[DURATION_TEXT_MAX], name[304];
    if (length > tree->bytes_max || tree->bytes > tree->bytes_max - length)
        return err_set(err, ERR_INPUT, "more than %s unpacked, the most that max_size in [source] allows; '%s' goes past it",
                       size_format(most, tree->bytes_max), shown(name, tree->entries[tree->count - 1].path));
    tree->bytes += length;
    return 0;
}

int tree_add_copy(struct tree *tree, const char *path, const char *of, struct err *err)
{
    struct tree_entry *entry;
    char name[304], to[304];
    const struct tree_entry *found = file_named(tree, of);
    if (!found)
        return err_set(err, ERR_INPUT, "'%s' is a hard link to '%s', which is not there before it",
                       shown(name, path), shown(to, of));
    const struct tree_entry original = *found; /* adding may move it */
    int rc = add(tree, &entry, TREE_FILE, path, err);
    if (rc < 0)
        return rc;
    const char *copy = entry->path;
    *entry = original;
    entry->path = copy;
    rc = remember_name(tree, err);
    return rc < 0 ? rc : count_bytes(tree, original.size, err);
}

int tree_file_start(struct tree *tree, const char *path, unsigned mode, struct err *err)
{
    struct tree_entry *entry;
    int rc = add(tree, &entry, TREE_FILE, path, err);
    if (rc < 0 || (rc = remember_name(tree, err)) < 0)
        return rc;
    entry->executable = (mode & 0100) != 0;
    entry->access = mode & 04 ? ACCESS_ALL : mode & 040 ? ACCESS_GROUP : ACCESS_OWNER;
    entry->offset = tree->spooled;
    tree->head_length = 0;
    if (digest_start(tree->digest) < 0)
        return err_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

int tree_file_write(struct tree *tree, const void *bytes, size_t length, struct err *err)
{
    size_t head = sizeof(tree->head) - tree->head_length;
    int rc = count_bytes(tree, length, err);
    if (rc < 0)
        return rc;
    if (head > length)
        head = length;
    if (head)
        memcpy(tree->head + tree->head_length, bytes, head);
    tree->head_length += head;
    if (length && fwrite(bytes, 1, length, tree->spool) != length)
        return spool_error(err);
    if (length && digest_add(tree->digest, bytes, length) < 0)
        return err_set(err, ERR_MEMORY, "out of memory");
    tree->spooled += length;
    return 0;
}

int tree_file_skip(struct tree *tree, uint64_t length, struct err *err)
{
    static const char zeros[65536];
    int rc = 0;
    /* A hole costs its sender nothing: refused before it is written. */
    if (length > tree->bytes_max)
        return count_bytes(tree, length, err);
    for (uint64_t left = length; rc == 0 && left;) {
        size_t piece = left < sizeof(zeros) ? (size_t)left : sizeof(zeros);
        rc = tree_file_write(tree, zeros, piece, err);
        left -= piece;
    }
    return rc;
}

int tree_file_end(struct tree *tree, struct err *err)
{
    struct tree_entry *entry = &tree->entries[tree->count - 1];
    char name[304];
    entry->size = tree->spooled - entry->offset;
    if (digest_end(tree->digest, entry->sha256) < 0)
        return err_set(err, ERR_MEMORY, "out of memory");
    if (entry->size < LFS_POINTER_MAX && tree->head_length >= strlen(LFS_HEAD) &&
        memcmp(tree->head, LFS_HEAD, strlen(LFS_HEAD)) == 0)
        return err_set(
            err, ERR_INPUT,
            "'%s' is a Git LFS pointer, not the file itself; run `git lfs pull` and deploy "
            "the folder (dir =), or leave it out by export-ignore in .gitattributes",
            shown(name, entry->path));
    return 0;
}

/* --- canonical order --- */

static int by_path(const void *a, const void *b)
{
    const struct tree_entry *left = a, *right = b;
    return strcmp(left->path, right->path);
}

/* What stands at `path` of that length as a file or link; NULL: nothing. `count` sorted entries. */
static const struct tree_entry *find(const struct tree *tree, size_t count, const char *path,
                                     size_t length)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const char *other = tree->entries[middle].path;
        int order = strncmp(other, path, length);
        if (order == 0 && other[length] == '\0')
            return &tree->entries[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static size_t shared_length(const char *a, const char *b)
{
    size_t folder = 0;
    for (size_t i = 0; a[i] && a[i] == b[i]; i++)
        if (a[i] == '/')
            folder = i + 1;
    return folder;
}

/* Adds the folders of `path` that its predecessor in the order does not share, behind the `sorted`
 * entries. */
static int add_parents(struct tree *tree, size_t sorted, const char *path, const char *before,
                       struct err *err)
{
    char parent[TREE_PATH_MAX + 1], name[304];
    for (size_t at = shared_length(path, before);; at++) {
        struct tree_entry *entry;
        at += strcspn(path + at, "/");
        if (!path[at] || !path[at + 1])
            return 0;
        snprintf(parent, sizeof(parent), "%.*s", (int)at, path);
        const struct tree_entry *blocks = find(tree, sorted, path, at);
        if (blocks)
            return err_set(err, ERR_INPUT, "'%s' is both a %s and a folder with files in it",
                           shown(name, parent), blocks->kind == TREE_LINK ? "link" : "file");
        int rc = add(tree, &entry, TREE_FOLDER, parent, err);
        if (rc < 0)
            return rc;
    }
}

static int merge_doubles(struct tree *tree, struct err *err)
{
    char name[304];
    size_t kept = 0;
    for (size_t i = 0; i < tree->count; i++) {
        struct tree_entry *entry = &tree->entries[i];
        if (kept && strcmp(tree->entries[kept - 1].path, entry->path) == 0) {
            if (entry->kind != TREE_FOLDER)
                return err_set(err, ERR_INPUT, "'%s' is there twice", shown(name, entry->path));
            continue;
        }
        tree->entries[kept++] = *entry;
    }
    tree->count = kept;
    return 0;
}

int tree_settle(struct tree *tree, struct err *err)
{
    char name[304];
    size_t sorted = tree->count;
    if (sorted == 0)
        return 0;
    qsort(tree->entries, sorted, sizeof(*tree->entries), by_path);
    for (size_t i = 0; i < sorted; i++) {
        const char *path = tree->entries[i].path;
        size_t length = strlen(path);
        if (tree->entries[i].kind == TREE_FOLDER && find(tree, sorted, path, length - 1))
            return err_set(err, ERR_INPUT, "'%s' is both a folder and a file", shown(name, path));
        int rc = add_parents(tree, sorted, path, i ? tree->entries[i - 1].path : "", err);
        if (rc < 0)
            return rc;
    }
    qsort(tree->entries, tree->count, sizeof(*tree->entries), by_path);
    if (fflush(tree->spool) != 0)
        return spool_error(err);
    return merge_doubles(tree, err);
}

/* --- what it became --- */

unsigned tree_mode(const struct tree_entry *entry)
{
    static const unsigned masks[] = {[ACCESS_ALL] = 0777, [ACCESS_GROUP] = 0770, [ACCESS_OWNER] = 0700};
    if (entry->kind != TREE_FILE)
        return entry->kind == TREE_LINK ? 0777 : 0755;
    return (entry->executable ? 0755 : 0644) & masks[entry->access];
}

void tree_write_manifest(const struct tree *tree, struct strbuf *out)
{
    char hex[SHA256_HEX];
    for (size_t i = 0; i < tree->count; i++) {
        const struct tree_entry *entry = &tree->entries[i];
        if (entry->kind == TREE_FOLDER)
            continue;
        digest_hex(entry->sha256, hex);
        strbuf_addf(out, "%s %o %llu %s\n", hex, entry->kind == TREE_LINK ? 0120000 : 0100000 | tree_mode(entry),
                    (unsigned long long)entry->size, entry->path);
    }
}

uint64_t tree_disk_bytes(const struct tree *tree)
{
    uint64_t blocks = 0;
    for (size_t i = 0; i < tree->count; i++)
        blocks += tree->entries[i].kind == TREE_FILE ? (tree->entries[i].size + 4095) / 4096 : 1;
    return blocks * 4096;
}

int tree_map(const struct tree *tree, const unsigned char **out, struct err *err)
{
    return file_map(out, fileno(tree->spool), tree->spooled, err);
}
