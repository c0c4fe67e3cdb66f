#include "node/program.h"

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

void node_boot_text(struct strbuf *out, const char nonce[17])
{
    strbuf_addf(out, "boot-%.16s\n", nonce);
    strbuf_add(out, node_program, node_program_length);
    strbuf_addf(out, "boot-%.16s\n", nonce);
}

const char *node_receive_command(int become)
{
    return become ? "exec sudo -n sh -c '" RECEIVE "'" : "exec sh -c '" RECEIVE "'";
}
