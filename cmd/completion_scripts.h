/*
 * The scripts, one a shell, each printed from the tables of verbs and options.
 */
#ifndef CMD_COMPLETION_SCRIPTS_H
#define CMD_COMPLETION_SCRIPTS_H

#include <stdio.h>

#include "options.h"

void completion_bash(FILE *out);
void completion_zsh(FILE *out);
void completion_fish(FILE *out);

/* The word that the scripts use for a kind: `pattern`, `none`, ... static. */
const char *completion_word(enum completion_kind kind);

#endif
