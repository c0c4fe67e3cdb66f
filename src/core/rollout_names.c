#include "rollout_internal.h"

#define NAME_IN(table, value)                                                                      \
    ((size_t)(value) < sizeof(table) / sizeof((table)[0]) ? (table)[value] : "unknown")

const char *step_name(enum step_kind kind)
{
    return (size_t)kind < STEP_KINDS ? step_rules[kind].name : "unknown";
}

const char *node_phase_name(enum node_phase phase)
{
    static const char *const names[NODE_PHASES] = {
        "waiting",    "connect",       "preflight", "lock",           "baseline",  "stage",
        "staged",     "backup",        "migrate",   "undo migration", "leader", "drain",     "activate",
        "gate",       "ready",       "confirm",       "enable",        "hook",
        "control drain", "control restart", "control gate", "control ready", "control enable", "control",
        "bake",           "commit",    "release",
        "undo drain", "undo activate", "undo gate", "undo ready", "undo enable",    "undo hook", "ended",
    };

    return NAME_IN(names, phase);
}

const char *node_outcome_name(enum node_outcome outcome)
{
    static const char *const names[NODE_OUTCOMES] = {
        "untouched",   "unchanged", "updated", "restored",   "skipped",
        "unreachable", "refused",   "failed",  "needs care", "outside",
    };

    return NAME_IN(names, outcome);
}

const char *node_trouble_name(enum node_trouble trouble)
{
    static const char *const names[NODE_TROUBLES] = {
        "none",        "unreachable",  "refused",     "step failed", "step timed out",
        "gate closed", "fell in bake", "interrupted", "lease lost",  "unhealthy before",
        "not ready", "would break the quorum", "left half done by an earlier run",
    };

    return NAME_IN(names, trouble);
}

const char *rollout_result_name(enum rollout_result result)
{
    static const char *const names[] = {
        "running", "done",    "nothing to do", "rolled back", "needs care",
        "held",    "refused", "unreachable",   "interrupted",
    };

    return NAME_IN(names, result);
}

const char *rollout_state_name(enum rollout_state state)
{
    static const char *const names[] = {
        "setup", "staging",  "staged hooks", "expand",     "wave", "refresh", "look",       "shift",   "bake",
        "judge", "commit", "contract",     "look back", "shift back", "undo", "on failure", "release",
        "finished",
    };

    return NAME_IN(names, state);
}

const char *spend_reason_name(enum spend_reason reason)
{
    static const char *const names[] = {
        "too many failures",  "progress deadline",
        "no capacity left",   "a hook that runs once failed",
        "a migration failed", "the judge says no",
        "the traffic could not be shifted", "a restarted control failed on the release that it had", "it was to be aborted",
    };

    return NAME_IN(names, reason);
}

const char *migration_state_name(enum migration_state state)
{
    static const char *const names[MIGRATION_STATES] = {"pending", "done", "failed", "unknown",
                                                        "undone"};

    return NAME_IN(names, state);
}
