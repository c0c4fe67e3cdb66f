#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

/*
 * The manual's lists of verbs, options and playbook keys are what the tables say. `MANUAL_REWRITE=1
 * build/unit/test_manual` writes them; then look at the difference. Runs in the top folder.
 */
#include "../../cmd/options.c"
#include "../../cmd/verbs.c"
#include "io/files.h"
#include "model/playbook_keys.h"

#define MANUAL_MAX ((size_t)1 << 20)

#define NEVER_RUN(name)                                                                            \
    int name(const struct options *options)                                                        \
    {                                                                                              \
        (void)options;                                                                             \
        fail_msg(#name " was run");                                                                \
        return -1;                                                                                 \
    }
NEVER_RUN(verb_rollout)
NEVER_RUN(verb_rollback)
NEVER_RUN(verb_plan)
NEVER_RUN(verb_resume)
NEVER_RUN(verb_pause)
NEVER_RUN(verb_promote)
NEVER_RUN(verb_abort)
NEVER_RUN(verb_check)
NEVER_RUN(verb_status)
NEVER_RUN(verb_history)
NEVER_RUN(verb_inventory)
NEVER_RUN(verb_exec)
NEVER_RUN(verb_logs)
NEVER_RUN(verb_verify)
NEVER_RUN(verb_unlock)
NEVER_RUN(verb_report)
NEVER_RUN(verb_completion)
NEVER_RUN(verb_version)
NEVER_RUN(verb_help)

/* Dashes that must stay dashes, backslashes, and lines that would be requests. */
static void add_text(struct strbuf *out, const char *text, size_t length)
{
    bool line_start = out->length == 0 || out->text[out->length - 1] == '\n';
    for (size_t i = 0; i < length; i++) {
        if (line_start && (text[i] == '.' || text[i] == '\''))
            strbuf_adds(out, "\\&");
        if (text[i] == '\\')
            strbuf_adds(out, "\\e");
        else if (text[i] == '-')
            strbuf_adds(out, "\\-");
        else
            strbuf_addc(out, text[i]);
        line_start = text[i] == '\n';
    }
}

static void add_line(struct strbuf *out, const char *text)
{
    add_text(out, text, strlen(text));
    strbuf_addc(out, '\n');
}

/* Prose of several lines; a sentence begins a line of its own, an empty line a paragraph. */
static void add_prose(struct strbuf *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n' && i + 1 < length && text[i + 1] == '\n')
            strbuf_adds(out, "\n.Pp");
        else if (text[i] == '.' && i + 1 < length && text[i + 1] == ' ') {
            strbuf_adds(out, ".\n");
            i++;
        } else
            add_text(out, text + i, 1);
    }
}

static void add_option_name(struct strbuf *out, const struct option_spec *spec)
{
    if (spec->letter)
        strbuf_addf(out, "Fl %c , ", spec->letter);
    strbuf_adds(out, "Fl \\-");
    add_text(out, spec->name, strlen(spec->name));
}

static void write_verbs(struct strbuf *out)
{
    for (size_t i = 0; i < verb_count; i++) {
        const struct verb *verb = &verbs[i];
        const char *end = strstr(verb->details, "\nExit codes:");
        const char *example = strstr(verb->details, "\nExample");
        end = end ? end : example ? example : verb->details + strlen(verb->details);
        strbuf_addf(out, ".It Cm %s", verb->name);
        if (*verb->arguments)
            strbuf_adds(out, " Ar ");
        add_line(out, verb->arguments);
        add_prose(out, verb->details, (size_t)(end - verb->details));
    }
}

static void write_options(struct strbuf *out)
{
    for (size_t k = 0; k < option_spec_count; k++) {
        const struct option_spec *spec = &option_specs[k];
        strbuf_adds(out, ".It ");
        add_option_name(out, spec);
        if (spec->argument)
            strbuf_addf(out, " Ar %s", spec->argument);
        strbuf_addc(out, '\n');
        add_line(out, spec->help);
    }
}

static void add_choices(struct strbuf *out, const char *choices)
{
    for (const char *at = choices; *at; at += strspn(at, "|")) {
        size_t length = strcspn(at, "|");
        strbuf_adds(out, at == choices ? "" : ",\n");
        add_text(out, at, length);
        at += length;
    }
    strbuf_addc(out, '\n');
}

static void write_key(struct strbuf *out, const struct playbook_key *key)
{
    strbuf_addf(out, ".It Ic %s\n", key->key);
    add_line(out, key->help);
    strbuf_adds(out, ".br\n");
    if (key->choices)
        add_choices(out, key->choices);
    else
        add_line(out, key_kind_name(key->kind));
    if (!key->fallback)
        return;
    strbuf_trim_end(out);
    strbuf_adds(out, "; default\n.Ql \\&");
    add_line(out, key->fallback);
}

static void write_keys(struct strbuf *out)
{
    const struct playbook_key *key;
    const char *section;
    for (size_t s = 0; (section = playbook_section_at(s)); s++) {
        strbuf_addf(out, ".Ss [%s%s]\\&\n.Bl -tag -width Ds\n", section,
                    playbook_section_has_name(section) ? " NAME" : "");
        for (size_t i = 0; (key = playbook_key_at(i)); i++)
            if (strcmp(key->section, section) == 0)
                write_key(out, key);
        strbuf_adds(out, ".El\n");
    }
}

/* The text between the two marks of `what` in the page is what `write` says. */
static void part_is(const char *page, const char *what, void (*write)(struct strbuf *out))
{
    struct strbuf text, wanted, whole;
    struct err err = {0};
    char begin[64], end[64];
    strbuf_init(&text, MANUAL_MAX);
    strbuf_init(&wanted, MANUAL_MAX);
    strbuf_init(&whole, MANUAL_MAX);
    assert_int_equal(file_read(&text, page, &err), 0);
    snprintf(begin, sizeof begin, ".\\\" begin %s:", what);
    snprintf(end, sizeof end, ".\\\" end %s\n", what);
    char *from = strstr(text.text, begin), *to = strstr(text.text, end);
    assert_non_null(from);
    assert_non_null(to);
    from = strchr(from, '\n') + 1;
    write(&wanted);
    if (getenv("MANUAL_REWRITE")) {
        strbuf_add(&whole, text.text, (size_t)(from - text.text));
        strbuf_add(&whole, wanted.text, wanted.length);
        strbuf_adds(&whole, to);
        assert_int_equal(file_write(page, whole.text, whole.length, 0644, &err), 0);
    } else {
        *to = '\0';
        assert_string_equal(from, wanted.text);
    }
    strbuf_release(&text);
    strbuf_release(&wanted);
    strbuf_release(&whole);
}

static void the_manual_lists_every_verb(void **state)
{
    (void)state;
    part_is("src/manual/deployctl.1", "verbs", write_verbs);
}

static void the_manual_lists_every_option(void **state)
{
    (void)state;
    part_is("src/manual/deployctl.1", "options", write_options);
}

static void the_manual_lists_every_key_of_a_playbook(void **state)
{
    (void)state;
    part_is("src/manual/deployctl-playbook.5", "keys", write_keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_manual_lists_every_verb),
        cmocka_unit_test(the_manual_lists_every_option),
        cmocka_unit_test(the_manual_lists_every_key_of_a_playbook),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
