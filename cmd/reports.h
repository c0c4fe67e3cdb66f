/*
 * The journals of rollouts that this machine keeps: which there are, for `report`, its completion and `status`.
 */
#ifndef CMD_REPORTS_H
#define CMD_REPORTS_H

#include <stddef.h>

#include "app/past.h"
#include "base/arena.h"

struct journal_name {
    const char *service, *rollout; /* each passes text_is_name */
};
struct journal_names {
    struct arena arena;
    struct journal_name *items; /* the newest rollout first: their ids begin with the time */
    size_t count;
};
/* None when the folder is missing or cannot be read. Always journal_names_release. */
void journal_names_read(struct journal_names *out);
void journal_names_release(struct journal_names *names);
/* The service's newest one, or that of `rollout` (NULL: any). NULL: there is none. */
const struct journal_name *journal_names_of_service(const struct journal_names *names, const char *service,
                                                    const char *rollout);
/* Always past_release. Errors: those of past_read. */
int journal_read(struct past *out, const struct journal_name *name, struct err *err);

#endif
