#include "node/program.h"

#include <stdio.h>
#include <string.h>

#define BOOTSTRAP                                                                                                                  \
    "IFS= read -r m;IFS= read -r n;p=$(head -n \"$n\" 2>/dev/null||"                                                               \
    "while [ \"$n\" -gt 0 ];do IFS= read -r l;printf \"%s\\n\" \"$l\";n=$((n-1));done);eval \"$p\""
#define RECEIVE "umask 077;IFS= read -r f;exec cat >\"$f\""

/* No `!`, backslash before a quote, or newline: csh and fish read what stands between the quotes differently there. The shell's `read` takes
 * byte after byte from a pipe, which for a whole program costs the node ten times what running it does; it is for who has no `head`, and is then
 * told what is missing. */
const char *node_bootstrap(void)
{
    return "exec sh -c '" BOOTSTRAP "'";
}

void node_boot_init(struct node_boot *boot, const char nonce[17])
{
    snprintf(boot->head, sizeof(boot->head), "boot-%.16s\n%zu\n", nonce, node_program_lines);
    boot->written = 0;
}

const char *node_boot_next(const struct node_boot *boot, size_t *out_length)
{
    size_t head = strlen(boot->head);
    if (boot->written < head) {
        *out_length = head - boot->written;
        return boot->head + boot->written;
    }
    *out_length = head + node_program_length - boot->written;
    return node_program + (boot->written - head);
}

const char *node_receive_command(int become)
{
    return become ? "exec sudo -n sh -c '" RECEIVE "'" : "exec sh -c '" RECEIVE "'";
}
