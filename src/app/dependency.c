#include "app/dependency.h"

#include <stdlib.h>
#include <string.h>

#include "base/units.h"

struct dependency {
    struct dependency *next;
    struct dependencies *all;
    struct breaker breaker;
    struct err cause; /* the last error */
    char name[];
};

struct dependencies {
    struct loop *loop;
    struct breaker_rules rules;
    struct dependency *first;
    dependency_changed_fn *changed;
    void *context;
};

struct dependencies *dependencies_create(struct loop *loop, const struct breaker_rules *rules)
{
    struct dependencies *dependencies = calloc(1, sizeof(*dependencies));
    if (dependencies)
        *dependencies = (struct dependencies){.loop = loop, .rules = *rules};
    return dependencies;
}

void dependencies_free(struct dependencies *dependencies)
{
    struct dependency *next = dependencies ? dependencies->first : NULL;
    while (next) {
        struct dependency *dependency = next;
        next = dependency->next;
        free(dependency);
    }
    free(dependencies);
}

void dependencies_on_change(struct dependencies *dependencies, dependency_changed_fn *fn,
                            void *context)
{
    dependencies->changed = fn;
    dependencies->context = context;
}

struct dependency *dependency_named(struct dependencies *dependencies, const char *name)
{
    struct dependency **end = &dependencies->first;
    size_t length = strlen(name);
    for (; *end; end = &(*end)->next)
        if (strcmp((*end)->name, name) == 0)
            return *end;
    struct dependency *made = calloc(1, sizeof(*made) + length + 1);
    if (!made)
        return NULL;
    made->all = dependencies;
    memcpy(made->name, name, length + 1);
    *end = made;
    return made;
}

const char *dependency_name(const struct dependency *dependency)
{
    return dependency->name;
}

static int64_t now_ms(const struct dependency *dependency)
{
    return loop_now_ms(dependency->all->loop);
}

static void tell_change(const struct dependency *dependency, enum breaker_state before)
{
    const struct dependencies *all = dependency->all;
    enum breaker_state state = dependency->breaker.state;
    if (state != before && all->changed)
        all->changed(all->context, dependency, state, dependency->cause.message);
}

static int say_why_not(const struct dependency *dependency, int64_t at, struct err *err)
{
    char left[DURATION_TEXT_MAX];
    return err_set(err, ERR_UNREACHABLE, "not asked for another %s, its breaker is %s: %s",
                   duration_format(left, at - now_ms(dependency)),
                   breaker_state_name(dependency->breaker.state), dependency->cause.message);
}

enum breaker_state dependency_state(const struct dependency *dependency)
{
    return dependency->breaker.state;
}

int64_t dependency_allows_at(const struct dependency *dependency)
{
    return breaker_allows_at(&dependency->breaker, &dependency->all->rules, now_ms(dependency));
}

int dependency_ask(struct dependency *dependency, struct err *err)
{
    const struct breaker_rules *rules = &dependency->all->rules;
    enum breaker_state before = dependency->breaker.state;
    int64_t now = now_ms(dependency);
    if (!breaker_allows(&dependency->breaker, rules, now))
        return say_why_not(dependency, breaker_allows_at(&dependency->breaker, rules, now), err);
    tell_change(dependency, before);
    return 0;
}

void dependency_ask_owed(struct dependency *dependency)
{
    enum breaker_state before = dependency->breaker.state;
    int64_t now = now_ms(dependency);
    if (before == BREAKER_CLOSED)
        return;
    dependency->breaker.state = BREAKER_HALF_OPEN;
    dependency->breaker.since = now;
    tell_change(dependency, before);
}

void dependency_left(struct dependency *dependency)
{
    enum breaker_state before = dependency->breaker.state;
    breaker_unheard(&dependency->breaker, &dependency->all->rules, now_ms(dependency));
    tell_change(dependency, before);
}

void dependency_answered(struct dependency *dependency)
{
    enum breaker_state before = dependency->breaker.state;
    breaker_succeeded(&dependency->breaker);
    tell_change(dependency, before);
}

void dependency_failed(struct dependency *dependency, const struct err *error)
{
    const struct breaker_rules *rules = &dependency->all->rules;
    enum breaker_state before = dependency->breaker.state;
    dependency->cause = *error;
    breaker_failed(&dependency->breaker, rules, now_ms(dependency));
    if (error->code == ERR_TIMEOUT && dependency->breaker.state == BREAKER_CLOSED)
        breaker_trip(&dependency->breaker, rules, now_ms(dependency));
    tell_change(dependency, before);
}
