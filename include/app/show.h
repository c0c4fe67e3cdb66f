/*
 * The last step before text reaches a person: whatever was put together from arguments, files, nodes and servers is made safe
 * (base/text.h) and written. All that the program prints for people goes through here, so that no other place has to.
 */
#ifndef APP_SHOW_H
#define APP_SHOW_H

#include <stdbool.h>
#include <stdio.h>

/* Lines, as they are. */
void show_lines(FILE *stream, const char *text);
/* One line, and a line break after it; our own colors stay when `colors`. */
void show_line(FILE *stream, const char *text, bool colors);

#endif
