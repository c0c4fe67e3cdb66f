#include "app/balancer_haproxy.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define COLUMNS_MAX 256
/* forced, inherited, no address (two kinds): SRV_ADMF_MAINT. Not 4, which tells for ever that it began `disabled` */
#define ADMIN_MAINT 0x63u
#define ADMIN_DRAIN 0x18u /* forced, inherited: SRV_ADMF_*DRAIN */
#define WEIGHT_MOST 256u
#define SCALE_MOST 100u
#define LINE_MOST 15000 /* bytes; HAProxy takes 16 KiB */
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-"

static bool is_name(const char *name, size_t length)
{
    size_t at = 0;
    while (at < length && name[at] && strchr(NAME_BYTES, name[at]))
        at++;
    return length > 0 && length <= 255 && at == length;
}

bool haproxy_is_name(const char *name)
{
    return is_name(name, strlen(name));
}

/* --- lines and columns --- */

struct line {
    const char *text;
    size_t length;
};

/* The next line that is not empty. An answer's last line ends with a newline, or it was cut off. */
static bool next_line(const char **at, const char *end, struct line *out)
{
    while (*at < end) {
        const char *newline = memchr(*at, '\n', (size_t)(end - *at));
        if (!newline)
            return false;
        *out = (struct line){*at, (size_t)(newline - *at)};
        *at = newline + 1;
        if (out->length && out->text[out->length - 1] == '\r')
            out->length--;
        if (out->length)
            return true;
    }
    return false;
}

static bool line_begins(const struct line *line, const char *text)
{
    size_t length = strlen(text);
    return line->length >= length && memcmp(line->text, text, length) == 0;
}

static bool line_is(const struct line *line, const char *text)
{
    return line->length == strlen(text) && line_begins(line, text);
}

/* Splits at `separator`; a field in double quotes may hold it. Returns how many; those above the
 * maximum are left out. */
static size_t split(const struct line *line, char separator, struct line fields[COLUMNS_MAX])
{
    size_t count = 0, at = 0;
    while (at <= line->length && count < COLUMNS_MAX) {
        size_t begin = at;
        bool quoted = false;
        for (; at < line->length && (quoted || line->text[at] != separator); at++)
            if (line->text[at] == '"')
                quoted = !quoted;
        fields[count++] = (struct line){line->text + begin, at - begin};
        at++;
    }
    return count;
}

static size_t column_of(const struct line *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (line_is(&fields[i], name))
            return i;
    return SIZE_MAX;
}

static bool number_at(const struct line *fields, size_t count, size_t column, uint64_t *out)
{
    char digits[21];
    if (column >= count || fields[column].length >= sizeof(digits))
        return false;
    memcpy(digits, fields[column].text, fields[column].length);
    digits[fields[column].length] = '\0';
    return whole_parse(out, digits, 0, UINT64_MAX, NULL) == 0;
}

/* --- the two tables --- */

#define NUMBERS_MAX 9
struct table_shape {
    const char *heading; /* what its first line begins with */
    char separator;
    const char *backend, *server; /* columns of names */
    const char *numbers[NUMBERS_MAX];
    size_t required, number_count; /* one that is not required may be missing or empty: 0 */
};
enum { STATE_OPERATIONAL, STATE_ADMIN, STATE_WEIGHT, STATE_FULL_WEIGHT };
static const struct table_shape states_shape = {
    "# be_id ", ' ', "be_name", "srv_name",
    {"srv_op_state", "srv_admin_state", "srv_uweight", "srv_iweight"}, 3, 4};
enum { STAT_CURRENT, STAT_QUEUED, STAT_SESSIONS, STAT_5XX, STAT_CONNECT, STAT_RESPONSE, STAT_RATE,
       STAT_RESPONSE_MS, STAT_TOTAL_MS };
static const struct table_shape stats_shape = {
    "# pxname,", ',', "pxname", "svname",
    {"scur", "qcur", "stot", "hrsp_5xx", "econ", "eresp", "rate", "rtime", "ttime"}, 2, 9};

enum find { FIND_FOUND, FIND_NO_TABLE, FIND_NO_ROW, FIND_MALFORMED };

struct columns {
    size_t backend, server, numbers[NUMBERS_MAX];
};

static void read_heading(struct columns *out, const struct table_shape *shape,
                         const struct line *heading)
{
    struct line fields[COLUMNS_MAX], line = {heading->text + 2, heading->length - 2};
    size_t count = split(&line, shape->separator, fields);
    out->backend = column_of(fields, count, shape->backend);
    out->server = column_of(fields, count, shape->server);
    for (size_t i = 0; i < shape->number_count; i++)
        out->numbers[i] = column_of(fields, count, shape->numbers[i]);
}

static bool read_numbers(const struct table_shape *shape, const struct columns *columns,
                         const struct line *fields, size_t count, uint64_t numbers[NUMBERS_MAX])
{
    for (size_t i = 0; i < shape->number_count; i++) {
        numbers[i] = 0;
        if (!number_at(fields, count, columns->numbers[i], &numbers[i]) && i < shape->required)
            return false;
    }
    return true;
}

/* The rows of one backend in the table whose heading was found. */
struct rows {
    const struct table_shape *shape;
    struct columns columns;
    const char *backend, *at, *end;
    /* of the row at hand */
    struct line server;
    uint64_t numbers[NUMBERS_MAX];
    bool sound; /* each number that must be there is one, and the server's name is a name */
};

static void rows_begin(struct rows *rows, const struct table_shape *shape, const struct line *heading,
                       const char *at, const char *end, const char *backend)
{
    *rows = (struct rows){.shape = shape, .backend = backend, .at = at, .end = end};
    read_heading(&rows->columns, shape, heading);
}

static bool rows_next(struct rows *rows)
{
    struct line fields[COLUMNS_MAX], line;
    for (const char *row = rows->at; next_line(&row, rows->end, &line) && *line.text != '#'; rows->at = row) {
        size_t width = split(&line, rows->shape->separator, fields);
        if (rows->columns.backend >= width || rows->columns.server >= width ||
            !line_is(&fields[rows->columns.backend], rows->backend))
            continue;
        rows->server = fields[rows->columns.server];
        rows->sound = read_numbers(rows->shape, &rows->columns, fields, width, rows->numbers) &&
                      is_name(rows->server.text, rows->server.length);
        rows->at = row;
        return true;
    }
    return false;
}

/* --- weights --- */

/* A backend's weights are raised while a server has a share that its configured weight has not: all of them are `factor` times the
 * configured ones then, so that their proportions stay. */
struct scale {
    uint64_t factor;
    bool raised;
};

/* One of configured weight 0 is left alone. */
static bool is_weighed(const struct rows *rows)
{
    return rows->sound && rows->numbers[STATE_FULL_WEIGHT] > 0 &&
           rows->numbers[STATE_FULL_WEIGHT] <= WEIGHT_MOST && rows->numbers[STATE_WEIGHT] <= WEIGHT_MOST;
}

static struct scale read_scale(struct rows rows)
{
    struct scale out = {.factor = SCALE_MOST};
    bool any = false;
    while (rows_next(&rows)) {
        uint64_t full = rows.numbers[STATE_FULL_WEIGHT];
        if (!is_weighed(&rows))
            continue;
        any = true;
        if (full * out.factor > WEIGHT_MOST)
            out.factor = WEIGHT_MOST / full;
        out.raised = out.raised || rows.numbers[STATE_WEIGHT] > full;
    }
    if (!any)
        out.factor = 1;
    return out;
}

/* A row's weight in parts of one of the configuration's. */
static uint64_t weight_in_parts(const struct rows *row, const struct scale *scale)
{
    uint64_t weight = row->numbers[STATE_WEIGHT];
    if (scale->raised || !is_weighed(row))
        return weight;
    return weight * scale->factor < WEIGHT_MOST ? weight * scale->factor : WEIGHT_MOST;
}

static const struct traffic_order *order_of(const struct line *server, const struct traffic_order *orders,
                                            size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (line_is(server, orders[i].server) && orders[i].command != ORDER_LOOK && orders[i].weight != WEIGHT_KEEP)
            return &orders[i];
    return NULL;
}

/* What it is to have, in those parts. */
static uint64_t wanted_parts(const struct rows *row, const struct scale *scale, const struct traffic_order *order)
{
    uint64_t full = row->numbers[STATE_FULL_WEIGHT] * scale->factor, parts;
    if (!order || !is_weighed(row))
        return weight_in_parts(row, scale);
    parts = (full * order->weight + WEIGHT_FULL / 2) / WEIGHT_FULL;
    return parts ? parts : 1;
}

/* Whether what is wanted needs the parts. A look finds raised weights by one that is above the configured one. */
static bool must_raise(struct rows rows, const struct scale *scale, const struct traffic_order *orders, size_t count)
{
    bool broken = false, seen = false;
    while (rows_next(&rows)) {
        uint64_t parts = wanted_parts(&rows, scale, order_of(&rows.server, orders, count));
        if (!is_weighed(&rows))
            continue;
        broken = broken || parts % scale->factor != 0;
        seen = seen || parts > rows.numbers[STATE_FULL_WEIGHT];
    }
    return broken && seen;
}

static uint64_t weight_to_tell(uint64_t parts, const struct scale *scale, bool raised)
{
    uint64_t weight = raised ? parts : (parts + scale->factor / 2) / scale->factor;
    return parts && !weight ? 1 : weight;
}

/* Each that is told grows first, then the others shrink: there is never less than there was. */
static void add_weights(struct strbuf *out, const struct rows *all, const struct traffic_order *orders, size_t count)
{
    struct scale scale = read_scale(*all);
    bool raised = must_raise(*all, &scale, orders, count);
    for (int shrinks = 0; shrinks < 2; shrinks++)
        for (struct rows rows = *all; rows_next(&rows);) {
            const struct traffic_order *order = order_of(&rows.server, orders, count);
            uint64_t weight = weight_to_tell(wanted_parts(&rows, &scale, order), &scale, raised);
            if (is_weighed(&rows) && (weight <= rows.numbers[STATE_WEIGHT]) == shrinks &&
                (order || raised || scale.raised))
                strbuf_addf(out, "set server %s/%.*s weight %" PRIu64 "; ", rows.backend, (int)rows.server.length,
                            rows.server.text, weight);
        }
}

/* --- the two tables, row by row --- */

static void store_state(struct traffic_view *view, const struct rows *row, const struct scale *scale)
{
    const uint64_t *numbers = row->numbers;
    view->state = numbers[STATE_ADMIN] & ADMIN_MAINT   ? TRAFFIC_MAINT
                  : numbers[STATE_ADMIN] & ADMIN_DRAIN ? TRAFFIC_DRAIN
                                                       : TRAFFIC_READY;
    /* starting (slow start), running */
    view->up = numbers[STATE_OPERATIONAL] == 1 || numbers[STATE_OPERATIONAL] == 2;
    view->weight = weight_in_parts(row, scale);
    view->full_weight = is_weighed(row) ? numbers[STATE_FULL_WEIGHT] * scale->factor : 0;
    view->parts = scale->factor;
}

static void store_stats(struct traffic_view *view, const struct rows *row, const struct scale *scale)
{
    const uint64_t *numbers = row->numbers;
    (void)scale;
    view->sessions = numbers[STAT_CURRENT] > UINT32_MAX || numbers[STAT_QUEUED] > UINT32_MAX
                         ? UINT64_MAX
                         : numbers[STAT_CURRENT] + numbers[STAT_QUEUED];
    view->counts = (struct traffic_counts){
        .counted = true,
        .sessions = numbers[STAT_SESSIONS],
        .status_5xx = numbers[STAT_5XX],
        .connect_errors = numbers[STAT_CONNECT],
        .response_errors = numbers[STAT_RESPONSE],
        .rate = numbers[STAT_RATE],
        .response_ms = numbers[STAT_RESPONSE_MS],
        .total_ms = numbers[STAT_TOTAL_MS],
    };
}

/* Each row into those orders that are about its server. */
static enum find read_rows(struct rows rows, struct traffic_order *orders, size_t count,
                           void (*store)(struct traffic_view *view, const struct rows *row, const struct scale *scale),
                           const struct scale *scale, bool found[HAPROXY_ORDERS_MAX])
{
    size_t left = count;
    while (left && rows_next(&rows))
        for (size_t i = 0; i < count; i++) {
            if (found[i] || !line_is(&rows.server, orders[i].server))
                continue;
            if (!rows.sound)
                return FIND_MALFORMED;
            store(&orders[i].view, &rows, scale);
            found[i] = true;
            left--;
        }
    return left ? FIND_NO_ROW : FIND_FOUND;
}

/* Goes to the table's heading, and keeps the first line that stood before it: HAProxy's answers to
 * what came earlier. */
static enum find find_table(const struct table_shape *shape, const char **at, const char *end,
                            struct line *heading, struct line *said)
{
    while (next_line(at, end, heading)) {
        if (line_begins(heading, shape->heading))
            return FIND_FOUND;
        if (!said->text && !line_is(heading, "1"))
            *said = *heading;
    }
    return FIND_NO_TABLE;
}

static int told(const struct line *said, struct err *err)
{
    struct strbuf text;
    strbuf_init(&text, 300);
    text_sanitize(&text, said->text, said->length < 200 ? said->length : 200, false);
    int rc = err_set(err, ERR_REFUSED, "HAProxy says: %s", text.text);
    strbuf_release(&text);
    return rc;
}

static int missing(enum find find, const struct line *said, const char *backend, const char *server,
                   struct err *err)
{
    if (find == FIND_NO_ROW)
        return err_set(err, ERR_REFUSED,
                       "backend %s has no server %s; name it so, or say how it is named with "
                       "`server` in the playbook",
                       backend, server);
    if (find == FIND_NO_TABLE && said->text)
        return told(said, err);
    return err_set(err, ERR_PROTOCOL,
                   "what answered is not HAProxy's stats socket, or its answer was cut off");
}

/* The first line of an answer. */
static int check_level(const char **at, const char *end, struct err *err)
{
    struct line level;
    if (!next_line(at, end, &level))
        return missing(FIND_MALFORMED, &level, "", "", err);
    if (line_is(&level, "admin"))
        return 0;
    if (line_is(&level, "operator") || line_is(&level, "user"))
        return err_set(
            err, ERR_REFUSED,
            "the stats socket has level %.*s; a node is taken out with `level admin` only",
            (int)level.length, level.text);
    return missing(FIND_MALFORMED, &level, "", "", err);
}

/* What came of one order. */
static int compare(const struct traffic_order *order, const char *backend, struct err *err)
{
    static const enum traffic_state wanted[] = {[ORDER_DRAIN] = TRAFFIC_DRAIN,
                                                [ORDER_MAINT] = TRAFFIC_MAINT,
                                                [ORDER_READY] = TRAFFIC_READY};
    const struct traffic_view *view = &order->view;
    if (order->command == ORDER_LOOK)
        return 0;
    if (view->state != wanted[order->command])
        return err_set(err, ERR_FAILED, "server %s/%s was set to %s and is in %s", backend,
                       order->server, traffic_state_name(wanted[order->command]),
                       traffic_state_name(view->state));
    return 0;
}

/* Whether every server has the weight that it would be told again. */
static int compare_weights(const struct rows *all, const struct traffic_order *orders, size_t count, struct err *err)
{
    struct scale scale = read_scale(*all);
    bool raised = must_raise(*all, &scale, orders, count);
    for (struct rows rows = *all; rows_next(&rows);) {
        const struct traffic_order *order = order_of(&rows.server, orders, count);
        uint64_t weight = weight_to_tell(wanted_parts(&rows, &scale, order), &scale, raised);
        if (order && is_weighed(&rows) && weight != rows.numbers[STATE_WEIGHT])
            return err_set(err, ERR_FAILED, "server %s/%s was set to weight %" PRIu64 " and has %" PRIu64,
                           rows.backend, order->server, weight, rows.numbers[STATE_WEIGHT]);
    }
    return 0;
}

static const char *first_missing(const struct traffic_order *orders, size_t count,
                                 const bool found[HAPROXY_ORDERS_MAX])
{
    for (size_t i = 0; i < count; i++)
        if (!found[i])
            return orders[i].server;
    return "";
}

int haproxy_answer(struct traffic_order *orders, size_t count, const char *backend, const char *text,
                   size_t length, struct err *err)
{
    const char *at = text, *end = text + length;
    bool found[HAPROXY_ORDERS_MAX] = {false}, counted[HAPROXY_ORDERS_MAX] = {false}, writes = false;
    struct line heading, said = {NULL, 0}, ignored = {NULL, 0};
    struct scale scale = {.factor = 1};
    struct rows states = {0}, stats;
    int rc = check_level(&at, end, err);
    if (rc < 0)
        return rc;
    enum find find = find_table(&states_shape, &at, end, &heading, &said);
    if (find == FIND_FOUND) {
        rows_begin(&states, &states_shape, &heading, at, end, backend);
        scale = read_scale(states);
        find = read_rows(states, orders, count, store_state, &scale, found);
    }
    if (find != FIND_FOUND)
        return missing(find, &said, backend, first_missing(orders, count, found), err);
    for (size_t i = 0; i < count; i++)
        writes = writes || orders[i].command != ORDER_LOOK;
    if (said.text && writes)
        return told(&said, err);
    find = find_table(&stats_shape, &at, end, &heading, &ignored);
    if (find == FIND_FOUND) {
        rows_begin(&stats, &stats_shape, &heading, at, end, backend);
        find = read_rows(stats, orders, count, store_stats, NULL, counted);
    }
    if (find != FIND_FOUND)
        return missing(FIND_MALFORMED, &said, backend, "", err);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = orders[i].view.sessions == UINT64_MAX ? missing(FIND_MALFORMED, &said, backend, "", err)
                                                   : compare(&orders[i], backend, err);
    return rc < 0 ? rc : compare_weights(&states, orders, count, err);
}

/* --- what is said --- */

bool haproxy_must_look(const struct traffic_order *orders, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (orders[i].command != ORDER_LOOK && orders[i].weight != WEIGHT_KEEP)
            return true;
    return false;
}

void haproxy_look(struct strbuf *out, const char *backend)
{
    strbuf_addf(out, "show cli level; show servers state %s\n", backend);
}

static int weigh(struct strbuf *out, const char *backend, const struct traffic_order *orders, size_t count,
                 const char *text, size_t length, struct err *err)
{
    const char *at = text, *end = text + length;
    struct line heading, said = {NULL, 0};
    struct rows rows;
    int rc = check_level(&at, end, err);
    if (rc < 0)
        return rc;
    enum find find = find_table(&states_shape, &at, end, &heading, &said);
    if (find != FIND_FOUND)
        return missing(find, &said, backend, "", err);
    rows_begin(&rows, &states_shape, &heading, at, end, backend);
    add_weights(out, &rows, orders, count);
    return 0;
}

int haproxy_request(struct strbuf *out, const char *backend, const struct traffic_order *orders,
                    size_t count, const char *look, size_t look_length, struct err *err)
{
    static const char *const states[] = {
        [ORDER_DRAIN] = "drain", [ORDER_MAINT] = "maint", [ORDER_READY] = "ready"};
    strbuf_adds(out, "show cli level; ");
    int rc = haproxy_must_look(orders, count) ? weigh(out, backend, orders, count, look, look_length, err) : 0;
    for (size_t i = 0; i < count; i++)
        if (orders[i].command != ORDER_LOOK)
            strbuf_addf(out, "set server %s/%s state %s; ", backend, orders[i].server, states[orders[i].command]);
    if (rc == 0 && haproxy_must_look(orders, count) && (out->overflowed || out->length > LINE_MOST))
        rc = err_set(err, ERR_REFUSED,
                     "backend %s has too many servers for their weights to be changed at once; give it fewer", backend);
    /* 4: servers only; -1: all of them */
    strbuf_addf(out, "show servers state %s; show stat %s 4 -1\n", backend, backend);
    return rc;
}
