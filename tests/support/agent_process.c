#include "agent_process.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sshd.h"

/* `ssh-agent -D` prints its socket once it listens: that is the event to wait for. */
void agent_process_start(struct agent_process *agent, const char *folder)
{
    static unsigned number;
    int ends[2];
    char word[256] = "";
    snprintf(agent->folder, sizeof(agent->folder), "%s", folder);
    snprintf(agent->socket, sizeof(agent->socket), "%s/agent-%u", folder, number++);
    if (pipe(ends) != 0 || (agent->pid = fork()) < 0) {
        fprintf(stderr, "test support: no agent\n");
        exit(99);
    }
    if (agent->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM); /* a failed test must not leave it behind */
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execlp("ssh-agent", "ssh-agent", "-D", "-a", agent->socket, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    if (read(ends[0], word, sizeof(word) - 1) <= 0 || strstr(word, "SSH_AUTH_SOCK") == NULL) {
        fprintf(stderr, "test support: ssh-agent does not start\n");
        exit(99);
    }
    close(ends[0]);
}

void agent_process_add(struct agent_process *agent, const char *key)
{
    const char *const argv[] = {"ssh-add", "-q", key, NULL};
    setenv("SSH_AUTH_SOCK", agent->socket, 1);
    program_run(argv);
    unsetenv("SSH_AUTH_SOCK");
}

void agent_process_add_encrypted(struct agent_process *agent, const char *key,
                                 const char *passphrase)
{
    char path[160];
    char script[256];
    snprintf(path, sizeof(path), "%s/askpass", agent->folder);
    snprintf(script, sizeof(script), "#!/bin/sh\necho '%s'\n", passphrase);
    text_write(path, script);
    chmod(path, 0700);
    setenv("SSH_ASKPASS", path, 1);
    setenv("SSH_ASKPASS_REQUIRE", "force", 1);
    agent_process_add(agent, key);
    unsetenv("SSH_ASKPASS");
    unsetenv("SSH_ASKPASS_REQUIRE");
}

void agent_process_stop(struct agent_process *agent)
{
    kill(agent->pid, SIGTERM);
    waitpid(agent->pid, NULL, 0);
}
