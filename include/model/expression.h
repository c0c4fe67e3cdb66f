/*
 * POSIX extended regular expressions from playbooks and patterns, compiled within bounds.
 *
 * glibc's regcomp takes memory and stack without limit for a short text of nested repetitions or
 * parentheses, so these are counted first. `\d` is understood as Python's, and `(?:` as a plain
 * group.
 */
#ifndef MODEL_EXPRESSION_H
#define MODEL_EXPRESSION_H

#include <regex.h>

#include "base/err.h"

#define EXPRESSION_MAX 512 /* bytes */

/* Compiles for regexec; free with regfree after 0. ERR_INPUT with the reason otherwise. */
int expression_compile(regex_t *out, const char *text, int flags, struct err *err);

#endif
