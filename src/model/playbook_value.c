#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "model/expression.h"
#include "model/playbook.h"
#include "model/playbook_keys.h"
#include "model/template.h"

#define LIST_ITEMS_MAX 1000
#define REGEX_MAX 65536
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

/* Everything one value needs on its way into its field. */
struct target {
    const struct playbook_key *key;
    void *field;
    const char *text;
    struct arena *arena;
    struct err *err;
};

static int out_of_memory(const struct target *target)
{
    return err_set(target->err, ERR_MEMORY, "out of memory");
}

static int store_string(const struct target *target)
{
    const char *copy = arena_strdup(target->arena, target->text);
    if (!copy)
        return out_of_memory(target);
    *(const char **)target->field = copy;
    return 0;
}

static int store_name(const struct target *target)
{
    if (!text_is_name(target->text))
        return err_set(target->err, ERR_INPUT,
                       "'%.100s' is not a name; use 1 to 64 letters, digits, '.', '_' and '-', "
                       "beginning with a letter or digit",
                       target->text);
    return store_string(target);
}

static int store_variable(const struct target *target)
{
    size_t length = strspn(target->text, NAME_BYTES);
    if (length == 0 || target->text[length])
        return err_set(target->err, ERR_INPUT, "'%.100s' is not the name of a variable",
                       target->text);
    return store_string(target);
}

static int store_unit(const struct target *target)
{
    size_t length = strspn(target->text, NAME_BYTES ":.@\\-{}");
    if (target->text[length] || length > 255 || *target->text == '-' || *target->text == '.')
        return err_set(target->err, ERR_INPUT,
                       "'%.100s' is not a systemd unit's name; write it like shop.service",
                       target->text);
    return store_string(target);
}

/* Why a path is not taken; NULL when every part of it is plain. `{name}` may stand in it. */
static const char *path_trouble(const char *path)
{
    while (true) {
        size_t length = strcspn(path, "/");
        if (length == 0)
            return "has an empty part";
        if (length <= 2 && strncmp(path, "..", length) == 0)
            return length == 1 ? "has a part '.'" : "climbs with '..'";
        if (length > 255)
            return "has a part longer than 255 bytes";
        if (!path[length])
            return NULL;
        path += length + 1;
    }
}

/* A copy without the slashes at the end; `/` alone becomes empty. */
static char *copy_path(struct arena *arena, const char *text, size_t length)
{
    while (length && text[length - 1] == '/')
        length--;
    return arena_strndup(arena, text, length);
}

static int store_root(const struct target *target)
{
    char *path = copy_path(target->arena, target->text, strlen(target->text));
    if (!path)
        return out_of_memory(target);
    if (*target->text != '/')
        return err_set(target->err, ERR_INPUT,
                       "'%.200s' is not an absolute path; write it like /srv/shop", target->text);
    if (!*path)
        return err_set(target->err, ERR_INPUT,
                       "'/' cannot be a service's root; give it a folder "
                       "of its own, like /srv/shop");
    const char *trouble = path_trouble(path + 1);
    if (trouble || strlen(path) > 1024)
        return err_set(target->err, ERR_INPUT, "path '%.200s' %s", target->text,
                       trouble ? trouble : "is longer than 1024 bytes");
    *(const char **)target->field = path;
    return 0;
}

static bool is_one_of(const char *text, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

/* The node's program has the same list, for what a variable of the inventory makes of it. */
static int store_service_root(const struct target *target)
{
    static const char *const system[] = {
        "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/proc", "/root", "/run",
        "/sbin", "/sys", "/tmp", "/usr", "/usr/bin", "/usr/include", "/usr/lib", "/usr/lib64", "/usr/libexec", "/usr/local",
        "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin", "/usr/sbin", "/usr/share", "/var", "/var/cache", "/var/lib",
        "/var/lock", "/var/log", "/var/run", "/var/spool", "/var/tmp"};
    int code = store_root(target);
    if (code < 0)
        return code;
    const char *path = *(const char **)target->field;
    if (is_one_of(path, system, sizeof(system) / sizeof(*system)) || strncmp(path, "/proc/", 6) == 0 ||
        strncmp(path, "/sys/", 5) == 0)
        return err_set(target->err, ERR_INPUT,
                       "'%.200s' is a folder of the system and cannot be a service's root; give it a folder of its own, like /srv/shop",
                       path);
    return 0;
}

static int check_folder(const char *path, struct err *err)
{
    if (*path == '/')
        return err_set(err, ERR_INPUT, "path '%.200s' must be relative", path);
    const char *trouble = path_trouble(path);
    if (trouble || strlen(path) > 1024)
        return err_set(err, ERR_INPUT, "path '%.200s' %s", path,
                       trouble ? trouble : "is longer than 1024 bytes");
    return 0;
}

static int store_folder(const struct target *target)
{
    char *path = copy_path(target->arena, target->text, strlen(target->text));
    if (!path)
        return out_of_memory(target);
    int code = *target->text == '/' ? check_folder(target->text, target->err)
                                    : check_folder(path, target->err);
    if (code == 0)
        *(const char **)target->field = path;
    return code;
}

/* Splits at commas into trimmed items, none of them empty. */
static int split_list(const struct target *target, struct string_list *list)
{
    *list = (struct string_list){0};
    char *at = arena_strdup(target->arena, target->text);
    while (at) {
        char *comma = strchr(at, ',');
        if (comma)
            *comma = '\0';
        char *item = text_trim(at);
        if (!*item)
            return err_set(target->err, ERR_INPUT, "'%.100s' has an empty item", target->text);
        if (list->count == LIST_ITEMS_MAX)
            return err_set(target->err, ERR_INPUT, "more than %d items", LIST_ITEMS_MAX);
        list->items = arena_grow(target->arena, list->items, list->count, sizeof(*list->items));
        if (!list->items)
            return out_of_memory(target);
        list->items[list->count++] = item;
        at = comma ? comma + 1 : NULL;
    }
    return list->count ? 0 : out_of_memory(target);
}

/* True when one path is the other or lies below it. */
static bool paths_overlap(const char *left, const char *right)
{
    size_t shorter = strlen(left) < strlen(right) ? strlen(left) : strlen(right);
    bool same = strncmp(left, right, shorter) == 0;
    char after_left = left[shorter], after_right = right[shorter];
    return same && (!after_left || after_left == '/') && (!after_right || after_right == '/');
}

static int store_folders(const struct target *target)
{
    struct string_list list;
    int code = split_list(target, &list);
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        if (*list.items[i] != '/')
            list.items[i] = copy_path(target->arena, list.items[i], strlen(list.items[i]));
        if (!list.items[i])
            return out_of_memory(target);
        code = check_folder(list.items[i], target->err);
        for (size_t j = 0; code == 0 && j < i; j++)
            if (paths_overlap(list.items[j], list.items[i]))
                code = err_set(target->err, ERR_INPUT, "'%.200s' and '%.200s' overlap",
                               list.items[j], list.items[i]);
    }
    if (code == 0)
        *(struct string_list *)target->field = list;
    return code;
}

static int store_releases(const struct target *target)
{
    struct string_list list;
    int code = split_list(target, &list);
    for (size_t i = 0; code == 0 && i < list.count; i++)
        if (!text_is_name(list.items[i]) || strlen(list.items[i]) < 4)
            code = err_set(target->err, ERR_INPUT, "'%.200s' is no release: 4 or more first letters of its id or commit",
                           list.items[i]);
    if (code == 0)
        *(struct string_list *)target->field = list;
    return code;
}

static int store_headers(const struct target *target)
{
    static const char token[] = NAME_BYTES "!#$%&'*+-.^`|~";
    struct string_list list;
    int code = split_list(target, &list);
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        size_t length = strspn(list.items[i], token);
        if (length == 0 || list.items[i][length] != ':')
            code = err_set(target->err, ERR_INPUT,
                           "'%.100s' is not a header; write it like 'X-Probe: yes'", list.items[i]);
    }
    if (code == 0)
        *(struct string_list *)target->field = list;
    return code;
}

static int store_regex(const struct target *target)
{
    regex_t compiled;
    struct strbuf pattern;
    const struct template_scope scope = {.stand_in = "x"};
    strbuf_init(&pattern, REGEX_MAX);
    int code = template_expand(&pattern, target->text, &scope, target->err);
    if (code == 0)
        code = expression_compile(&compiled, pattern.text, REG_NOSUB, target->err);
    strbuf_release(&pattern);
    if (code < 0)
        return code;
    regfree(&compiled);
    return store_string(target);
}

static int store_identity(const struct target *target)
{
    static const char *const kinds[] = {[IDENTITY_HEADER] = "header", [IDENTITY_BODY] = "body", [IDENTITY_COMMAND] = "command"};
    static const char token[] = NAME_BYTES "!#$%&'*+-.^`|~";
    size_t length = strcspn(target->text, " \t");
    const char *rest = target->text + length + strspn(target->text + length, " \t");
    struct identity identity = {0};
    for (int kind = IDENTITY_HEADER; kind <= IDENTITY_COMMAND; kind++)
        if (strlen(kinds[kind]) == length && strncmp(kinds[kind], target->text, length) == 0)
            identity.kind = (enum identity_kind)kind;
    if (identity.kind == IDENTITY_NONE || !*rest)
        return err_set(target->err, ERR_INPUT,
                       "'%.100s' is not an identity; write `header X-Release`, `body {release}` or `command CHECK`", target->text);
    if (identity.kind == IDENTITY_HEADER && rest[strspn(rest, token)])
        return err_set(target->err, ERR_INPUT, "'%.100s' is not the name of a header", rest);
    identity.text = arena_strdup(target->arena, rest);
    if (!identity.text)
        return out_of_memory(target);
    *(struct identity *)target->field = identity;
    return 0;
}

static int store_yes_no(const struct target *target)
{
    bool yes = strcmp(target->text, "yes") == 0;
    if (!yes && strcmp(target->text, "no") != 0)
        return err_set(target->err, ERR_INPUT, "'%.100s' is neither yes nor no", target->text);
    *(bool *)target->field = yes;
    return 0;
}

static int store_whole(const struct target *target)
{
    uint64_t value;
    int code = whole_parse(&value, target->text, (uint64_t)target->key->minimum,
                           (uint64_t)target->key->maximum, target->err);
    if (code == 0)
        *(uint32_t *)target->field = (uint32_t)value;
    return code;
}

static int store_size(const struct target *target)
{
    char least[DURATION_TEXT_MAX], most[DURATION_TEXT_MAX];
    uint64_t bytes, minimum = (uint64_t)target->key->minimum, maximum = (uint64_t)target->key->maximum;
    int code = size_parse(&bytes, target->text, target->err);
    if (code < 0)
        return code;
    if (bytes < minimum || bytes > maximum)
        return err_set(target->err, ERR_INPUT, "'%.100s' is not from %s to %s", target->text, size_format(least, minimum),
                       size_format(most, maximum));
    *(uint64_t *)target->field = bytes;
    return 0;
}

/* `host:port` or `[2001:db8::1]:port`; the host is passed on as it is, so blanks and signs stay out. */
static int store_endpoint(const struct target *target)
{
    const char *colon = strrchr(target->text, ':');
    size_t host = colon ? (size_t)(colon - target->text) : 0;
    bool brackets = *target->text == '[';
    const char *begin = target->text + brackets;
    size_t length = brackets && host > 2 && target->text[host - 1] == ']' ? host - 2 : host;
    size_t fine = strspn(begin, brackets ? "0123456789abcdefABCDEF:." : NAME_BYTES "-.");
    uint64_t port;
    if (length == 0 || length > 253 || fine != length || *begin == '-' ||
        whole_parse(&port, colon + 1, 1, UINT16_MAX, NULL) < 0)
        return err_set(target->err, ERR_INPUT,
                       "'%.100s' is not host:port; write it like 127.0.0.1:9999",
                       target->text);
    return store_string(target);
}

/* A scheme, a host and a port, so that a path can be put behind; no user in it: its password would stand in messages. */
static int check_url(const char *url, struct err *err)
{
    size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 : strncmp(url, "http://", 7) == 0 ? 7 : 0;
    const char *host = url + scheme;
    size_t length = strspn(host, NAME_BYTES "-.:[]");
    if (scheme && length && length <= 300 && !host[length] && *host != ':')
        return 0;
    return err_set(err, ERR_INPUT, "'%.100s' is not a server's address; write it like https://etcd1:2379", url);
}

static int store_urls(const struct target *target)
{
    struct string_list list;
    int code = split_list(target, &list);
    for (size_t i = 0; code == 0 && i < list.count; i++) {
        list.items[i] = copy_path(target->arena, list.items[i], strlen(list.items[i]));
        code = list.items[i] ? check_url(list.items[i], target->err) : out_of_memory(target);
    }
    if (code == 0)
        *(struct string_list *)target->field = list;
    return code;
}

static int store_port(const struct target *target)
{
    uint64_t value;
    int code = whole_parse(&value, target->text, 1, UINT16_MAX, target->err);
    if (code == 0)
        *(uint16_t *)target->field = (uint16_t)value;
    return code;
}

static int store_duration(const struct target *target)
{
    int64_t value;
    const char *word = target->key->choices;
    int code = duration_parse(&value, target->text, target->err);
    if (word && strcmp(target->text, word) == 0) {
        *(int64_t *)target->field = -1;
        return 0;
    }
    if (code < 0 && word)
        return err_set(target->err, ERR_INPUT, "'%.100s' is neither a duration like 15m nor %s",
                       target->text, word);
    if (code < 0)
        return code;
    if (value < target->key->minimum || value > target->key->maximum) {
        char least[DURATION_TEXT_MAX], most[DURATION_TEXT_MAX];
        return err_set(target->err, ERR_INPUT, "'%.100s' is not between %s and %s", target->text,
                       target->key->minimum ? duration_format(least, target->key->minimum) : "0",
                       duration_format(most, target->key->maximum));
    }
    *(int64_t *)target->field = value;
    return 0;
}

/* A decimal number without sign at the text's begin, and what follows it; NULL when there is none. */
static const char *read_decimal(const char *text, double *out)
{
    double value = 0, place = 1;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (*at - '0');
    if (at == text || at - text > 15)
        return NULL;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++)
            value += (place /= 10) * (*at - '0');
    *out = value;
    return at[-1] == '.' ? NULL : at;
}

static int store_share(const struct target *target)
{
    double value;
    const char *rest = read_decimal(target->text, &value);
    bool percent = rest && strcmp(rest, "%") == 0;
    if (percent)
        value /= 100;
    if (!rest || (*rest && !percent) || value >= 1)
        return err_set(target->err, ERR_INPUT, "'%.100s' is not a share below 1; write it like 25%% or 0.25",
                       target->text);
    *(double *)target->field = value;
    return 0;
}

static int store_figure(const struct target *target)
{
    struct figure figure = {.given = true};
    int64_t ms;
    const char *rest = read_decimal(target->text, &figure.value);
    if (rest && strcmp(rest, "%") == 0)
        figure.unit = FIGURE_PERCENT;
    else if (rest && *rest && duration_parse(&ms, target->text, NULL) == 0)
        figure = (struct figure){.given = true, .unit = FIGURE_TIME, .value = (double)ms};
    else if (!rest || *rest)
        return err_set(target->err, ERR_INPUT, "'%.100s' is not a number; write it like 1%%, 250ms or 0.5",
                       target->text);
    *(struct figure *)target->field = figure;
    return 0;
}

/* Shares that grow, each with the time that it lasts. */
static int store_warmup(const struct target *target)
{
    struct string_list list;
    int code = split_list(target, &list);
    if (code < 0)
        return code;
    struct warmup_step *steps = arena_alloc(target->arena, list.count * sizeof(*steps));
    if (!steps)
        return out_of_memory(target);
    for (size_t i = 0; i < list.count; i++) {
        struct amount amount = {0};
        const char *colon = strchr(list.items[i], ':');
        const char *share = colon ? arena_strndup(target->arena, list.items[i], (size_t)(colon - list.items[i])) : NULL;
        if (!colon || amount_parse(&amount, share ? share : "", target->err) < 0 ||
            duration_parse(&steps[i].hold_ms, colon + 1, target->err) < 0 || !amount.percent ||
            amount.value == 0 || amount.value > 99 || steps[i].hold_ms > 3600 * 1000 ||
            (i && amount.value * 10 < steps[i - 1].weight))
            return err_set(target->err, ERR_INPUT,
                           "'%.60s' is not a growing share of 1%% to 99%% and its time, like 10%%:10s",
                           list.items[i]);
        steps[i].weight = amount.value * 10;
    }
    struct balancer *balancer =
        (struct balancer *)((char *)target->field - offsetof(struct balancer, warmup));
    balancer->warmup = steps;
    balancer->warmup_count = list.count;
    return 0;
}

static int store_amounts(const struct target *target)
{
    struct string_list list;
    int code = split_list(target, &list);
    if (code < 0)
        return code;
    struct amount *amounts = arena_alloc(target->arena, list.count * sizeof(*amounts));
    if (!amounts)
        return out_of_memory(target);
    for (size_t i = 0; i < list.count; i++) {
        code = amount_parse(&amounts[i], list.items[i], target->err);
        if (code < 0)
            return code;
        if (amounts[i].value == 0)
            return err_set(target->err, ERR_INPUT, "'%.100s' makes a wave of no nodes",
                           list.items[i]);
    }
    struct strategy *strategy =
        (struct strategy *)((char *)target->field - offsetof(struct strategy, batch));
    strategy->batch = amounts;
    strategy->batch_count = list.count;
    return 0;
}

static int store_choice(const struct target *target)
{
    size_t length = strlen(target->text);
    const char *at = target->key->choices;
    for (unsigned place = 0; at; place++) {
        const char *bar = strchr(at, '|');
        size_t size = bar ? (size_t)(bar - at) : strlen(at);
        if (size == length && memcmp(at, target->text, size) == 0) {
            memcpy(target->field, &place, sizeof(place));
            return 0;
        }
        at = bar ? bar + 1 : NULL;
    }
    char words[256];
    size_t used = 0;
    for (at = target->key->choices; *at && used + 3 < sizeof(words); at++) {
        words[used++] = *at == '|' ? ',' : *at;
        if (*at == '|')
            words[used++] = ' ';
    }
    words[used] = '\0';
    return err_set(target->err, ERR_INPUT, "'%.100s' is not one of %s", target->text, words);
}

static int store_status(const struct target *target)
{
    uint64_t from, to;
    char first[8];
    const char *dash = strchr(target->text, '-');
    size_t length = dash ? (size_t)(dash - target->text) : strlen(target->text);
    snprintf(first, sizeof(first), "%.*s", length < sizeof(first) ? (int)length : 0, target->text);
    if (whole_parse(&from, first, 100, 599, NULL) < 0 ||
        whole_parse(&to, dash ? dash + 1 : first, from, 599, NULL) < 0)
        return err_set(target->err, ERR_INPUT,
                       "'%.100s' is not a status from 100 to 599 or a range like 200-299",
                       target->text);
    uint16_t *pair = target->field;
    pair[0] = (uint16_t)from;
    pair[1] = (uint16_t)to;
    return 0;
}

static int store_source(const struct target *target)
{
    struct source *source =
        (struct source *)((char *)target->field - offsetof(struct source, location));
    int code = store_string(target);
    if (code == 0)
        source->kind = (enum source_kind)target->key->minimum;
    return code;
}

_Static_assert(offsetof(struct health, expect_to) ==
                   offsetof(struct health, expect_from) + sizeof(uint16_t),
               "store_status writes the pair");
_Static_assert(sizeof(enum hook_when) == sizeof(unsigned), "store_choice writes an unsigned");

int playbook_key_store(const struct playbook_key *key, void *base, const char *text,
                       struct arena *arena, struct err *err)
{
    struct target target = {
        .key = key, .field = (char *)base + key->offset, .text = text, .arena = arena, .err = err};
    switch (key->kind) {
    case KEY_TEXT:
    case KEY_COMMAND:
    case KEY_TEMPLATE:
        return store_string(&target);
    case KEY_TEMPLATES:
        return store_headers(&target);
    case KEY_NAME:
        return store_name(&target);
    case KEY_VARIABLE:
        return store_variable(&target);
    case KEY_UNIT:
        return store_unit(&target);
    case KEY_ROOT:
        return store_service_root(&target);
    case KEY_FOLDER:
        return store_folder(&target);
    case KEY_FOLDERS:
        return store_folders(&target);
    case KEY_RELEASES:
        return store_releases(&target);
    case KEY_REGEX:
        return store_regex(&target);
    case KEY_IDENTITY:
        return store_identity(&target);
    case KEY_YES_NO:
        return store_yes_no(&target);
    case KEY_WHOLE:
        return store_whole(&target);
    case KEY_SIZE:
        return store_size(&target);
    case KEY_URLS:
        return store_urls(&target);
    case KEY_ENDPOINT:
        return store_endpoint(&target);
    case KEY_SOCKET:
        return *text == '/' ? store_root(&target) : store_endpoint(&target);
    case KEY_WARMUP:
        return store_warmup(&target);
    case KEY_PORT:
        return store_port(&target);
    case KEY_DURATION:
        return store_duration(&target);
    case KEY_SHARE:
        return store_share(&target);
    case KEY_FIGURE:
        return store_figure(&target);
    case KEY_AMOUNT:
        return amount_parse(target.field, text, err);
    case KEY_AMOUNTS:
        return store_amounts(&target);
    case KEY_STEPS:
        return canary_steps_parse(target.field, text, arena, err);
    case KEY_CHOICE:
        return store_choice(&target);
    case KEY_STATUS:
        return store_status(&target);
    case KEY_SOURCE:
        return store_source(&target);
    }
    return err_set(err, ERR_INPUT, "key '%s' has no kind", key->key);
}
