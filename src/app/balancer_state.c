#include <stdio.h>
#include <string.h>

#include "balancer_internal.h"
#include "base/units.h"

#define STATE_NUMBER_MAX 999999999

/* True when the line has no such word, or it is a number. */
static bool read_number(uint64_t *out, int count, int word, const char *text)
{
    return count <= word || whole_parse(out, text, 0, STATE_NUMBER_MAX, NULL) == 0;
}

int balancer_state_parse(struct traffic_view *view, const char *server, const char *output, struct err *err)
{
    char line[80], word[8] = "", weight[11], sessions[11], more[2];
    *view = (struct traffic_view){.one_way_out = true, .up = true, .weight = WEIGHT_FULL, .full_weight = WEIGHT_FULL};
    output += strspn(output, " \t\r\n");
    snprintf(line, sizeof(line), "%.*s", (int)strcspn(output, "\n"), output);
    int count = sscanf(line, "%7s %10s %10s %1s", word, weight, sessions, more);
    bool sound = count >= 1 && count < 4 && read_number(&view->weight, count, 1, weight) && read_number(&view->sessions, count, 2, sessions);
    for (int state = TRAFFIC_READY; sound && state <= TRAFFIC_MAINT; state++)
        if (strcmp(word, traffic_state_name((enum traffic_state)state)) == 0) {
            view->state = (enum traffic_state)state;
            return 0;
        }
    return err_set(err, ERR_REFUSED,
                   "state of %s: wanted a line `ready`, `drain` or `maint`, then its weight and its "
                   "sessions where there are such, not '%.60s'",
                   server, word);
}
