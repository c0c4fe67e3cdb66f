/*
 * What tests of the model need again and again: a text parsed, and its faults as one string.
 */
#ifndef SUPPORT_PARSED_H
#define SUPPORT_PARSED_H

#include "model/inventory.h"
#include "model/playbook.h"

/* A parsed file with everything it needs; give it back with parsed_release. */
struct parsed {
    struct arena arena;
    struct faults faults;
    struct inventory inventory;
    struct playbook playbook;
    struct err err;
    int code;
    char *told; /* every fault as `file:line: message\n`, in the arena */
};

/* The file is called `inventory.ini`. */
void parsed_inventory(struct parsed *parsed, const char *text, size_t length);
/* The file is called `shop.ini`; `inventory` and `overrides` may be NULL. */
void parsed_playbook(struct parsed *parsed, const char *text, size_t length,
                     const struct playbook_override *overrides, size_t override_count,
                     const struct inventory *inventory);
void parsed_release(struct parsed *parsed);

#endif
