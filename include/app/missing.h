/*
 * The nodes of an open run that the inventory and the playbook no longer name, or name with another root: what goes on with that run, or goes over it,
 * would leave them half done in silence. Reads only.
 *
 * Who belongs to a run is on record in two places. Each node's journal names its own name, how many nodes the run has and those that come next, all of
 * them in a ring, so that a node that is gone is named by the one before it. The runner's journal names every node and its root, and is the only one
 * to know of a root that was changed for all.
 */
#ifndef APP_MISSING_H
#define APP_MISSING_H

#include "app/past.h"
#include "app/survey.h"
#include "base/strbuf.h"

#define MEMBERS_NEXT 16     /* so many nodes are named beside a node itself */
#define MEMBERS_BYTES 1500

/* What node `member` is to note of the run's nodes: `COUNT SELF NEXT...`. Those outside of the run do not belong to it. */
void members_note(struct strbuf *out, const struct fleet *fleet, size_t member);

struct missing {
    struct strbuf names; /* `web3, web4 (root /srv/shop)`, the first of them */
    size_t count;
    size_t moved;     /* of them, those that are there and have another root now */
    const char *root; /* as the playbook had it then; NULL: not known. Borrowed */
};
void missing_init(struct missing *missing);
void missing_release(struct missing *missing);

/* As the nodes name them on which `rollout` is open. */
void missing_of_nodes(struct missing *out, const struct fleet *fleet, const struct survey *survey, const char *rollout);
/* As the runner's journal names them. */
void missing_of_journal(struct missing *out, const struct fleet *fleet, const struct past *past);
/* Whether the runner's journal leaves a run open: it has no result, or one that goes on. */
bool journal_is_open(const struct past *past);
/* Some node has noted the end of `rollout`, or of a later run that changed it: what the runner's journal does not know has ended elsewhere. */
bool survey_is_past(const struct survey *survey, const char *rollout);

#endif
