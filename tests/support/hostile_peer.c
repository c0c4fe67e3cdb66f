#include "hostile_peer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* False when the other side has hung up. */
static bool send_all(struct hostile_peer *peer, int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return false;
        peer->sent += (uint64_t)sent;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

static void *serve(void *context)
{
    struct hostile_peer *peer = context;
    int fd;
    while ((fd = accept(peer->listener, NULL, NULL)) >= 0) {
        bool open = send_all(peer, fd, peer->greeting, strlen(peer->greeting));
        while (open && peer->flood != NULL)
            open = send_all(peer, fd, peer->flood, peer->flood_length);
        close(fd);
    }
    return NULL;
}

void hostile_peer_start(struct hostile_peer *peer, const char *greeting, const void *flood, size_t flood_length)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    *peer = (struct hostile_peer){.greeting = greeting, .flood = flood, .flood_length = flood_length};
    peer->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(peer->listener, (struct sockaddr *)&address, length) != 0 || listen(peer->listener, 16) != 0 ||
        getsockname(peer->listener, (struct sockaddr *)&address, &length) != 0 ||
        pthread_create(&peer->thread, NULL, serve, peer) != 0) {
        perror("test support: hostile peer");
        exit(99);
    }
    peer->port = ntohs(address.sin_port);
}

void hostile_peer_stop(struct hostile_peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}
