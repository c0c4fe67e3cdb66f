/*
 * The upstream of an nginx as the text of the file that holds it: read, and changed. Never opens files.
 *
 * Inside `upstream NAME { }` each server stands on a line of its own, as nginx's documentation writes it
 * (ngx_http_upstream_module, directive server). Only weights and `down` change; every other line and
 * parameter stays. An nginx has whole weights alone, so before the first share is given all weights
 * of the upstream are multiplied by 100, and a line's comment `# full=N` says what its whole weight is.
 */
#ifndef APP_BALANCER_NGINX_H
#define APP_BALANCER_NGINX_H

#include <stdbool.h>
#include <stddef.h>

#include "app/balancer.h"
#include "base/err.h"
#include "base/strbuf.h"

#define NGINX_FILE_MAX ((size_t)64 * 1024)

/* What a `server` of nginx can be called: an address with a port, or unix:/path. */
bool nginx_is_server(const char *name);
/* The text with the orders carried out, appended to `out`, and their views; `changed` tells whether it
 * differs. A server that is down is TRAFFIC_MAINT. ERR_REFUSED: no such upstream or server. */
int nginx_edit(struct strbuf *out, bool *changed, struct traffic_order *orders, size_t count,
               const char *upstream, const char *text, struct err *err);

#endif
