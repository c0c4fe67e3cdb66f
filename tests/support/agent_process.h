/*
 * A real ssh-agent for tests, on a socket in a folder of the test. Anything that does not work ends
 * the program with a word.
 */
#ifndef SUPPORT_AGENT_PROCESS_H
#define SUPPORT_AGENT_PROCESS_H

#include <sys/types.h>

struct agent_process {
    char socket[128];
    char folder[96];
    pid_t pid;
};

/* Returns when it answers. */
void agent_process_start(struct agent_process *agent, const char *folder);
void agent_process_add(struct agent_process *agent, const char *key);
void agent_process_add_encrypted(struct agent_process *agent, const char *key,
                                 const char *passphrase);
void agent_process_stop(struct agent_process *agent);

#endif
