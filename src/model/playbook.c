#include "model/playbook.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/ini.h"
#include "model/playbook_check.h"
#include "model/playbook_keys.h"

#define NAMES_MAX 64 /* sections, or keys of one section */

/* A parse on its way. */
struct parse {
    struct playbook *playbook;
    struct arena *arena;
    struct faults *faults;
    struct err *err;
    const char *file; /* of the text or `--set` */
    bool out_of_memory;
};

static size_t section_names(const char *names[NAMES_MAX])
{
    size_t count = 0;
    while (count < NAMES_MAX && (names[count] = playbook_section_at(count)))
        count++;
    return count;
}

static size_t key_names(const char *section, const char *names[NAMES_MAX])
{
    size_t count = 0;
    const struct playbook_key *key;
    for (size_t i = 0; count < NAMES_MAX && (key = playbook_key_at(i)); i++)
        if (strcmp(key->section, section) == 0)
            names[count++] = key->key;
    return count;
}

/* `; did you mean 'interval'?`, or what there is. */
static void suggest(char *out, size_t size, const char *name, const char *const *names,
                    size_t count, const char *quotes)
{
    const char *nearest = text_nearest(name, names, count);
    if (nearest) {
        snprintf(out, size, "; did you mean %c%s%c?", quotes[0], nearest, quotes[1]);
        return;
    }
    size_t used = (size_t)snprintf(out, size, "; known are ");
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", names[i]);
}

static void tell_unknown_section(struct parse *parse, const char *name, const char *label, int line)
{
    if (playbook_section_is_planned(name)) {
        faults_add(parse->faults, parse->file, line,
                   "section [%s%s%s] is not supported by this version", name, label ? " " : "",
                   label ? label : "");
        return;
    }
    const char *names[NAMES_MAX];
    char hint[512];
    suggest(hint, sizeof(hint), name, names, section_names(names), "[]");
    faults_add(parse->faults, parse->file, line, "unknown section [%s%s%s]%s", name,
               label ? " " : "", label ? label : "", hint);
}

static bool section_exists(const char *name)
{
    const char *known;
    for (size_t i = 0; (known = playbook_section_at(i)); i++)
        if (strcmp(known, name) == 0)
            return true;
    return false;
}

static bool remember_place(struct parse *parse, const char *section, const char *key, int line)
{
    struct playbook *playbook = parse->playbook;
    for (size_t i = 0; i < playbook->place_count; i++) {
        struct playbook_place *place = &playbook->places[i];
        if (strcmp(place->section, section) == 0 && strcmp(place->key, key) == 0) {
            place->line = line;
            return true;
        }
    }
    struct playbook_place *places =
        arena_grow(parse->arena, playbook->places, playbook->place_count, sizeof(*places));
    if (!places) {
        parse->out_of_memory = true;
        return false;
    }
    playbook->places = places;
    places[playbook->place_count++] =
        (struct playbook_place){.section = section, .key = key, .line = line};
    return true;
}

/* As people write it who know other files: `8080 ; the port`. */
static bool ends_in_comment(const char *value)
{
    return strstr(value, " ;") || strstr(value, " #");
}

/* One `key = value`; `section` is the whole name for messages, `kind` the table's. */
static void apply_entry(struct parse *parse, const char *section, const char *kind, void *base,
                        const struct ini_entry *entry)
{
    const struct playbook_key *key = playbook_key_find(kind, entry->key);
    struct err err = {0};
    if (!key) {
        const char *names[NAMES_MAX];
        char hint[512];
        suggest(hint, sizeof(hint), entry->key, names, key_names(kind, names), "''");
        faults_add(parse->faults, parse->file, entry->line, "unknown key '%s' in [%s]%s",
                   entry->key, section, hint);
        return;
    }
    if (!remember_place(parse, section, key->key, entry->line))
        return;
    if (!*entry->value) {
        faults_add(parse->faults, parse->file, entry->line,
                   "key '%s' in [%s] has no value; give it one or remove the line", key->key,
                   section);
        return;
    }
    int code = playbook_key_store(key, base, entry->value, parse->arena, &err);
    if (code == ERR_MEMORY)
        parse->out_of_memory = true;
    else if (code < 0)
        faults_add(parse->faults, parse->file, entry->line, "key '%s' in [%s]: %s%s", key->key,
                   section, err.message,
                   ends_in_comment(entry->value) ? "; a comment stands on a line of its own" : "");
}

static void apply_defaults(struct parse *parse, const char *section, void *base)
{
    const struct playbook_key *key;
    for (size_t i = 0; (key = playbook_key_at(i)); i++)
        if (key->fallback && strcmp(key->section, section) == 0 &&
            playbook_key_store(key, base, key->fallback, parse->arena, parse->err) < 0)
            parse->out_of_memory = true;
}

/* Sections that are written with a name, once for each: where their elements are kept. The name is each element's first member. */
struct named_section {
    const char *section, *example;
    size_t items, count; /* in struct playbook */
    size_t size, line;   /* of an element, and in it; size 0: a slot */
    size_t maximum;      /* 0: as many as one likes */
    const char *too_many;
};
#define NAMED(word, sample, type, array, number, place)                                            \
    .section = word, .example = sample, .items = offsetof(struct playbook, array),                 \
    .count = offsetof(struct playbook, number), .size = sizeof(struct type),                       \
    .line = offsetof(struct type, place)
_Static_assert(offsetof(struct hook, name) == 0 && offsetof(struct migration, name) == 0 &&
                   offsetof(struct balancer, name) == 0 && offsetof(struct discovery, name) == 0 &&
                   offsetof(struct discover, name) == 0 && offsetof(struct analysis, name) == 0,
               "names come first");
static const struct named_section named_sections[] = {
    {NAMED("step", "migrate", hook, hooks, hook_count, line)},
    {NAMED("migration", "add-price", migration, migrations, migration_count, line),
     .maximum = MIGRATIONS_MAX, .too_many = "migrations; remove old ones that ran everywhere"},
    {.section = "slot", .example = "blue"}, /* has places of its own */
    {NAMED("balancer", "front", balancer, balancers, balancer_count, line)},
    {NAMED("discovery", "prometheus", discovery, discoveries, discovery_count, line_number)},
    {NAMED("discover", "api", discover, discovers, discover_count, line_number),
     .maximum = DISCOVERS_MAX, .too_many = "sections [discover NAME]"},
    {NAMED("analysis", "latency", analysis, analyses, analysis_count, line),
     .maximum = ANALYSES_MAX, .too_many = "analyses"},
};
#define NAMED_COUNT (sizeof(named_sections) / sizeof(named_sections[0]))

/* The one that a section's whole name begins with; NULL when it is written without a name. */
static const struct named_section *named_section_of(const char *section)
{
    size_t length = strcspn(section, " ");
    for (size_t i = 0; i < NAMED_COUNT; i++)
        if (strlen(named_sections[i].section) == length &&
            strncmp(named_sections[i].section, section, length) == 0)
            return &named_sections[i];
    return NULL;
}

/* The name of a section that is written with one; NULL, and told, when it is none. */
static const char *section_label(struct parse *parse, const struct ini_section *section,
                                 const struct named_section *named)
{
    if (section->label && text_is_name(section->label))
        return section->label;
    faults_add(parse->faults, parse->file, section->line,
               "section [%s%s%s] needs a name: letters, digits, '.', '_' and '-', as in [%s %s]",
               section->name, section->label ? " " : "", section->label ? section->label : "",
               section->name, named->example);
    return NULL;
}

/* Slots have their places; NULL, and told, when it is none. */
static struct slot *add_slot(struct parse *parse, const struct ini_section *section,
                             const char *name)
{
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &parse->playbook->slots[i];
        if (strcmp(slot_name(i), name) != 0)
            continue;
        slot->line = section->line;
        return slot;
    }
    faults_add(parse->faults, parse->file, section->line,
               "section [slot %s]: a slot is [slot blue] or [slot green]", name);
    return NULL;
}

/* A new element for such a section; NULL when it cannot be. */
static void *add_named(struct parse *parse, const struct ini_section *section)
{
    const struct named_section *named = named_section_of(section->name);
    const char *name = section_label(parse, section, named);
    char *playbook = (char *)parse->playbook;
    if (!name)
        return NULL;
    if (!named->size)
        return add_slot(parse, section, name);
    size_t *count = (size_t *)(playbook + named->count);
    void **items = (void **)(playbook + named->items);
    if (named->maximum && *count == named->maximum) {
        faults_add(parse->faults, parse->file, section->line, "more than %zu %s", named->maximum,
                   named->too_many);
        return NULL;
    }
    char *grown = arena_grow(parse->arena, *items, *count, named->size);
    if (!grown) {
        parse->out_of_memory = true;
        return NULL;
    }
    *items = grown;
    char *element = grown + *count * named->size;
    ++*count;
    *(const char **)element = name;
    *(int *)(element + named->line) = section->line;
    apply_defaults(parse, section->name, element);
    return element;
}

static void apply_section(struct parse *parse, const struct ini_section *section)
{
    const char *whole_name = section->name;
    void *base = parse->playbook;
    if (!section_exists(section->name)) {
        tell_unknown_section(parse, section->name, section->label, section->line);
        return;
    }
    if (playbook_section_has_name(section->name)) {
        base = add_named(parse, section);
        whole_name =
            base ? arena_printf(parse->arena, "%s %s", section->name, section->label) : NULL;
        if (base && !whole_name)
            parse->out_of_memory = true;
        if (!whole_name)
            return;
    } else if (section->label) {
        faults_add(parse->faults, parse->file, section->line,
                   "section [%s %s] takes no name; write [%s]", section->name, section->label,
                   section->name);
    }
    for (size_t i = 0; i < section->entry_count; i++)
        apply_entry(parse, whole_name, section->name, base, &section->entries[i]);
}

/* git, dir and archive of one file exclude one another; an override simply replaces. */
static void tell_two_sources(struct parse *parse)
{
    static const char *const kinds[] = {"git", "dir", "archive"};
    const char *first = NULL;
    for (size_t i = 0; i < 3; i++) {
        int line = playbook_line(parse->playbook, "source", kinds[i]);
        if (line && first)
            faults_add(parse->faults, parse->file, line,
                       "'%s' and '%s' in [source] exclude each other; keep one", first, kinds[i]);
        if (line)
            first = kinds[i];
    }
}

/* What `--set "step NAME.key=..."` and the like are about. */
static void *find_named(struct playbook *playbook, const struct named_section *named,
                        const char *section)
{
    const char *name = section + strlen(named->section) + 1;
    for (size_t i = 0; !named->size && i < SLOTS; i++)
        if (playbook->slots[i].line && strcmp(slot_name(i), name) == 0)
            return &playbook->slots[i];
    if (!named->size)
        return NULL;
    char *items = *(char **)((char *)playbook + named->items);
    size_t count = *(size_t *)((char *)playbook + named->count);
    for (size_t i = 0; i < count; i++)
        if (strcmp(*(const char **)(items + i * named->size), name) == 0)
            return items + i * named->size;
    return NULL;
}

static void apply_override(struct parse *parse, const struct playbook_override *override)
{
    const char *section = arena_strdup(parse->arena, override->section);
    struct ini_entry entry = {.key = override->key, .value = override->value};
    if (!section) {
        parse->out_of_memory = true;
        return;
    }
    const struct named_section *named = strchr(section, ' ') ? named_section_of(section) : NULL;
    if (named) {
        void *base = find_named(parse->playbook, named, section);
        if (base)
            apply_entry(parse, section, named->section, base, &entry);
        else
            faults_add(parse->faults, parse->file, 0, "there is no [%s] in the playbook", section);
        return;
    }
    if (!section_exists(section) || playbook_section_has_name(section)) {
        tell_unknown_section(parse, section, NULL, 0);
        return;
    }
    apply_entry(parse, section, section, parse->playbook, &entry);
}

static int parse_all(struct parse *parse, const char *text, size_t length,
                     const struct playbook_override *overrides, size_t override_count)
{
    struct ini_document document;
    int code =
        ini_read(&document, parse->arena, parse->file, text, length, parse->faults, parse->err);
    if (code < 0)
        return code;
    for (size_t i = 0; i < document.section_count; i++)
        apply_section(parse, &document.sections[i]);
    tell_two_sources(parse);
    parse->file = "--set";
    for (size_t i = 0; i < override_count; i++)
        apply_override(parse, &overrides[i]);
    return parse->out_of_memory ? err_set(parse->err, ERR_MEMORY, "out of memory") : 0;
}

int playbook_parse(struct playbook *out, const char *file, const char *text, size_t length,
                   const struct playbook_override *overrides, size_t override_count,
                   const struct inventory *inventory, struct faults *faults, struct err *err)
{
    size_t faults_before = faults->count, total_before = faults->total;
    struct parse parse = {
        .playbook = out, .arena = &out->arena, .faults = faults, .err = err, .file = file};
    *out = (struct playbook){0};
    arena_init(&out->arena);
    const char *section;
    for (size_t i = 0; (section = playbook_section_at(i)); i++)
        if (!playbook_section_has_name(section))
            apply_defaults(&parse, section, out);
    out->file = arena_strdup(&out->arena, file);
    int code = out->file && !parse.out_of_memory
                   ? parse_all(&parse, text, length, overrides, override_count)
                   : err_set(err, ERR_MEMORY, "out of memory");
    if (code < 0)
        return code;
    playbook_check(out, inventory, faults);
    faults_sort(faults, faults_before);
    size_t found = faults->total - total_before;
    if (found)
        return err_set(err, ERR_INPUT, "%s: %zu fault%s", file, found, found == 1 ? "" : "s");
    return 0;
}

void playbook_release(struct playbook *playbook)
{
    arena_release(&playbook->arena);
    *playbook = (struct playbook){0};
}

int playbook_line(const struct playbook *playbook, const char *section, const char *key)
{
    for (size_t i = 0; i < playbook->place_count; i++)
        if (strcmp(playbook->places[i].section, section) == 0 &&
            strcmp(playbook->places[i].key, key) == 0)
            return playbook->places[i].line;
    return 0;
}

bool playbook_has(const struct playbook *playbook, const char *section, const char *key)
{
    for (size_t i = 0; i < playbook->place_count; i++)
        if (strcmp(playbook->places[i].section, section) == 0 &&
            strcmp(playbook->places[i].key, key) == 0)
            return true;
    return false;
}

const char *slot_name(size_t slot)
{
    static const char *const names[] = {"blue", "green"};
    return names[slot];
}

bool playbook_has_slots(const struct playbook *playbook)
{
    return playbook->strategy.kind == STRATEGY_BLUE_GREEN && !playbook->slots[SLOT_BLUE].hosts;
}

bool playbook_has_sides(const struct playbook *playbook)
{
    return playbook->strategy.kind == STRATEGY_BLUE_GREEN && playbook->slots[SLOT_BLUE].hosts;
}

const char *hook_when_name(enum hook_when when)
{
    static const char *const names[] = {"after_stage",    "before_drain", "before_activate",
                                        "after_activate", "after_enable", "before_rollback",
                                        "after_rollback", "on_failure", "before_switch"};
    return names[when];
}

const char *discovery_kind_name(enum discovery_kind kind)
{
    static const char *const names[] = {"file_sd", "etcd", "hosts", "command"};
    return names[kind];
}

const char *analysis_source_name(enum analysis_source source)
{
    static const char *const names[] = {"probe", "haproxy", "prometheus", "command"};
    return names[source];
}

const char *analysis_metric_name(enum analysis_metric metric)
{
    static const char *const names[] = {"latency", "errors", "rate"};
    return names[metric];
}

const char *change_kind_name(enum change_kind kind)
{
    static const char *const names[] = {"expand", "contract", "irreversible"};
    return names[kind];
}
