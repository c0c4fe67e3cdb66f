#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ssh_internal.h"

void target_free(struct target *target)
{
    if (target == NULL) {
        return;
    }
    target_free(target->jump);
    for (size_t i = 0; target->host_keys != NULL && i < target->host_key_count; i++) {
        free(target->host_keys[i]);
    }
    free(target->host_keys);
    free(target->name);
    free(target->address);
    free(target->user);
    free(target->key);
    free(target);
}

/* As ssh(1): the account, whatever $USER says. */
static char *login_name(void)
{
    struct passwd entry;
    struct passwd *found = NULL;
    char buffer[4096];
    if (getpwuid_r(getuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found != NULL) {
        return strdup(found->pw_name);
    }
    const char *user = getenv("USER");
    return strdup(user != NULL && *user != '\0' ? user : "root");
}

static int copy_host_keys(struct target *to, const struct ssh_target *from)
{
    to->host_keys = calloc(from->host_key_count + 1, sizeof(*to->host_keys));
    if (to->host_keys == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < from->host_key_count; i++) {
        to->host_keys[i] = strdup(from->host_keys[i]);
        to->host_key_count = i + 1;
        if (to->host_keys[i] == NULL) {
            return ERR_MEMORY;
        }
    }
    return 0;
}

struct target *target_copy(const struct ssh_target *from)
{
    struct target *to = calloc(1, sizeof(*to));
    if (to == NULL) {
        return NULL;
    }
    to->port = from->port != 0 ? from->port : 22;
    to->name = strdup(from->name != NULL ? from->name : from->address);
    to->address = strdup(from->address);
    to->user = from->user != NULL && *from->user != '\0' ? strdup(from->user) : login_name();
    to->key = from->key != NULL && *from->key != '\0' ? strdup(from->key) : NULL;
    bool want_key = from->key != NULL && *from->key != '\0';
    if (to->name == NULL || to->address == NULL || to->user == NULL ||
        (want_key && to->key == NULL) || copy_host_keys(to, from) != 0) {
        target_free(to);
        return NULL;
    }
    if (from->jump != NULL && (to->jump = target_copy(from->jump)) == NULL) {
        target_free(to);
        return NULL;
    }
    bool is_v6 = strchr(to->address, ':') != NULL;
    snprintf(to->label, sizeof(to->label), "%s@%s%s%s:%u", to->user, is_v6 ? "[" : "", to->address,
             is_v6 ? "]" : "", to->port);
    return to;
}
