/* Any bytes as a Prometheus server's answer to a query. */
#include <assert.h>
#include <math.h>

#include "../../src/app/analysis_prometheus_answer.h"
#include "fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    double figure = NAN;
    int rc = prometheus_answer(&figure, 200, (const char *)data, size, &err);
    assert(rc == 0 || (rc == ERR_FAILED && err.message[0]));
    fuzz_check_safe(err.message);
    return 0;
}
