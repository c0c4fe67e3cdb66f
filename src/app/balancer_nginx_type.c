/* nginx as a type of balancer: its upstream's file is read and written on its node, by commands there. */
#include <stdio.h>
#include <string.h>

#include "app/balancer_nginx.h"
#include "balancer_internal.h"

#define COMMAND_MS 30000

/* `workers`: of the master whose pid stands in the file; old ones serve what they began, and end. */
#define WORKERS                                                                                    \
    "m=$(cat \"$DEPLOYCTL_PID\" 2>/dev/null); kill -0 \"$m\" 2>/dev/null || [ -d \"/proc/$m/task\" ] || "       \
    "{ echo \"nginx does not run: no process of $DEPLOYCTL_PID\"; exit 1; }; "                     \
    "workers() { new=' ' old=0; for d in /proc/[0-9]*; do "                                        \
    "{ read -r a b c p r <$d/stat; } 2>/dev/null || continue; [ \"$p\" = \"$m\" ] || continue; "   \
    "case $(tr '\\0' ' ' 2>/dev/null <$d/cmdline) in *'is shutting down'*) old=$((old + 1)) ;; "    \
    "*'worker process'*) new=\"$new${d#/proc/} \" ;; esac; done; }; "

static const char read_text[] =
    "f=$DEPLOYCTL_FILE; [ -r \"$f\" ] || { echo \"$f cannot be read, or there is none\"; exit 1; }; "
    WORKERS "workers; "
    "if [ -n \"$DEPLOYCTL_TEST\" ]; then o=$(sh -c \"$DEPLOYCTL_TEST -T\" 2>&1) || "
    "{ printf '%s\\n' \"$o\" | grep -F '[emerg]' | tail -n 1; exit 1; }; case $o in "
    "*\"# configuration file $f:\"*) ;; *'# configuration file '*) "
    "echo \"nginx does not include $f\"; exit 1 ;; esac; fi; "
    "echo \"draining $old\"; cat \"$f\"";

/* nginx tests what stands under the file's own name, so the new one is put there and taken back when it fails. */
static const char write_text[] =
    "f=$DEPLOYCTL_FILE; " WORKERS
    "back() { mv -f \"$f.before\" \"$f\"; printf '%s\\n' \"$o\" | "
    "{ grep -F -e '[emerg]' -e rror || echo 'without a word'; } | tail -n 1; exit 1; }; "
    "cp -p \"$f\" \"$f.before\" && cp -p \"$f\" \"$f.new\" && printf %b \"$DEPLOYCTL_TEXT\" >\"$f.new\" && "
    "mv -f \"$f.new\" \"$f\" || exit; o=$(sh -c \"$DEPLOYCTL_TEST\" 2>&1) || back; workers; was=$new; "
    "o=$(sh -c \"$DEPLOYCTL_RELOAD\" 2>&1) || back; i=0; while [ $i -lt 100 ]; do workers; left=; "
    "for w in $was; do case $new in *\" $w \"*) left=yes ;; esac; done; "
    "[ -n \"$left\" ] || [ \"$new\" = ' ' ] || { rm -f \"$f.before\"; exit 0; }; "
    "i=$((i + 1)); sleep 0.1; done; o='error: its old workers stay; see its error log'; back";

static void look(struct lane *lane);

/* For printf %b. */
static void escape(struct strbuf *out, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            strbuf_adds(out, "\\n");
        else if (*text == '\\')
            strbuf_adds(out, "\\\\");
        else
            strbuf_addc(out, *text);
}

static void wrote(struct lane *lane, const char *output)
{
    (void)output;
    lane->at = 1;
    look(lane);
}

static void write_file(struct lane *lane)
{
    const struct balancer *balancer = lane->front->balancer;
    if (!lane_may_write(lane))
        return;
    strbuf_reset(&lane->request);
    escape(&lane->request, lane->answer.text);
    lane_run(lane, &(struct lane_command){
                       .text = write_text,
                       .what = "nginx",
                       .timeout_ms = COMMAND_MS,
                       .member = lane->front->member,
                       .values = {{"DEPLOYCTL_FILE", lane->front->upstream_file},
                                  {"DEPLOYCTL_PID", lane->front->pid_file},
                                  {"DEPLOYCTL_TEST", balancer->test},
                                  {"DEPLOYCTL_RELOAD", balancer->reload},
                                  {"DEPLOYCTL_TEXT", lane->request.text}},
                       .ran = wrote,
                   });
}

static void looked(struct lane *lane, const char *output)
{
    struct errand *errand = lane->first;
    unsigned draining = 0;
    struct err error = {0};
    bool changed = false;
    const char *text = strchr(output, '\n');
    if (sscanf(output, "draining %u", &draining) != 1 || !text) {
        lane_fail(lane, ERR_PROTOCOL, "the file could not be read");
        return;
    }
    strbuf_reset(&lane->answer);
    int rc = nginx_edit(&lane->answer, &changed, errand->orders, errand->count,
                        lane->front->balancer->upstream, text + 1, &error);
    for (size_t i = 0; i < errand->count; i++)
        errand->orders[i].view.sessions =
            errand->orders[i].view.state == TRAFFIC_READY ? 0 : draining;
    if (rc == 0 && lane->answer.length > NGINX_FILE_MAX)
        rc = err_set(&error, ERR_REFUSED, "%s has more than 64 KiB",
                     lane->front->upstream_file);
    if (rc == 0 && changed && lane->at)
        rc = err_set(&error, ERR_FAILED, "%s does not hold what was written",
                     lane->front->upstream_file);
    if (rc < 0)
        lane_finish(lane, &error);
    else if (changed)
        write_file(lane);
    else
        lane_finish(lane, NULL);
}

static void look(struct lane *lane)
{
    const struct balancer *balancer = lane->front->balancer;
    lane_run(lane, &(struct lane_command){
                       .text = read_text,
                       .what = "nginx",
                       .timeout_ms = COMMAND_MS,
                       .member = lane->front->member,
                       .values = {{"DEPLOYCTL_FILE", lane->front->upstream_file},
                                  {"DEPLOYCTL_PID", lane->front->pid_file},
                                  {"DEPLOYCTL_TEST", lane->first->thorough ? balancer->test : ""}},
                       .ran = looked,
                   });
}

const struct balancer_type nginx_type = {
    .is_server = nginx_is_server, .carry = look, .stop = lane_run_stop};
