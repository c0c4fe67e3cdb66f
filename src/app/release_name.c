#include "app/release_name.h"

#include <string.h>

#include "base/strbuf.h"

#define NAMED_MAX 8

struct finding {
    const char *text;
    size_t length;
    const char *found[NAMED_MAX];
    size_t count; /* of different ones, more than are kept */
};

static bool begins_so(const struct finding *finding, const char *id)
{
    const char *commit = strrchr(id, '-');
    return strncmp(id, finding->text, finding->length) == 0 ||
           (commit && strncmp(commit + 1, finding->text, finding->length) == 0);
}

static void take(struct finding *finding, const char *id)
{
    size_t kept = finding->count < NAMED_MAX ? finding->count : NAMED_MAX;
    for (size_t i = 0; i < kept; i++)
        if (strcmp(finding->found[i], id) == 0)
            return;
    if (finding->count < NAMED_MAX)
        finding->found[finding->count] = id;
    finding->count++;
}

static int several(const struct finding *finding, struct err *err)
{
    struct strbuf names;
    strbuf_init(&names, NAMED_MAX * 70);
    for (size_t i = 0; i < finding->count && i < NAMED_MAX; i++)
        strbuf_addf(&names, "%s%s", i ? ", " : "", finding->found[i]);
    err_set(err, ERR_REFUSED, "several releases begin with '%s': %s%s; write more letters of one", finding->text,
            names.text, finding->count > NAMED_MAX ? ", ..." : "");
    strbuf_release(&names);
    return err->code;
}

int release_name_find(const char **out, const char *text, const struct survey *survey, struct err *err)
{
    struct finding finding = {.text = text, .length = strlen(text)};
    *out = text;
    for (size_t i = 0; i < survey->count; i++) {
        const struct facts *facts = &survey->nodes[i].facts;
        for (size_t j = 0; survey->nodes[i].answered && j < facts->release_count; j++) {
            const char *id = facts->releases[j].id;
            if (strcmp(id, text) == 0)
                return 0;
            if (begins_so(&finding, id))
                take(&finding, id);
        }
    }
    if (finding.length < RELEASE_LETTERS)
        return err_set(err, ERR_REFUSED, "'%s' is too short for a release: at least %d letters of its id or commit", text,
                       RELEASE_LETTERS);
    if (finding.count > 1)
        return several(&finding, err);
    if (finding.count == 1)
        *out = finding.found[0];
    return 0;
}
