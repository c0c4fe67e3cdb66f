/*
 * Inside the laws: shared by world_laws*.c and world_ledger.c only.
 */
#ifndef SUPPORT_WORLD_LAWS_H
#define SUPPORT_WORLD_LAWS_H

#include "world.h"

/* --- world_ledger.c --- */

struct ledger *ledger_of(struct world *world, size_t node);
enum node_outcome outcome_of(const struct world *world, size_t node);
bool rolls_back(const struct world *world);
/* Changes nothing, and is no work that would be repeated. */
bool is_look(enum step_kind step);
bool touches(const struct action *action); /* takes it out of service, be it as a control */
bool refreshes(const struct action *action);
/* The machine no longer waits for it: answered, or its cancel has had its grace. */
bool is_over(const struct world *world, const struct record *record);
bool is_guarded(const struct world *world, const struct action *action);
bool is_halted(const struct world *world);
bool same_work(const struct action *a, const struct action *b);
void count_error(struct ledger *ledger, int64_t at);

/* --- world_laws_traffic.c --- */

void law_2_capacity(struct world *world, const struct action *action);
void law_quorum(struct world *world, const struct action *action);
void law_leader_last(struct world *world, const struct action *action);
void law_ready(struct world *world, size_t node);
void law_7_traffic(struct world *world, const struct action *action);
void law_control(struct world *world, const struct action *action);
void law_control_serves(struct world *world, const char *when);
void law_7_shift(struct world *world, const struct action *action);
void rule_confirmed(struct world *world, size_t node);
void rule_share_of_nobody(struct world *world);
void rule_shifts(struct world *world);

/* --- world_laws_undo.c --- */

void law_3_budget(struct world *world, const struct action *action);
void law_3_is_spent_in_time(struct world *world);
void law_4_newest_first(struct world *world, const struct action *action);
void law_4_restored(struct world *world, size_t node);
void law_4_all_came_back(struct world *world);
void law_5_one_undo(struct world *world, const struct action *action);
void rule_abort(struct world *world);
void rule_goes_back_only(struct world *world, const struct action *action);
void rule_unwound(struct world *world);

/* --- world_laws_data.c --- */

void law_9_once(struct world *world, const struct action *action);
void law_9_no_return(struct world *world, const struct action *action);
void law_9_at_the_end(struct world *world, enum rollout_result result);

/* --- world_laws_steps.c --- */

void law_outside(struct world *world, const struct action *action);
void law_1_in_time(struct world *world);
bool is_left_alone(const struct world *world, const struct ledger *ledger);
void law_6_one_at_a_time(struct world *world, const struct action *action);
void law_6_cancel(struct world *world, const struct action *action);
void law_8_journal(struct world *world, const struct action *action);
void law_11_lease(struct world *world, const struct action *action);
void law_11_given_back(struct world *world);
void rule_forks(struct world *world);
void rule_retries(struct world *world, const struct action *action);
void rule_breaker(struct world *world, const struct action *action);

/* --- world_laws_ends.c --- */

void law_1_finishes_once(struct world *world);
void law_10_classes(struct world *world, size_t node, enum node_outcome outcome);
void law_10_unhealthy_before(struct world *world);
void rule_holds(struct world *world, size_t wave);
void rule_result(struct world *world);

#endif
