/*
 * One record as one line of JSON: what --output json prints and the runner's journal keeps.
 */
#ifndef APP_SINK_JSON_H
#define APP_SINK_JSON_H

#include "app/record.h"
#include "base/strbuf.h"

/* A buffer for lines, used again for each. Release with strbuf_release. */
void record_line_init(struct strbuf *out);
/* Without the newline, in place of what `out` held; false when memory is exhausted. */
bool record_json(struct strbuf *out, const struct record *record);

#endif
