#include "analysis_prometheus_answer.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* `[time, "0.25"]` */
static double figure_of(const json_t *pair)
{
    const char *text = json_string_value(json_array_get(pair, 1));
    char *end = NULL;
    double figure = text ? strtod(text, &end) : NAN;
    return text && end != text && !*end ? figure : NAN;
}

/* No series, or NaN as of 0/0: no figure in this round. */
static int read_result(double *out, const json_t *data, struct err *err)
{
    const char *type = json_string_value(json_object_get(data, "resultType"));
    const json_t *result = json_object_get(data, "result");
    *out = NAN;
    if (type && strcmp(type, "scalar") == 0) {
        *out = figure_of(result);
        return 0;
    }
    if (!type || strcmp(type, "vector") != 0)
        return err_set(err, ERR_FAILED, "prometheus: the query gives no instant vector; it must end in one number");
    if (json_array_size(result) > 1)
        return err_set(err, ERR_FAILED,
                       "prometheus: the query gives %zu series; make one number of them, e.g. with sum()",
                       json_array_size(result));
    if (json_array_size(result) == 1)
        *out = figure_of(json_object_get(json_array_get(result, 0), "value"));
    return 0;
}

/* The server's own word, foreign bytes. */
static int tell_error(const json_t *answer, int status, struct err *err)
{
    const char *said = json_string_value(json_object_get(answer, "error"));
    struct strbuf safe;
    strbuf_init(&safe, 400);
    if (said)
        text_sanitize(&safe, said, strlen(said), false);
    err_set(err, ERR_FAILED, "prometheus: http %d%s%s", status, said ? ": " : "", safe.text);
    strbuf_release(&safe);
    return ERR_FAILED;
}

int prometheus_answer(double *out, int status, const char *body, size_t length, struct err *err)
{
    json_t *answer = json_loadb(body, length, 0, NULL);
    const char *outcome = json_string_value(json_object_get(answer, "status"));
    int rc = outcome && strcmp(outcome, "success") == 0 ? read_result(out, json_object_get(answer, "data"), err)
                                                        : tell_error(answer, status, err);
    json_decref(answer);
    return rc;
}
