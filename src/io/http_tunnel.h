/*
 * A local socket that libcurl connects to, pumped to a TCP connection that a node's sshd makes.
 *
 * It is a listener in the abstract namespace, under a name that the kernel gives, for one
 * connection of this very process; a socket pair will not do, since libcurl 7.88 (Debian 12)
 * connects even a socket that is said to be connected already. Towards the node a byte is read from
 * libcurl only when the channel can take it; from the node, the channel is paused while libcurl has
 * more than 256 KiB to read.
 */
#ifndef IO_HTTP_TUNNEL_H
#define IO_HTTP_TUNNEL_H

#include "io/http.h"

struct http_tunnel;
/* `name_out` is for CURLOPT_ABSTRACT_UNIX_SOCKET. NULL: err says why. */
#define HTTP_TUNNEL_NAME 32
struct http_tunnel *http_tunnel_open(struct loop *loop, struct ssh *via, const char *host,
                                     uint16_t port, char name_out[HTTP_TUNNEL_NAME],
                                     struct err *err);
/* Why the node's side failed, if it did; NULL otherwise. Borrowed. */
const struct err *http_tunnel_error(const struct http_tunnel *tunnel);
/* May be NULL. */
void http_tunnel_free(struct http_tunnel *tunnel);

#endif
