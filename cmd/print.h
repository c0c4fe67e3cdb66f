/*
 * What the verbs print. Text for people goes through app/show.h, so that nothing that a file, a node or an argument holds reaches a terminal
 * as it is. JSON is one object a line; a text that is not UTF-8 is repaired, never lost.
 */
#ifndef CMD_PRINT_H
#define CMD_PRINT_H

#include <jansson.h>

void print_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_err(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* As json_pack for one object, of s, s?, b, i, I, f and o: `json_line("{s:s, s:i}", ...)`. Never NULL for a text's sake. */
json_t *json_line(const char *format, ...);
/* As json_string; not UTF-8 is repaired; NULL gives NULL. */
json_t *json_text(const char *text);
/* Prints it on stdout, with a line break after it, and drops the reference. `flags` of json_dumps. 0, or -1 when there is none. */
int print_json_value(json_t *value, size_t flags);
void print_json_line(json_t *line);

#endif
