/*
 * A Prometheus server's answer to an instant query (HTTP API, GET /api/v1/query), as bytes. Never connects.
 */
#ifndef ANALYSIS_PROMETHEUS_ANSWER_H
#define ANALYSIS_PROMETHEUS_ANSWER_H

#include <stddef.h>

#include "base/err.h"

/* The one number that the query gives; NAN when it gives no series, or no number. ERR_FAILED: the server refuses, the query
 * gives something else, or it is no answer of Prometheus; its own words are safe to show. */
int prometheus_answer(double *out, int status, const char *body, size_t length, struct err *err);

#endif
