#undef _FORTIFY_SOURCE /* its longjmp takes another stack for a broken one */
#include "clock.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define STACK_BYTES (512 * 1024)
#define RUNNERS_MAX 16
#define WALL_AT_START 1767225600000 /* 2026-01-01 */

struct timer {
    int64_t at;
    uint64_t number;
    size_t place;
    struct loop *loop; /* NULL: the world's */
    struct runner *runner;
    timer_fn *fn;
    void *context;
};

struct signal_watch {
    signal_fn *fn;
    void *context;
    struct signal_watch *next;
};

struct child {
    struct loop *loop;
    struct timer *timer;
    child_fn *fn;
    void *context;
    struct child *next;
    int signal_number;
    bool timed_out;
    struct child_work work;
};

struct loop {
    struct runner *runner;
    bool stopped;
    size_t waiting; /* timers */
    struct signal_watch *watches;
    struct child *children;
};

struct runner {
    struct place {
        ucontext_t context;
        jmp_buf jump;
    } here, there; /* there: who let it run */
    char *stack;
    void (*body)(void *context);
    void *context, *tag;
    struct timer *due; /* the event to work off when it goes on */
    struct loop *loop; /* in whose loop_run it waits */
    bool started, ended, dead;
    int64_t paused_until, wall_offset, suspended_ms;
};

/* One world at a time: io/loop.h's clocks have no handle to find it by. */
static struct {
    int64_t now;
    uint64_t numbers;
    struct timer **heap;
    size_t count, capacity;
    struct runner runners[RUNNERS_MAX];
    size_t runner_count;
    struct runner *current;
    struct random luck, secrets;
    struct strbuf *story;
    child_work_fn *children;
    void *children_context;
} world;

/* --- the heap --- */

static bool earlier(const struct timer *a, const struct timer *b)
{
    return a->at < b->at || (a->at == b->at && a->number < b->number);
}

static void put(size_t place, struct timer *timer)
{
    world.heap[place] = timer;
    timer->place = place;
}

static void sift_up(size_t place, struct timer *timer)
{
    while (place > 0 && earlier(timer, world.heap[(place - 1) / 2])) {
        put(place, world.heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(place, timer);
}

static void sift_down(size_t place, struct timer *timer)
{
    while (2 * place + 1 < world.count) {
        size_t child = 2 * place + 1;
        child += child + 1 < world.count && earlier(world.heap[child + 1], world.heap[child]);
        if (!earlier(world.heap[child], timer))
            break;
        put(place, world.heap[child]);
        place = child;
    }
    put(place, timer);
}

static void heap_add(struct timer *timer)
{
    if (world.count == world.capacity) {
        world.capacity = world.capacity ? world.capacity * 2 : 256;
        world.heap = realloc(world.heap, world.capacity * sizeof(*world.heap));
        if (!world.heap)
            abort();
    }
    timer->number = world.numbers++;
    sift_up(world.count++, timer);
}

static void heap_remove(struct timer *timer)
{
    struct timer *last = world.heap[--world.count];
    size_t place = timer->place;
    if (last == timer)
        return;
    sift_down(place, last);
    sift_up(last->place, last);
}

/* --- the world's side --- */

void clock_begin(uint64_t seed, struct strbuf *story)
{
    world.now = 0;
    world.numbers = 0;
    world.count = 0;
    world.runner_count = 0;
    world.current = NULL;
    world.story = story;
    world.children = NULL;
    random_init(&world.luck, seed);
    random_init(&world.secrets, seed ^ 0x5eed);
}

void clock_end(void)
{
    for (size_t i = 0; i < world.count; i++)
        free(world.heap[i]);
    world.count = 0;
    world.story = NULL;
}

int64_t clock_now(void)
{
    return world.now;
}

uint64_t luck_below(uint64_t bound)
{
    return random_below(&world.luck, bound);
}

void clock_watch_children(child_work_fn *fn, void *context)
{
    world.children = fn;
    world.children_context = context;
}

bool telling(void)
{
    return world.story != NULL;
}

void tell(const char *format, ...)
{
    va_list arguments;
    if (!world.story)
        return;
    strbuf_addf(world.story, "%9.3f  ", (double)world.now / 1000);
    va_start(arguments, format);
    strbuf_addf_va(world.story, format, arguments);
    va_end(arguments);
    strbuf_addc(world.story, '\n');
}

static void fire(struct timer *timer)
{
    timer_fn *fn = timer->fn;
    void *context = timer->context;
    if (timer->loop)
        timer->loop->waiting--;
    free(timer);
    fn(context);
}

/* swapcontext alone would do, as it does under AddressSanitizer, which follows it; but it asks the kernel for the signals each time. */
static void leave_for(struct place *from, struct place *to, bool first)
{
#ifdef __SANITIZE_ADDRESS__
    (void)first;
    swapcontext(&from->context, &to->context);
#else
    if (_setjmp(from->jump))
        return;
    if (first)
        setcontext(&to->context);
    _longjmp(to->jump, 1);
#endif
}

static void let_run(struct runner *runner, bool first)
{
    struct runner *before = world.current;
    world.current = runner;
    leave_for(&runner->there, &runner->here, first);
    world.current = before;
}

bool clock_turn(void)
{
    if (world.count == 0)
        return false;
    struct timer *timer = world.heap[0];
    struct runner *runner = timer->runner;
    heap_remove(timer);
    if (timer->at > world.now)
        world.now = timer->at;
    if (runner && runner->paused_until > world.now) {
        timer->at = runner->paused_until;
        heap_add(timer);
    } else if (timer->loop) {
        runner->due = timer;
        let_run(runner, false);
    } else {
        fire(timer);
    }
    return true;
}

/* --- runners --- */

static void begin_body(void)
{
    struct runner *runner = world.current;
    runner->body(runner->context);
    runner->ended = true;
    leave_for(&runner->here, &runner->there, false);
}

static void start_body(void *context)
{
    struct runner *runner = context;
    if (runner->dead)
        return;
    runner->started = true;
    ucontext_t *first = &runner->here.context;
    getcontext(first);
    first->uc_stack.ss_sp = runner->stack;
    first->uc_stack.ss_size = STACK_BYTES;
    first->uc_link = NULL;
    makecontext(first, begin_body, 0);
    let_run(runner, true);
}

struct runner *runner_start(void (*body)(void *context), void *context, void *tag)
{
    if (world.runner_count == RUNNERS_MAX)
        abort();
    struct runner *runner = &world.runners[world.runner_count++];
    char *stack = runner->stack ? runner->stack : malloc(STACK_BYTES);
    *runner = (struct runner){.stack = stack, .body = body, .context = context, .tag = tag};
    timer_start(NULL, 0, start_body, runner);
    return runner;
}

struct runner *runner_current(void)
{
    return world.current;
}

void *runner_tag(const struct runner *runner)
{
    return runner ? runner->tag : NULL;
}

bool runner_ended(const struct runner *runner)
{
    return runner->ended;
}

bool runner_dead(const struct runner *runner)
{
    return runner && runner->dead;
}

void runner_kill(struct runner *runner)
{
    if (runner->ended || runner->dead)
        return;
    runner->dead = true;
    if (runner->started)
        let_run(runner, false);
    runner->ended = true;
}

struct signalled {
    struct runner *runner;
    int number;
};

static void deliver_signal(void *context)
{
    struct signalled *signalled = context;
    struct loop *loop = signalled->runner->loop;
    for (struct signal_watch *watch = loop ? loop->watches : NULL; watch; watch = watch->next)
        watch->fn(watch->context, signalled->number);
    free(signalled);
}

void runner_signal(struct runner *runner, int signal_number)
{
    if (runner->ended || !runner->loop)
        return;
    struct signalled *signalled = malloc(sizeof(*signalled));
    *signalled = (struct signalled){runner, signal_number};
    timer_start(runner->loop, 0, deliver_signal, signalled);
}

void runner_pause(struct runner *runner, int64_t until)
{
    runner->paused_until = until;
}

int64_t runner_suspended_ms(const struct runner *runner)
{
    return runner->suspended_ms;
}

void runner_suspend(struct runner *runner, int64_t until)
{
    runner_pause(runner, until);
    runner->suspended_ms += until - world.now;
    for (size_t i = 0; i < world.count; i++)
        if (world.heap[i]->runner == runner)
            world.heap[i]->at += until - world.now;
    for (size_t i = world.count / 2; i-- > 0;)
        sift_down(i, world.heap[i]);
}

void runner_jump(struct runner *runner, int64_t by_ms)
{
    runner->wall_offset += by_ms;
}

/* --- io/loop.h --- */

int loop_create(struct loop **out, struct err *err)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    *out = loop;
    if (!loop)
        return err_set(err, ERR_MEMORY, "out of memory");
    loop->runner = world.current;
    return 0;
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    while (loop->watches) {
        struct signal_watch *watch = loop->watches;
        loop->watches = watch->next;
        free(watch);
    }
    for (size_t i = 0; i < world.count;) {
        struct timer *timer = world.heap[i];
        if (timer->loop == loop) {
            heap_remove(timer);
            free(timer);
            i = 0;
        } else {
            i++;
        }
    }
    free(loop);
}

static void end_children(struct loop *loop)
{
    while (loop->children) {
        struct child *child = loop->children;
        struct child_result result = {.status = -1, .signal_number = 9, .output = ""};
        loop->children = child->next;
        timer_stop(child->timer);
        child->fn(child->context, &result);
        free(child);
    }
}

/* Of a runner that was killed: what waits for an answer hears that it is interrupted, since none comes any more. */
static void end_waiting(struct loop *loop)
{
    end_children(loop);
    for (struct signal_watch *watch = loop->watches, *next; watch; watch = next) {
        next = watch->next;
        watch->fn(watch->context, SIGKILL);
    }
}

/* The next event, when it is this loop's own: no need to yield for it. */
static struct timer *next_of(struct loop *loop)
{
    struct timer *timer = world.count ? world.heap[0] : NULL;
    if (!timer || timer->loop != loop || loop->runner->paused_until > timer->at)
        return NULL;
    heap_remove(timer);
    if (timer->at > world.now)
        world.now = timer->at;
    return timer;
}

void loop_run(struct loop *loop)
{
    struct runner *runner = loop->runner;
    loop->stopped = false;
    runner->loop = loop;
    while (!loop->stopped && !runner->dead && loop->waiting) {
        struct timer *due = next_of(loop);
        if (!due) {
            leave_for(&runner->here, &runner->there, false);
            due = runner->due;
            runner->due = NULL;
        }
        if (due)
            fire(due);
    }
    runner->loop = NULL;
    if (runner->dead)
        end_waiting(loop);
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return world.now - loop->runner->suspended_ms;
}

int64_t clock_wall_ms(void)
{
    return WALL_AT_START + world.now + (world.current ? world.current->wall_offset : 0);
}

int64_t clock_boot_ms(void)
{
    return world.now;
}

uint64_t clock_random(void)
{
    return random_next(&world.secrets);
}

struct timer *timer_start(struct loop *loop, int64_t delay_ms, timer_fn *fn, void *context)
{
    struct timer *timer = malloc(sizeof(*timer));
    if (!timer)
        return NULL;
    *timer = (struct timer){.at = world.now + (delay_ms > 0 ? delay_ms : 0),
                            .loop = loop,
                            .runner = loop ? loop->runner : NULL,
                            .fn = fn,
                            .context = context};
    if (loop)
        loop->waiting++;
    heap_add(timer);
    return timer;
}

void timer_stop(struct timer *timer)
{
    if (!timer)
        return;
    if (timer->loop)
        timer->loop->waiting--;
    heap_remove(timer);
    free(timer);
}

int loop_on_signal(struct loop *loop, int signal_number, signal_fn *fn, void *context, struct err *err)
{
    (void)err;
    if (signal_number != 2) /* each handler is registered for several; one is enough here */
        return 0;
    struct signal_watch *watch = malloc(sizeof(*watch));
    *watch = (struct signal_watch){fn, context, loop->watches};
    loop->watches = watch;
    return 0;
}

static void child_ends(void *context)
{
    struct child *child = context;
    struct child **link = &child->loop->children;
    while (*link != child)
        link = &(*link)->next;
    *link = child->next;
    bool killed = child->signal_number || child->timed_out;
    struct child_result result = {.status = killed ? -1 : child->work.status,
                                  .signal_number = child->timed_out ? 9 : child->signal_number,
                                  .timed_out = child->timed_out,
                                  .output = killed ? "" : child->work.output};
    result.output_length = strlen(result.output);
    child->fn(child->context, &result);
    free(child);
}

struct child *child_start(struct loop *loop, const char *const argv[], const char *const environment[],
                          int64_t timeout_ms, size_t output_max, child_fn *fn, void *context, struct err *err)
{
    (void)output_max, (void)err;
    struct child *child = calloc(1, sizeof(*child));
    if (!child)
        return NULL;
    *child = (struct child){.loop = loop, .fn = fn, .context = context, .next = loop->children, .work = {.ms = 100}};
    if (world.children && !loop->runner->dead)
        world.children(world.children_context, loop->runner, argv, environment, &child->work);
    child->timed_out = timeout_ms && child->work.ms >= timeout_ms;
    child->timer = timer_start(loop, child->timed_out ? timeout_ms : child->work.ms, child_ends, child);
    loop->children = child;
    return child;
}

void child_stop(struct child *child)
{
    child->signal_number = 15;
}
