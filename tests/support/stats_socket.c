#include "stats_socket.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WEIGHT 100

void stats_socket_init(struct stats_socket *self, size_t servers)
{
    *self = (struct stats_socket){.servers = servers};
    pthread_mutex_init(&self->lock, NULL);
    stats_socket_reset(self);
}

void stats_socket_reset(struct stats_socket *self)
{
    pthread_mutex_lock(&self->lock);
    for (size_t i = 0; i < self->servers; i++) {
        self->states[i] = TRAFFIC_READY;
        self->weights[i] = WEIGHT;
        self->outs[i] = 0;
    }
    self->asked = 0;
    self->ignores = self->loses = NULL;
    pthread_mutex_unlock(&self->lock);
}

void stats_socket_lies(struct stats_socket *self, const char *ignores, const char *loses)
{
    pthread_mutex_lock(&self->lock);
    self->ignores = ignores;
    self->loses = loses;
    pthread_mutex_unlock(&self->lock);
}

static int listen_at(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(*port)};
    socklen_t length = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        err(1, "stats socket on port %u", *port);
    *port = ntohs(address.sin_port);
    return listener;
}

/* --- what it is told --- */

static bool begins(const char *command, const char *text)
{
    return text && strncmp(command, text, strlen(text)) == 0;
}

static void set_state(struct stats_socket *self, size_t server, const char *word)
{
    for (int state = TRAFFIC_READY; state <= TRAFFIC_MAINT; state++)
        if (strcmp(word, traffic_state_name((enum traffic_state)state)) == 0)
            self->states[server] = (enum traffic_state)state;
}

/* `set server shop/nI state|weight WORD` */
static void obey(struct stats_socket *self, const char *command)
{
    size_t server;
    char key[8], word[8];
    if (sscanf(command, "set server shop/n%zu %7s %7s", &server, key, word) != 3 || !server || server > self->servers)
        return;
    bool out = strcmp(key, "state") == 0 && strcmp(word, "ready") != 0;
    self->outs[server - 1] += out;
    if (begins(command, self->ignores))
        return;
    if (strcmp(key, "state") == 0)
        set_state(self, server - 1, word);
    else
        sscanf(word, "%u", &self->weights[server - 1]);
}

/* Of an exchange: its commands, and whether one of them is to be lost after the answer. */
static bool obey_all(struct stats_socket *self, char *request)
{
    bool loses = false;
    char *rest = NULL;
    for (char *command = strtok_r(request, ";\n", &rest); command; command = strtok_r(NULL, ";\n", &rest)) {
        command += strspn(command, " ");
        obey(self, command);
        loses = loses || begins(command, self->loses);
    }
    return loses;
}

static void answer(const struct stats_socket *self, FILE *stream)
{
    static const int admin[] = {[TRAFFIC_READY] = 0, [TRAFFIC_DRAIN] = 8, [TRAFFIC_MAINT] = 1};
    fprintf(stream, "admin\n\n1\n# be_id be_name srv_name srv_op_state srv_admin_state srv_uweight srv_iweight\n");
    for (size_t i = 0; i < self->servers; i++)
        fprintf(stream, "4 shop n%zu 2 %d %u %d\n", i + 1, admin[self->states[i]], self->weights[i], WEIGHT);
    fprintf(stream, "\n# pxname,svname,qcur,scur\n");
    for (size_t i = 0; i < self->servers; i++)
        fprintf(stream, "shop,n%zu,0,0\n", i + 1);
    fprintf(stream, "\n");
}

static void exchange(struct stats_socket *self, FILE *stream, char *request)
{
    enum traffic_state before[STATS_SERVERS_MAX];
    pthread_mutex_lock(&self->lock);
    memcpy(before, self->states, sizeof(before));
    self->asked++;
    bool loses = obey_all(self, request);
    fseek(stream, 0, SEEK_CUR);
    answer(self, stream);
    if (loses)
        memcpy(self->states, before, sizeof(before));
    pthread_mutex_unlock(&self->lock);
}

static void *serve(void *context)
{
    struct stats_socket *self = context;
    int listener = self->listener;
    for (int peer; (peer = accept(listener, NULL, NULL)) >= 0;) {
        char request[4096] = "";
        FILE *stream = fdopen(peer, "r+");
        if (stream && fgets(request, sizeof(request), stream))
            exchange(self, stream, request);
        if (stream)
            fclose(stream);
    }
    return NULL;
}

void stats_socket_open(struct stats_socket *self)
{
    self->listener = listen_at(&self->port);
    if (pthread_create(&self->thread, NULL, serve, self) != 0)
        errx(1, "stats socket: no thread");
}

void stats_socket_shut(struct stats_socket *self)
{
    shutdown(self->listener, SHUT_RDWR);
    pthread_join(self->thread, NULL);
    close(self->listener);
}

/* --- what a test sees --- */

enum traffic_state stats_socket_state(struct stats_socket *self, size_t server)
{
    pthread_mutex_lock(&self->lock);
    enum traffic_state state = self->states[server];
    pthread_mutex_unlock(&self->lock);
    return state;
}

unsigned stats_socket_weight(struct stats_socket *self, size_t server)
{
    pthread_mutex_lock(&self->lock);
    unsigned weight = self->weights[server];
    pthread_mutex_unlock(&self->lock);
    return weight;
}

int stats_socket_outs(struct stats_socket *self, size_t server)
{
    pthread_mutex_lock(&self->lock);
    int outs = self->outs[server];
    pthread_mutex_unlock(&self->lock);
    return outs;
}

int stats_socket_asked(struct stats_socket *self)
{
    pthread_mutex_lock(&self->lock);
    int asked = self->asked;
    pthread_mutex_unlock(&self->lock);
    return asked;
}
