#include "model/playbook.h"

static bool has_port(const struct playbook *playbook)
{
    return playbook->health.port || playbook->service.port || playbook->slots[SLOT_BLUE].port;
}

/* Without either nothing of ours runs. */
static bool has_unit(const struct playbook *playbook)
{
    return playbook->service.unit || playbook->slots[SLOT_BLUE].unit;
}

static bool has_start(const struct playbook *playbook)
{
    return playbook->service.start || playbook->slots[SLOT_BLUE].start;
}

static void doubt_identity(const struct playbook *playbook, struct faults *out)
{
    static const char text[] = "the gate cannot tell the old process from the new one: %s; add 'identity' to [health]";
    int line = playbook_line(playbook, "service", "reload");
    bool runs = has_unit(playbook) || has_start(playbook);
    if (!runs || playbook->health.identity.kind != IDENTITY_NONE)
        return;
    if (!has_unit(playbook) && !has_port(playbook))
        faults_add(out, playbook->file, playbook_line(playbook, "service", "start"), text,
                   "the service has neither a unit nor a port");
    else if (playbook->service.reload)
        faults_add(out, playbook->file, line, text,
                   "'reload' keeps the main process, and a service without worker processes shows no new one");
}

static void doubt_stop(const struct playbook *playbook, struct faults *out)
{
    bool stops = playbook->service.stop || playbook->slots[SLOT_BLUE].stop;
    if (!playbook->service.start || stops || playbook->service.unit)
        return;
    faults_add(out, playbook->file, playbook_line(playbook, "service", "start"),
               "'start' without 'stop': a first release that fails goes on running; add 'stop' to [service]");
}

void playbook_doubts(const struct playbook *playbook, struct faults *out)
{
    doubt_identity(playbook, out);
    doubt_stop(playbook, out);
}
