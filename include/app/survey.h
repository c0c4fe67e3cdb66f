/*
 * Asks every node where it stands, changes nothing: facts, and a round of health checks for nodes that run something.
 * What `plan`, `status` and `rollback` know before they decide.
 */
#ifndef APP_SURVEY_H
#define APP_SURVEY_H

#include <stdbool.h>

#include "app/engine.h"
#include "app/facts.h"
#include "app/fleet.h"

struct surveyed {
    const char *name; /* of the node */
    bool outside;     /* not of this run (--limit): asked, since it is of the service, and not moved */
    bool answered;
    struct err error; /* why not; or the refusal of the node's program */
    struct facts facts;
    bool probed, healthy;
    char evidence[400];
    char traffic[400]; /* what the balancers think of it, whether it answered or not; "" without balancers */
    bool leads; /* a leader command was asked, and this node leads */
    struct err leader_error; /* code not 0: the command failed here */
    char announced[600]; /* what the discoveries say of it; "" without discoveries */
    struct err traffic_error; /* code not 0: some balancer cannot be asked, or does not know the node */
};

struct survey {
    struct surveyed *nodes; /* one a member of the fleet */
    size_t count;
};

/* Returns 0, or a signal's number when interrupted. Sessions stay connected. `out` lives in the fleet's arena; survey_release frees what the facts hold. */
int survey_run(struct survey *out, struct fleet *fleet, uint32_t forks, bool probe, struct err *err);
/* Renews, at the discoveries, the leases of the nodes that the survey has found well; what each says is then described anew. ERR_FAILED with
 * why when some could not be. */
int survey_renew(struct survey *survey, struct fleet *fleet, struct err *err);
void survey_release(struct survey *survey);
/* Of the nodes of the run: those that did not answer, and all of them. */
size_t survey_unanswered(const struct survey *survey);
size_t survey_members(const struct survey *survey);
/* Which nodes are outside the run has changed since survey_run. */
void survey_mark_outside(struct survey *survey, const struct fleet *fleet);

/* The release that most nodes are at, committed; of two with as many nodes the one committed by the later run. NULL: no node is at any. Borrowed
 * from the survey. */
const char *survey_fleet_release(const struct survey *survey);
/* Answered, and at another release than that, or not committed there. */
bool surveyed_is_stale(const struct surveyed *node, const char *fleet_release);

/* The run that no one ended, as the nodes' journals tell it together. */
struct open_run {
    const char *rollout; /* NULL: none is open */
    const char *release; /* of a rollout: where it takes every node */
    enum run_kind kind;
    size_t nodes;        /* on how many it is open */
    bool held;           /* at the end of a wave, for `promote` */
    size_t waves_passed; /* when held */
    const char *limit;   /* its --limit; NULL: all nodes */
    const char *other;   /* another run is open too, on other nodes: its id; else NULL */
};
/* The newest run that some node knows of; NULL: none. Borrowed from the survey. */
const char *survey_newest_run(const struct survey *survey);
/* Some node has noted its end, and none is held by it. */
bool survey_saw_end(const struct survey *survey, const char *rollout);
/* Adds how its breakers were last, as it told the nodes. */
void survey_breakers(const struct survey *survey, const char *rollout, struct breaker_list *out);
/* Borrowed from the survey. */
struct open_run survey_open_run(const struct survey *survey);
/* The ids of the open run and of all runs that it went on with, as the nodes remember them: a blank between, at most SURVEY_CHAIN bytes. */
#define SURVEY_CHAIN 640
void survey_chain(const struct survey *survey, const struct open_run *open, char out[SURVEY_CHAIN]);
/* Where undoing it takes each node: also from a release that it has committed there. */
void survey_undo_targets(const struct survey *survey, const char *chain, const char **out);
/* How many of the waves were over when the run ended in the middle of one: those before the last one with a node that runs `release`, not
 * committed, and before the first one with such a node that a balancer keeps out of the traffic. */
size_t survey_waves_passed(const struct survey *survey, const struct fleet *fleet, const struct waves *waves, const char *release);
/* Where going on with it, of its chain, takes each node: its release for a rollout; for an abort where an abort would; for a rollback what the
 * node's own journal says. A node whose journal knows nothing of the rollback stays, unless that died while it took its locks, or what the
 * node runs is not committed: then it goes where `rollback` takes it. */
void survey_resume_targets(const struct survey *survey, const struct open_run *open, const char *chain, const char **out);

#endif
