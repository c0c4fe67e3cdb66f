/*
 * The node's program: src/node/node.sh as bytes inside the binary, and the constant command that starts it.
 *
 * Nothing of an inventory or playbook ever becomes part of a command line: values travel as framed requests (node/frames.h).
 */
#ifndef NODE_PROGRAM_H
#define NODE_PROGRAM_H

#include <stddef.h>

#define NODE_PROTOCOL 1

extern const char node_program[]; /* NUL-terminated */
extern const size_t node_program_length, node_program_lines;

/* The command line for the long-lived channel: a POSIX shell that reads, from its stdin, a marker line, the number of the program's lines and the
 * program, and then runs it. Nothing may be written after those before the ready line came: `head` may take more than it was asked for. Works
 * whatever the login shell (sh, bash, dash, ash, zsh, fish, csh). Static. */
const char *node_bootstrap(void);
/* What is to be written first: marker, number of lines, program. `nonce`: 16 hex digits that also stand in the ready line, so that the noise of a
 * start-up file cannot be taken for it. */
struct node_boot {
    char head[48];
    size_t written; /* the caller's: how much of it is on its way */
};
void node_boot_init(struct node_boot *boot, const char nonce[17]);
/* The piece that is next, borrowed from `boot` and the program; length 0 when all is written. */
const char *node_boot_next(const struct node_boot *boot, size_t *out_length);

/* The command line for the data channel: reads one line, a path that the node's program named, then copies stdin to that file until EOF.
 * `become`: through sudo -n. Static. */
const char *node_receive_command(int become);

#endif
