/*
 * The first word of a host line: a name, an address, a range of names, and perhaps a port behind
 * it.
 *
 * As Ansible's `parse_address` and `expand_hostname_range`: `web[01:20:2].eu:2222`, `[a:f]-node`,
 * `[2001:db8::1]:22`, `2001:db8::1`. Where Ansible would take nonsense for a name (a colon that is
 * no port, a bracket left over, a range that counts down and so names nothing) this is ERR_INPUT.
 */
#ifndef MODEL_HOST_RANGE_H
#define MODEL_HOST_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

struct host_names {
    const char **items; /* in the order of the range, the last range fastest */
    size_t count;
    uint16_t port; /* 0: none */
};

/* Everything lives in `arena`. More than `maximum` names are ERR_INPUT too. */
int host_names_expand(struct host_names *out, const char *word, size_t maximum, struct arena *arena,
                      struct err *err);

/* Whether a word is a host, an address or a range of them, perhaps with a port, by Ansible's
 * parse_address. */
bool host_word_is_valid(const char *word);

#endif
