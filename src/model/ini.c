#include "model/ini.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "model/lines.h"

/* The value's place holder in what inih sees. */
#define STAND_IN "value"

struct reader {
    struct lines lines;
    struct ini_document *document;
    struct arena *arena;
    struct faults *faults;
    const char *value; /* of the line that inih holds now */
    bool skipping;     /* below a header that could not be read: its keys belong nowhere */
    bool outside_told; /* one fault is enough for keys before the first section */
    bool out_of_memory;
};

static struct ini_section *current_section(struct reader *reader)
{
    struct ini_document *document = reader->document;
    return document->section_count ? &document->sections[document->section_count - 1] : NULL;
}

static void refuse(struct reader *reader, const char *message, const char *detail)
{
    faults_add(reader->faults, reader->lines.file, reader->lines.number, message, detail);
}

static bool same_label(const char *left, const char *right)
{
    return left && right ? strcmp(left, right) == 0 : left == right;
}

static void tell_repeated_section(struct reader *reader, const char *name, const char *label)
{
    struct ini_document *document = reader->document;
    for (size_t i = 0; i < document->section_count; i++) {
        const struct ini_section *section = &document->sections[i];
        if (strcmp(section->name, name) == 0 && same_label(section->label, label)) {
            faults_add(reader->faults, reader->lines.file, reader->lines.number,
                       "section [%s%s%s] stands twice, first in line %d; join them", name,
                       label ? " " : "", label ? label : "", section->line);
            return;
        }
    }
}

/* `[name]` or `[name label]`: checks it and opens the section. False: inih must not see the line.
 */
static bool take_header(struct reader *reader, char *line)
{
    size_t length = strlen(line);
    reader->skipping = true;
    if (line[length - 1] != ']') {
        refuse(reader, "section header '%.100s' does not end in ']'", line);
        return false;
    }
    line[length - 1] = '\0';
    char *name = text_trim(line + 1);
    if (!*name || strpbrk(name, "[]")) {
        refuse(reader, "section header '%.100s]' is not [name] or [name label]", line);
        return false;
    }
    if (strlen(name) > INI_NAME_MAX) {
        refuse(reader, "section name '%.100s' is too long; at most 48 bytes are allowed", name);
        return false;
    }
    char *label = strpbrk(name, " \t");
    if (label) {
        *label = '\0';
        label = text_trim(label + 1);
    }
    tell_repeated_section(reader, name, label);
    struct ini_document *document = reader->document;
    struct ini_section *sections =
        arena_grow(reader->arena, document->sections, document->section_count, sizeof(*sections));
    if (!sections) {
        reader->out_of_memory = true;
        return false;
    }
    document->sections = sections;
    sections[document->section_count++] =
        (struct ini_section){.name = name, .label = label, .line = reader->lines.number};
    reader->skipping = false;
    return true;
}

/* `key = value`: checks the key and keeps the value. False: inih must not see the line. */
static bool take_entry(struct reader *reader, char *line)
{
    char *equals = strchr(line, '=');
    if (!equals) {
        refuse(reader, "'%.100s' is neither [section] nor key = value", line);
        return false;
    }
    *equals = '\0';
    line = text_trim(line);
    reader->value = text_trim(equals + 1);
    if (!*line) {
        refuse(reader, "a key is missing before '= %.100s'", reader->value);
        return false;
    }
    if (strlen(line) > INI_NAME_MAX || strpbrk(line, ":;[] \t")) {
        refuse(reader, "'%.100s' is not a key; write key = value on one line", line);
        return false;
    }
    if (!current_section(reader) && !reader->skipping) {
        if (!reader->outside_told)
            refuse(reader, "key '%.100s' stands before the first [section]", line);
        reader->outside_told = true;
        return false;
    }
    return !reader->skipping;
}

/* inih's fgets: one checked line a call, each short enough for the smallest buffer inih uses. */
static char *next_for_inih(char *out, int size, void *context)
{
    struct reader *reader = context;
    char *line;
    while ((line = lines_next(&reader->lines, &reader->out_of_memory))) {
        bool header = *line == '[';
        if (header ? !take_header(reader, line) : !take_entry(reader, line)) {
            if (reader->out_of_memory)
                return NULL;
            continue;
        }
        const struct ini_section *section = current_section(reader);
        if (header)
            snprintf(out, (size_t)size, "[%s]\n", section->name);
        else
            snprintf(out, (size_t)size, "%s = " STAND_IN "\n", text_trim(line));
        return out;
    }
    return NULL;
}

/* inih's handler: 0 tells inih of an error, which ends up in its return value. */
static int take_from_inih(void *context, const char *section_name, const char *key,
                          const char *value)
{
    struct reader *reader = context;
    struct ini_section *section = current_section(reader);
    if (!section || strcmp(section->name, section_name) != 0 || strcmp(value, STAND_IN) != 0)
        return 0;
    for (size_t i = 0; i < section->entry_count; i++) {
        if (strcmp(section->entries[i].key, key) == 0) {
            faults_add(reader->faults, reader->lines.file, reader->lines.number,
                       "key '%s' stands twice in [%s%s%s], first in line %d", key, section->name,
                       section->label ? " " : "", section->label ? section->label : "",
                       section->entries[i].line);
            return 1;
        }
    }
    struct ini_entry *entries =
        arena_grow(reader->arena, section->entries, section->entry_count, sizeof(*entries));
    char *copy = entries ? arena_strdup(reader->arena, key) : NULL;
    if (!copy) {
        reader->out_of_memory = true;
        return 0;
    }
    section->entries = entries;
    entries[section->entry_count++] =
        (struct ini_entry){.key = copy, .value = reader->value, .line = reader->lines.number};
    return 1;
}

int ini_read(struct ini_document *out, struct arena *arena, const char *file, const char *text,
             size_t length, struct faults *faults, struct err *err)
{
    struct reader reader = {.document = out, .arena = arena, .faults = faults};
    *out = (struct ini_document){0};
    lines_init(&reader.lines, file, text, length, arena, faults);
    int refused = ini_parse_stream(next_for_inih, &reader, take_from_inih, &reader);
    if (reader.out_of_memory)
        return err_set(err, ERR_MEMORY, "%s: out of memory", file);
    if (refused)
        faults_add(faults, file, 0, "inih refused the text in its entry %d", refused);
    return 0;
}
