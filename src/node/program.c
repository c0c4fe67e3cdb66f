#include "node/program.h"

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

void node_boot_text(struct strbuf *out, const char nonce[17])
{
    strbuf_addf(out, "boot-%.16s\n%zu\n", nonce, node_program_lines);
    strbuf_add(out, node_program, node_program_length);
}

const char *node_receive_command(int become)
{
    return become ? "exec sudo -n sh -c '" RECEIVE "'" : "exec sh -c '" RECEIVE "'";
}
