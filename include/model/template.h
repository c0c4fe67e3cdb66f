/*
 * `{name}` and `{discover.name}` in text values of a playbook. `{{` and `}}` are braces. Never used for commands: those
 * get the same names as environment.
 */
#ifndef MODEL_TEMPLATE_H
#define MODEL_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/strbuf.h"
#include "model/inventory.h"

struct template_scope {
    const struct node *node; /* its variables; may be NULL */
    /* `release`, `service`, `root`, `port`, ...: win over the node's */
    const struct variable *extra;
    size_t extra_count;
    const char *stand_in; /* the value of every name that is not known; NULL: such a name is an error */
    bool quoted;          /* values are taken literally by an extended regular expression */
};

/* Besides `extra` and the node's variables, `node` and `address` are known when there is a node.
 *
 * Appends `text` with every name replaced. An unknown name, or a brace that is not closed, is
 * ERR_INPUT and names it (with the nearest known one). */
int template_expand(struct strbuf *out, const char *text, const struct template_scope *scope,
                    struct err *err);

/* The names a text uses, without replacing: calls `found` for each; same errors for malformed text.
 */
int template_names(const char *text, int (*found)(void *context, const char *name), void *context,
                   struct err *err);

#endif
