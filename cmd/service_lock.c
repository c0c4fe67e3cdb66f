#include "service_lock.h"
#include "print.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "base/units.h"

void service_lock_print(const struct service_lock_view *view, bool json)
{
    char left[DURATION_TEXT_MAX];
    if (json) {
        json_t *line = json_line("{s:i, s:s, s:b, s:s?, s:s?, s:I, s:I, s:I}", "v", 1, "event", "service_lock", "held",
                                 view->held, "holder", view->held ? view->holder : NULL, "rollout",
                                 view->held ? view->rollout : NULL, "generation", (json_int_t)view->generation, "left_s",
                                 (json_int_t)view->left_s, "ttl_s", (json_int_t)view->ttl_s);
        print_json_line(line);
    } else if (view->held) {
        print_out("locked in etcd by %s, rollout %s, generation %" PRIu64 ", for another %s unless renewed\n", view->holder,
               view->rollout, view->generation, duration_format(left, view->left_s > 0 ? view->left_s * 1000 : 0));
    }
}

int service_lock_show(struct run *run, struct service_lock_view *view)
{
    struct err err;
    int rc = service_lock_look(view, run->fleet, &err);
    if (rc < 0) {
        view->held = false;
        return report_error(&err);
    }
    if (rc == 0 && run->inputs.playbook.lock.etcd.urls.count)
        service_lock_print(view, run->options->json);
    return rc > 0 ? 128 + rc : 0;
}
