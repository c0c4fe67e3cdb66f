#include "node/program.h"

#include <stdio.h>
#include <string.h>

#define BOOTSTRAP                                                                                  \
    "IFS= read -r m;p=$(while IFS= read -r l;do case $l in (\"$m\")break;;esac;"                   \
    "printf \"%s\\n\" \"$l\";done);eval \"$p\""
#define RECEIVE "umask 077;IFS= read -r f;exec cat >\"$f\""

/* No `!`, backslash before a quote, or newline: csh and fish read what stands between the quotes differently there. The
 * shell's `read` never takes a byte too many from a pipe, which a shell that reads its script from stdin would. */
const char *node_bootstrap(void)
{
    return "exec sh -c '" BOOTSTRAP "'";
}

void node_boot_init(struct node_boot *boot, const char nonce[17])
{
    snprintf(boot->marker, sizeof(boot->marker), "boot-%.16s\n", nonce);
    boot->written = 0;
}

const char *node_boot_next(const struct node_boot *boot, size_t *out_length)
{
    size_t marker = strlen(boot->marker);
    const struct {
        const char *bytes;
        size_t length;
    } pieces[] = {{boot->marker, marker}, {node_program, node_program_length}, {boot->marker, marker}};
    size_t at = boot->written;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        if (at < pieces[i].length) {
            *out_length = pieces[i].length - at;
            return pieces[i].bytes + at;
        }
        at -= pieces[i].length;
    }
    *out_length = 0;
    return "";
}

const char *node_receive_command(int become)
{
    return become ? "exec sudo -n sh -c '" RECEIVE "'" : "exec sh -c '" RECEIVE "'";
}
