#include "app/balancer_haproxy.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define COLUMNS_MAX 256
#define ADMIN_MAINT                                                                                \
    0x67u /* forced, inherited, by the configuration, no address (two kinds): SRV_ADMF_*MAINT */
#define ADMIN_DRAIN 0x18u /* forced, inherited: SRV_ADMF_*DRAIN */
#define NAME_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-"

bool haproxy_is_name(const char *name)
{
    size_t length = strspn(name, NAME_BYTES);
    return length > 0 && length <= 255 && !name[length];
}

static uint32_t percent_of(uint32_t weight)
{
    uint32_t percent = (weight + 5) / 10;
    return percent ? percent : 1;
}

void haproxy_request(struct strbuf *out, const char *backend, const struct traffic_order *orders,
                     size_t count)
{
    static const char *const states[] = {
        [ORDER_DRAIN] = "drain", [ORDER_MAINT] = "maint", [ORDER_READY] = "ready"};
    strbuf_adds(out, "show cli level; ");
    for (size_t i = 0; i < count; i++) {
        const struct traffic_order *order = &orders[i];
        if (order->command == ORDER_LOOK)
            continue;
        if (order->weight != WEIGHT_KEEP)
            strbuf_addf(out, "set server %s/%s weight %u%%; ", backend, order->server,
                        percent_of(order->weight));
        strbuf_addf(out, "set server %s/%s state %s; ", backend, order->server,
                    states[order->command]);
    }
    /* 4: servers only; -1: all of them */
    strbuf_addf(out, "show servers state %s; show stat %s 4 -1\n", backend, backend);
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

/* Reads the rows of the table whose heading was found, each into those orders that are about its
 * server. */
static enum find read_rows(const struct table_shape *shape, const struct line *heading,
                           const char **at, const char *end, const char *backend,
                           struct traffic_order *orders, size_t count,
                           void (*store)(struct traffic_view *view, const uint64_t *numbers),
                           bool found[HAPROXY_ORDERS_MAX])
{
    struct line fields[COLUMNS_MAX], line;
    struct columns columns;
    uint64_t numbers[NUMBERS_MAX];
    size_t left = count;
    read_heading(&columns, shape, heading);
    for (const char *row = *at; left && next_line(&row, end, &line) && *line.text != '#'; *at = row) {
        size_t width = split(&line, shape->separator, fields);
        if (columns.backend >= width || columns.server >= width ||
            !line_is(&fields[columns.backend], backend))
            continue;
        for (size_t i = 0; i < count; i++) {
            if (found[i] || !line_is(&fields[columns.server], orders[i].server))
                continue;
            if (!read_numbers(shape, &columns, fields, width, numbers))
                return FIND_MALFORMED;
            store(&orders[i].view, numbers);
            found[i] = true;
            left--;
        }
    }
    return left ? FIND_NO_ROW : FIND_FOUND;
}

static void store_state(struct traffic_view *view, const uint64_t *numbers)
{
    view->state = numbers[STATE_ADMIN] & ADMIN_MAINT   ? TRAFFIC_MAINT
                  : numbers[STATE_ADMIN] & ADMIN_DRAIN ? TRAFFIC_DRAIN
                                                       : TRAFFIC_READY;
    /* starting (slow start), running */
    view->up = numbers[STATE_OPERATIONAL] == 1 || numbers[STATE_OPERATIONAL] == 2;
    view->weight = numbers[STATE_WEIGHT];
    view->full_weight = numbers[STATE_FULL_WEIGHT];
}

static void store_stats(struct traffic_view *view, const uint64_t *numbers)
{
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
    if (order->weight == WEIGHT_KEEP)
        return 0;
    uint64_t weight = view->full_weight * percent_of(order->weight) / 100;
    if (weight == 0)
        return err_set(err, ERR_REFUSED,
                       "server %s/%s has weight %" PRIu64 " in HAProxy's configuration, of which "
                       "there is no %u%%; give each server `weight 100` there",
                       backend, order->server, view->full_weight, percent_of(order->weight));
    if (view->weight != weight)
        return err_set(err, ERR_FAILED,
                       "server %s/%s was set to weight %" PRIu64 " and has %" PRIu64, backend,
                       order->server, weight, view->weight);
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
    int rc = check_level(&at, end, err);
    if (rc < 0)
        return rc;
    enum find find = find_table(&states_shape, &at, end, &heading, &said);
    if (find == FIND_FOUND)
        find = read_rows(&states_shape, &heading, &at, end, backend, orders, count, store_state, found);
    if (find != FIND_FOUND)
        return missing(find, &said, backend, first_missing(orders, count, found), err);
    for (size_t i = 0; i < count; i++)
        writes = writes || orders[i].command != ORDER_LOOK;
    if (said.text && writes)
        return told(&said, err);
    find = find_table(&stats_shape, &at, end, &heading, &ignored);
    if (find == FIND_FOUND)
        find = read_rows(&stats_shape, &heading, &at, end, backend, orders, count, store_stats, counted);
    if (find != FIND_FOUND)
        return missing(FIND_MALFORMED, &said, backend, "", err);
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = orders[i].view.sessions == UINT64_MAX ? missing(FIND_MALFORMED, &said, backend, "", err)
                                                   : compare(&orders[i], backend, err);
    return rc;
}
