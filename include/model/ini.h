/*
 * Sections and entries of an INI text, read through inih without what inih does on the quiet.
 *
 * inih 55 cuts lines at 199 bytes and section names at 49, cuts a value at ` ;`, takes `:` for `=`,
 * joins an indented line to the one before, keeps the old section after a malformed header, and
 * names only the first bad line. Debian can turn some of that off by globals of the library,
 * upstream only when it is built; so neither is touched. Instead inih is fed line by line by our
 * own reader (model/lines.h beneath it): left-trimmed, and with a stand-in for the value, which is
 * kept beside in full. What inih would misread never reaches it and is a fault with its own line.
 * That works with any build of inih and changes no global.
 *
 * The grammar: `[name]` or `[name label]`, `key = value` with the first `=` as the only separator,
 * full-line comments. A value is everything after that `=`, trimmed, quotes and semicolons
 * included.
 *
 * The inventory does not come through here. A host line is a list of shell words (`web1:2222
 * user=ops key="a b"`),
 * `[a:c].example.com` is a host though it starts as a header does, and inih would split all of them
 * at `=` or `:`. It is read from model/lines.h directly.
 */
#ifndef MODEL_INI_H
#define MODEL_INI_H

#include <stddef.h>

#include "base/arena.h"
#include "base/err.h"
#include "model/fault.h"

#define INI_NAME_MAX                                                                               \
    48 /* bytes of a section's name with its label, and of a key: below inih's own 49 */

struct ini_entry {
    const char *key;
    const char *value; /* may be empty, never NULL */
    int line;
};

struct ini_section {
    const char *name;
    const char *label; /* of `[name label]`; NULL without one */
    int line;
    struct ini_entry *entries; /* file order */
    size_t entry_count;
};

struct ini_document {
    struct ini_section *sections; /* file order; empty ones too */
    size_t section_count;
};

/* Reads the whole text; everything of the result lives in `arena`. Faults are added for unreadable
 * and malformed lines, keys outside a section, repeated sections and repeated keys of a
 * section; an empty one is no fault (its keys may be commented out). Reading goes on after each. Returns 0 even then, ERR_MEMORY only when memory is
 * exhausted. A fault means the document must not be acted on, though checking it further is useful.
 */
int ini_read(struct ini_document *out, struct arena *arena, const char *file, const char *text,
             size_t length, struct faults *faults, struct err *err);

#endif
