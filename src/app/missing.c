#include "app/missing.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NAMES_BYTES 600

void members_note(struct strbuf *out, const struct fleet *fleet, size_t member)
{
    size_t count = 0, named = 0;
    for (size_t i = 0; i < fleet->count; i++)
        count += !fleet->members[i].outside;
    strbuf_addf(out, "%zu %s", count, fleet->members[member].node->name);
    for (size_t i = 1; i < fleet->count && named < MEMBERS_NEXT; i++) {
        const struct member *next = &fleet->members[(member + i) % fleet->count];
        if (next->outside)
            continue;
        if (out->length + strlen(next->node->name) + 1 > MEMBERS_BYTES)
            return;
        strbuf_addf(out, " %s", next->node->name);
        named++;
    }
}

void missing_init(struct missing *missing)
{
    *missing = (struct missing){.count = 0};
    strbuf_init(&missing->names, NAMES_BYTES);
}

void missing_release(struct missing *missing)
{
    strbuf_release(&missing->names);
}

/* NULL: the inventory does not have it, or the playbook does not choose it. */
static const struct member *member_of(const struct fleet *fleet, const char *name)
{
    for (size_t i = 0; i < fleet->count; i++)
        if (strcmp(fleet->members[i].node->name, name) == 0)
            return &fleet->members[i];
    return NULL;
}

static void add(struct missing *out, const char *name, const char *root)
{
    out->count++;
    if (out->names.length + strlen(name) + (root ? strlen(root) : 0) + 60 > NAMES_BYTES)
        return;
    strbuf_addf(&out->names, "%s%s", out->names.length ? ", " : "", name);
    if (root)
        strbuf_addf(&out->names, " (root %s)", root);
}

/* --- by the nodes' journals --- */

/* The words of a note, the count left out. */
static const char *first_name(const char *note)
{
    note += strcspn(note, " ");
    return note + strspn(note, " ");
}

static bool copy_word(char out[256], const char *at)
{
    size_t length = strcspn(at, " ");
    if (length == 0 || length >= 256)
        return false;
    memcpy(out, at, length);
    out[length] = '\0';
    return true;
}

static const char *note_of(const struct surveyed *node, const char *rollout)
{
    const struct facts *facts = &node->facts;
    bool in = node->answered && facts->open_rollout && strcmp(facts->open_rollout, rollout) == 0;
    return in ? facts->open_members : NULL;
}

/* A node that answers under another name than it had then. */
static bool is_renamed(const struct survey *survey, const char *rollout, const char *name)
{
    char self[256];
    for (size_t i = 0; i < survey->count; i++) {
        const char *note = note_of(&survey->nodes[i], rollout);
        if (note && copy_word(self, first_name(note)) && strcmp(self, name) == 0)
            return true;
    }
    return false;
}

/* An earlier note has named it. */
static bool is_known(const struct survey *survey, const char *rollout, size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++) {
        const char *note = note_of(&survey->nodes[i], rollout);
        if (note && text_has_word(first_name(note), name))
            return true;
    }
    return false;
}

void missing_of_nodes(struct missing *out, const struct fleet *fleet, const struct survey *survey, const char *rollout)
{
    char name[256];
    for (size_t i = 0; i < survey->count; i++) {
        const char *note = note_of(&survey->nodes[i], rollout);
        for (const char *at = note ? first_name(note) : ""; copy_word(name, at); at = first_name(at))
            if (!member_of(fleet, name) && !is_known(survey, rollout, i, name) && !is_renamed(survey, rollout, name))
                add(out, name, NULL);
    }
}

/* --- by the runner's journal --- */

void missing_of_journal(struct missing *out, const struct fleet *fleet, const struct past *past)
{
    const struct roster *roster = &past->roster;
    out->root = roster->root;
    for (size_t i = 0; i < roster->node_count; i++) {
        const struct member *member = member_of(fleet, roster->nodes[i]);
        const char *root = roster->roots ? roster->roots[i] : NULL;
        bool moved = member && root && member->service.root && strcmp(root, member->service.root) != 0;
        if (roster->waves[i] == NO_WAVE || (member && !moved))
            continue;
        out->moved += moved;
        add(out, roster->nodes[i], root);
    }
}

bool journal_is_open(const struct past *past)
{
    static const enum rollout_result open[] = {RESULT_HELD, RESULT_INTERRUPTED, RESULT_NEEDS_CARE};
    const struct record *end = past_result(past);
    for (size_t i = 0; end && end->result && i < sizeof(open) / sizeof(open[0]); i++)
        if (strcmp(end->result, rollout_result_name(open[i])) == 0)
            return true;
    return !end;
}

bool survey_is_past(const struct survey *survey, const char *rollout)
{
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        int order = survey->nodes[i].answered && facts->ended_rollout ? strcmp(facts->ended_rollout, rollout) : -1;
        bool refused = facts->ended_result && strcmp(facts->ended_result, rollout_result_name(RESULT_REFUSED)) == 0;
        if (order > 0 && !refused)
            return true;
    }
    return survey_saw_end(survey, rollout);
}
