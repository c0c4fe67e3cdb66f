/*
 * What an endpoint of etcd's JSON gateway answered, as bytes. Never connects.
 */
#ifndef ETCD_ANSWER_H
#define ETCD_ANSWER_H

#include <jansson.h>
#include <stddef.h>

enum etcd_outcome {
    ETCD_ANSWERED,
    ETCD_NO_ANSWER,   /* not one of etcd's */
    ETCD_UNAVAILABLE, /* this endpoint cannot answer now */
    ETCD_TOKEN_REFUSED,
    ETCD_DENIED, /* the user may not do this */
    ETCD_REFUSED
};
struct etcd_answer {
    enum etcd_outcome outcome;
    json_t *whole;
    const json_t *result; /* ETCD_ANSWERED: an object; borrowed from `whole` */
    char reason[400];     /* what etcd gives for an error, safe to show */
};
/* Always etcd_answer_release. A stream may hold several objects: the first is the answer. */
void etcd_answer_read(struct etcd_answer *out, int status, const char *body, size_t length);
void etcd_answer_release(struct etcd_answer *answer);

#endif
