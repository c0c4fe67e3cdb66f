#include "app/balancer_nginx.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define SCALE 100
#define WEIGHT_MAX 1000000
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-[]/"
#define PARAMETERS_MAX 512

bool nginx_is_server(const char *name)
{
    size_t length = strspn(name, NAME_BYTES);
    return length > 0 && length <= 255 && !name[length];
}

/* One `server` line taken apart. */
struct server_line {
    size_t indent;
    char name[256];
    char parameters[PARAMETERS_MAX]; /* but weight and down, each with a blank in front */
    uint64_t weight, full;
    bool down, marked; /* marked: it has its `# full=` */
};

static bool word_is(const char *word, size_t length, const char *text)
{
    return strlen(text) == length && memcmp(word, text, length) == 0;
}

static bool number_after(uint64_t *out, const char *word, size_t length, const char *prefix)
{
    char digits[21];
    size_t skipped = strlen(prefix);
    if (length <= skipped || memcmp(word, prefix, skipped) != 0 || length - skipped >= sizeof(digits))
        return false;
    memcpy(digits, word + skipped, length - skipped);
    digits[length - skipped] = '\0';
    return whole_parse(out, digits, 1, WEIGHT_MAX, NULL) == 0;
}

static bool take_word(struct server_line *line, const char *word, size_t length)
{
    size_t used = strlen(line->parameters);
    if (word_is(word, length, "down")) {
        line->down = true;
    } else if (number_after(&line->weight, word, length, "weight=")) {
        return true;
    } else if (used + length + 2 > sizeof(line->parameters)) {
        return false;
    } else {
        line->parameters[used] = ' ';
        memcpy(line->parameters + used + 1, word, length);
        line->parameters[used + 1 + length] = '\0';
    }
    return true;
}

static void read_comment(struct server_line *line, const char *text, size_t length)
{
    while (length && (*text == ' ' || *text == '\t' || *text == '#'))
        text++, length--;
    line->marked = number_after(&line->full, text, length, "full=");
}

/* False: the line is no `server` statement that stands alone. */
static bool read_server(struct server_line *line, const char *text, size_t length)
{
    const char *end = text + length, *at = text;
    *line = (struct server_line){.weight = 1};
    while (at < end && (*at == ' ' || *at == '\t'))
        at++;
    line->indent = (size_t)(at - text);
    for (size_t words = 0; at < end; words++) {
        size_t width = 0;
        while (at + width < end && !strchr(" \t;", at[width]))
            width++;
        bool fine = words == 0   ? word_is(at, width, "server")
                    : words == 1 ? width > 0 && width < sizeof(line->name)
                                 : take_word(line, at, width);
        if (!fine)
            return false;
        if (words == 1)
            memcpy(line->name, at, width);
        at += width;
        while (at < end && (*at == ' ' || *at == '\t'))
            at++;
        if (at < end && *at == ';') {
            read_comment(line, at + 1, (size_t)(end - at - 1));
            if (!line->marked)
                line->full = line->weight;
            return words >= 1;
        }
    }
    return false;
}

static struct traffic_order *order_for(struct traffic_order *orders, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(orders[i].server, name) == 0)
            return &orders[i];
    return NULL;
}

static void carry_out(struct server_line *line, const struct traffic_order *order)
{
    if (order->command == ORDER_LOOK)
        return;
    line->down = order->command != ORDER_READY;
    if (order->weight == WEIGHT_KEEP)
        return;
    line->weight = (line->full * order->weight + WEIGHT_FULL / 2) / WEIGHT_FULL;
    if (line->weight == 0)
        line->weight = 1;
}

static void write_server(struct strbuf *out, const struct server_line *line, const char *text)
{
    strbuf_add(out, text, line->indent);
    strbuf_addf(out, "server %s weight=%" PRIu64 "%s%s;", line->name, line->weight, line->parameters,
                line->down ? " down" : "");
    if (line->marked)
        strbuf_addf(out, " # full=%" PRIu64, line->full);
}

static void store_view(struct traffic_view *view, const struct server_line *line)
{
    *view = (struct traffic_view){
        .state = line->down ? TRAFFIC_MAINT : TRAFFIC_READY,
        .up = true,
        .weight = line->weight,
        .full_weight = line->full,
    };
}

static bool same_state(const struct server_line *a, const struct server_line *b)
{
    return a->weight == b->weight && a->full == b->full && a->down == b->down &&
           a->marked == b->marked;
}

/* A pass over the text. */
struct editing {
    struct strbuf *out;
    struct traffic_order *orders;
    size_t count, found;
    const char *upstream;
    bool scales; /* shares are asked for: weights that are not marked are multiplied, as far as they go, and marked */
    bool inside, seen, changed;
};

static void edit_line(struct editing *editing, const char *text, size_t length)
{
    struct server_line line, before;
    if (!editing->inside || !read_server(&line, text, length)) {
        strbuf_add(editing->out, text, length);
        return;
    }
    before = line;
    struct traffic_order *order = order_for(editing->orders, editing->count, line.name);
    if (editing->scales && !line.marked) {
        if (line.weight <= WEIGHT_MAX / SCALE)
            line.weight *= SCALE;
        line.full = line.weight;
        line.marked = true;
    }
    if (order) {
        carry_out(&line, order);
        store_view(&order->view, &line);
        editing->found++;
    }
    if (same_state(&line, &before)) {
        strbuf_add(editing->out, text, length);
    } else {
        write_server(editing->out, &line, text);
        editing->changed = true;
    }
}

/* Whether the upstream of this name begins or ends with the line. */
static void follow_blocks(struct editing *editing, const char *text, size_t length)
{
    while (length && (*text == ' ' || *text == '\t'))
        text++, length--;
    size_t name = strlen(editing->upstream);
    if (length > 9 && memcmp(text, "upstream ", 9) == 0) {
        const char *at = text + 9;
        size_t left = length - 9;
        while (left && *at == ' ')
            at++, left--;
        editing->inside = left > name && memcmp(at, editing->upstream, name) == 0 &&
                          (at[name] == ' ' || at[name] == '{');
        editing->seen = editing->seen || editing->inside;
    } else if (length && *text == '}') {
        editing->inside = false;
    }
}

static int tell_missing(const struct editing *editing, struct err *err)
{
    if (!editing->seen)
        return err_set(err, ERR_REFUSED, "the file has no `upstream %s {`", editing->upstream);
    for (size_t i = 0; i < editing->count; i++)
        if (!editing->orders[i].view.full_weight)
            return err_set(err, ERR_REFUSED,
                           "upstream %s has no server %s; give it a line `server %s;` of its own, or "
                           "say how it is named with `server` in the playbook",
                           editing->upstream, editing->orders[i].server, editing->orders[i].server);
    return 0;
}

int nginx_edit(struct strbuf *out, bool *changed, struct traffic_order *orders, size_t count,
               const char *upstream, const char *text, struct err *err)
{
    struct editing editing = {
        .out = out, .orders = orders, .count = count, .upstream = upstream};
    for (size_t i = 0; i < count; i++) {
        bool share = orders[i].command == ORDER_READY && orders[i].weight < WEIGHT_FULL;
        editing.scales = editing.scales || share;
        orders[i].view = (struct traffic_view){0};
    }
    while (*text) {
        size_t length = strcspn(text, "\n");
        follow_blocks(&editing, text, length);
        edit_line(&editing, text, length);
        strbuf_addc(out, '\n');
        text += length + (text[length] == '\n');
    }
    *changed = editing.changed;
    return tell_missing(&editing, err);
}
