/*
 * The real engine, journal, sessions and machine over model nodes in virtual time, in random worlds. DEPLOYCTL_SEED and
 * DEPLOYCTL_WORLDS choose which and how many; world i has seed + i. A failing world is made smaller while it still breaks the same
 * law, and its story is printed. DEPLOYCTL_SECONDS: as many worlds as fit into that time. DEPLOYCTL_BRIEF: the seed alone.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "world.h"

#define WORLDS 1000
#define ALL_FAULTS 5000 /* in so many worlds each kind of fault must have been in effect */
#define STORY_MAX (8u << 20)

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void shrink(struct world *world, struct world_plan *plan, const char *law)
{
    struct world_plan *candidate = malloc(sizeof(*candidate));
    bool progress = true;
    for (int round = 0; progress && round < 30; round++) {
        progress = false;
        *candidate = *plan;
        for (size_t attempt = 0; plan_smaller(candidate, attempt); attempt++) {
            if (memcmp(candidate, plan, sizeof(*plan)) != 0 && !world_run(world, candidate, NULL) &&
                strcmp(world->law, law) == 0) {
                *plan = *candidate;
                progress = true;
            }
            *candidate = *plan;
        }
    }
    free(candidate);
}

static void show(struct world *world, struct world_plan *plan, uint64_t seed)
{
    struct strbuf story;
    const char *law = world->law;
    printf("seed %llu breaks %s: %s\n", (unsigned long long)seed, law, world->details);
    if (getenv("DEPLOYCTL_BRIEF"))
        return;
    printf("alone: DEPLOYCTL_SEED=%llu DEPLOYCTL_WORLDS=1 build/simulator/test_simulator\n", (unsigned long long)seed);
    shrink(world, plan, law);
    strbuf_init(&story, STORY_MAX);
    plan_tell(plan, &story);
    world_run(world, plan, &story);
    printf("made smaller: %s", story.text);
    strbuf_release(&story);
}

static double seconds_since(const struct timespec *began)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - began->tv_sec) + (double)(now.tv_nsec - began->tv_nsec) / 1e9;
}

static void mix(uint64_t *digest, const void *bytes, size_t length)
{
    for (const unsigned char *byte = bytes; length-- > 0; byte++)
        *digest = (*digest ^ *byte) * 1099511628211u;
}

/* Of how the world went and how it ended: the same as long as nothing but speed has changed. */
static void mix_world(uint64_t *digest, const struct world *world)
{
    mix(digest, &world->fingerprint, sizeof(world->fingerprint));
    for (size_t i = 0; i < world->run_count; i++) {
        mix(digest, &world->runs[i].exit_code, sizeof(world->runs[i].exit_code));
        mix(digest, &world->runs[i].ended_at, sizeof(world->runs[i].ended_at));
    }
    for (size_t i = 0; i < world->plan->node_count; i++) {
        const struct model_node *node = &world->nodes[i];
        mix(digest, node->current, strlen(node->current));
        mix(digest, node->serving, strlen(node->serving));
        mix(digest, &node->journal_count, sizeof(node->journal_count));
        mix(digest, &node->lock.generation, sizeof(node->lock.generation));
    }
}

/* False when so many worlds never met one of them. */
static bool show_faults(const uint64_t *in_effect, uint64_t worlds)
{
    bool fine = true;
    printf("faults in effect:");
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        printf("%s %s %llu", kind ? "," : "", sim_fault_name((enum sim_fault_kind)kind), (unsigned long long)in_effect[kind]);
        fine = fine && (in_effect[kind] > 0 || worlds < ALL_FAULTS);
    }
    printf("\n");
    if (!fine)
        printf("one of them was never in effect\n");
    return fine;
}

int main(void)
{
    uint64_t seed = number_from("DEPLOYCTL_SEED", 1), limit = number_from("DEPLOYCTL_SECONDS", 0);
    uint64_t worlds = number_from("DEPLOYCTL_WORLDS", limit ? UINT64_MAX : WORLDS), runs = 0, turns = 0, done = 0;
    uint64_t digest = 14695981039346656037u;
    uint64_t codes[256] = {0}, in_effect[FAULT_KINDS] = {0};
    struct world *world = malloc(sizeof(*world));
    struct world_plan *plan = malloc(sizeof(*plan));
    struct timespec began;
    bool fine = true;
    clock_gettime(CLOCK_MONOTONIC, &began);
    mallopt(M_TRIM_THRESHOLD, 64 << 20); /* the next world wants the memory again */
    mallopt(M_TOP_PAD, 4 << 20);
    while (fine && done < worlds && !(limit && seconds_since(&began) > (double)limit)) {
        plan_choose(plan, seed + done);
        fine = world_run(world, plan, NULL);
        if (!fine)
            show(world, plan, seed + done);
        mix_world(&digest, world);
        runs += world->run_count;
        turns += world->events;
        for (size_t i = 0; i < world->run_count; i++)
            codes[world->runs[i].ended ? world->runs[i].exit_code & 255 : 137]++;
        for (int kind = 0; kind < FAULT_KINDS; kind++)
            in_effect[kind] += world->in_effect[kind];
        done++;
    }
    printf("%llu worlds from seed %llu, %llu runs, %llu events, %.1f s; exit codes:", (unsigned long long)done,
           (unsigned long long)seed, (unsigned long long)runs, (unsigned long long)turns, seconds_since(&began));
    for (int code = 0; code < 256; code++)
        if (codes[code])
            printf(" %d %llux", code, (unsigned long long)codes[code]);
    printf("; digest %016llx\n", (unsigned long long)digest);
    fine = show_faults(in_effect, done) && fine;
    printf("%d passed, %d failed\n", fine, !fine);
    free(world);
    free(plan);
    return fine ? 0 : 1;
}
