/*
 * How a run ended, as the nodes' journals tell it, also when others have begun since. Reads only.
 */
#ifndef APP_RUN_END_H
#define APP_RUN_END_H

#include <stdbool.h>

#include "app/fleet.h"

struct run_end {
    bool known;      /* some node has its end on record */
    char result[64]; /* the worst that a node noted */
    char next[65];   /* the run that came after it on some node; "": none */
};

/* Runs the loop. Returns 0 or a signal's number. */
int run_end_ask(struct run_end *out, struct fleet *fleet, uint32_t forks, const char *rollout);

/* One line of a node's history, `ID START END WHO RELEASE OUTCOME RESULT`; they come oldest first. `passed`: the last line was about
 * `rollout`; false before the first one. */
void run_end_note(struct run_end *end, const char *rollout, const char *line, bool *passed);

#endif
