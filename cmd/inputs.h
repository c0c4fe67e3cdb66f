/*
 * Finding playbooks by name, and saying what is wrong with files.
 */
#ifndef CMD_INPUTS_H
#define CMD_INPUTS_H

#include "command.h"
#include "model/fault.h"

#define INPUT_FILE_MAX ((size_t)16 << 20) /* bytes of an inventory or a playbook */

/* The names NAME of playbooks/NAME.ini, sorted. Lives in `arena`; none when there is no such
 * folder. */
size_t playbook_names(const char ***out, struct arena *arena);
/* The path that a PLAYBOOK argument means, in `arena`; ERR_NOT_FOUND says what there is. */
int playbook_path(const char **out, const char *name, struct arena *arena, struct err *err);

/* Prints one fault: `file:line: message` on stderr, or with `json` an object on stdout. `event`:
 * `fault` or `warning`. */
void fault_print(const struct fault *fault, const char *event, bool json);

#endif
