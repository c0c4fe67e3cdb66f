/*
 * The input of a fuzz target as text, and what every target checks of what it shows.
 */
#ifndef SUPPORT_FUZZ_INPUT_H
#define SUPPORT_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* A copy with a NUL behind it, malloc'ed. */
char *fuzz_text(const uint8_t *data, size_t size);
/* Ends the program unless the text is valid UTF-8 without control codes and without what changes how others are shown; a tab may be in it. */
void fuzz_check_safe(const char *text);

#endif
