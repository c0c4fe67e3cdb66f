#include "app/balancer_haproxy.h"

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

void haproxy_request(struct strbuf *out, enum haproxy_order order, const char *backend,
                     const char *server)
{
    static const char *const states[] = {
        [HAPROXY_DRAIN] = "drain", [HAPROXY_MAINT] = "maint", [HAPROXY_READY] = "ready"};
    strbuf_adds(out, "show cli level; ");
    if (order != HAPROXY_LOOK)
        strbuf_addf(out, "set server %s/%s state %s; ", backend, server, states[order]);
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

struct table_shape {
    const char *heading; /* what its first line begins with */
    char separator;
    const char *backend, *server; /* columns of names */
    const char *numbers[3];
    size_t number_count;
};
static const struct table_shape states_shape = {
    "# be_id ", ' ', "be_name", "srv_name", {"srv_op_state", "srv_admin_state", "srv_uweight"}, 3};
static const struct table_shape stats_shape = {"# pxname,",      ',', "pxname", "svname",
                                               {"scur", "qcur"}, 2};

enum find { FIND_FOUND, FIND_NO_TABLE, FIND_NO_ROW, FIND_MALFORMED };

/* Reads the numbers of one server from the table that begins after `heading`. */
static enum find read_row(const struct table_shape *shape, const struct line *heading,
                          const char **at, const char *end, const char *backend, const char *server,
                          uint64_t numbers[3])
{
    struct line fields[COLUMNS_MAX], line = {heading->text + 2, heading->length - 2};
    size_t columns[3], count = split(&line, shape->separator, fields);
    size_t backend_column = column_of(fields, count, shape->backend);
    size_t server_column = column_of(fields, count, shape->server);
    for (size_t i = 0; i < shape->number_count; i++)
        columns[i] = column_of(fields, count, shape->numbers[i]);
    const char *row = *at;
    while (next_line(&row, end, &line) && *line.text != '#') {
        *at = row;
        count = split(&line, shape->separator, fields);
        if (backend_column >= count || server_column >= count ||
            !line_is(&fields[backend_column], backend) || !line_is(&fields[server_column], server))
            continue;
        for (size_t i = 0; i < shape->number_count; i++)
            if (!number_at(fields, count, columns[i], &numbers[i]))
                return FIND_MALFORMED;
        return FIND_FOUND;
    }
    return FIND_NO_ROW;
}

/* Goes to the table's heading, and keeps the first line that stood before it: HAProxy's answers to
 * what came earlier. */
static enum find read_table(const struct table_shape *shape, const char **at, const char *end,
                            const char *backend, const char *server, uint64_t numbers[3],
                            struct line *said)
{
    struct line line;
    while (next_line(at, end, &line)) {
        if (line_begins(&line, shape->heading))
            return read_row(shape, &line, at, end, backend, server, numbers);
        if (!said->text && !line_is(&line, "1"))
            *said = line;
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

int haproxy_answer(struct traffic_view *out, enum haproxy_order order, const char *backend,
                   const char *server, const char *text, size_t length, struct err *err)
{
    static const enum traffic_state wanted[] = {[HAPROXY_DRAIN] = TRAFFIC_DRAIN,
                                                [HAPROXY_MAINT] = TRAFFIC_MAINT,
                                                [HAPROXY_READY] = TRAFFIC_READY};
    const char *at = text, *end = text + length;
    uint64_t states[3], stats[3];
    struct line said = {NULL, 0};
    int rc = check_level(&at, end, err);
    if (rc < 0)
        return rc;
    enum find find = read_table(&states_shape, &at, end, backend, server, states, &said);
    if (find != FIND_FOUND)
        return missing(find, &said, backend, server, err);
    if (said.text && order != HAPROXY_LOOK)
        return told(&said, err);
    find = read_table(&stats_shape, &at, end, backend, server, stats, &(struct line){NULL, 0});
    if (find != FIND_FOUND || stats[0] > UINT32_MAX || stats[1] > UINT32_MAX)
        return missing(FIND_MALFORMED, &said, backend, server, err);
    out->state = states[1] & ADMIN_MAINT   ? TRAFFIC_MAINT
                 : states[1] & ADMIN_DRAIN ? TRAFFIC_DRAIN
                                           : TRAFFIC_READY;
    out->up = states[0] == 1 || states[0] == 2; /* starting (slow start), running */
    out->weight = states[2];
    out->sessions = stats[0] + stats[1];
    if (order != HAPROXY_LOOK && out->state != wanted[order])
        return err_set(err, ERR_FAILED, "server %s/%s was set to %s and is in %s", backend, server,
                       traffic_state_name(wanted[order]), traffic_state_name(out->state));
    return 0;
}
