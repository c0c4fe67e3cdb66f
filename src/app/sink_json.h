/*
 * One record as one line of JSON: what --output json prints and the runner's journal keeps.
 */
#ifndef APP_SINK_JSON_H
#define APP_SINK_JSON_H

#include "app/record.h"

/* Without the newline; malloc'ed, the caller frees it; NULL when out of memory. */
char *record_json(const struct record *record);

#endif
