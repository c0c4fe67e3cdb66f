/*
 * Which release is the earlier one, and which irreversible migration a release is from before. Reads only.
 */
#ifndef APP_CROSSING_H
#define APP_CROSSING_H

#include "app/facts.h"
#include "base/strbuf.h"
#include "io/commits.h"

/* Which release is the earlier one, as strcmp says it: by the times that their ids begin with, in the same second by what this node has committed
 * when. One that it has not committed is later than one that it has. */
int facts_release_order(const struct facts *facts, const char *release, const char *other);
/* What irreversible migrations say of a release. One that does not contain the commit with which a migration was run, or perhaps run, is from before
 * it, whatever their times. Where ancestry is unknown the order is that of facts_release_order; a release of the same second as one that is not good
 * here is from before its migration when it was good by then. */
struct crossing {
    const struct migration_fact *fact; /* that the release is from before; NULL: none */
    const struct migration_fact *timed; /* one that was judged by time, since ancestry is unknown: `fact`, if that one was; NULL: none */
};
/* `commits`: NULL, no history is known. */
struct crossing facts_crossed(const struct facts *facts, const char *release, struct commits *commits);
/* Why a release is refused, as a sentence without its end; crossing->fact is not NULL. */
void crossing_tell(const struct crossing *crossing, const char *release, struct strbuf *out);

#endif
