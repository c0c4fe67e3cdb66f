#include "playbook_check_etcd.h"

#include <string.h>

/* A URL whose host is this machine itself. */
static bool is_local(const char *url)
{
    static const char *const hosts[] = {"127.0.0.1", "localhost", "[::1]"};
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        size_t length = strlen(hosts[i]);
        if (strncmp(url + 7, hosts[i], length) == 0 && (!url[7 + length] || url[7 + length] == ':'))
            return true;
    }
    return false;
}

#define TELL(key, ...)                                                                             \
    faults_add(faults, playbook->file, playbook_line(playbook, section, key), __VA_ARGS__)

static void check_password(const struct playbook *playbook, const char *section, const struct etcd_access *access,
                           struct faults *faults)
{
    if (access->user && !access->password_env && !access->password_file)
        TELL("user", "key 'user' in [%s] needs 'password_env' or 'password_file'", section);
    if (access->password_env && access->password_file)
        TELL("password_file", "'password_env' and 'password_file' in [%s] exclude each other; keep one", section);
    if (!access->user && (access->password_env || access->password_file))
        TELL(access->password_env ? "password_env" : "password_file",
             "a password in [%s] has a meaning with 'user' only; add it or remove this", section);
    for (size_t i = 0; access->user && i < access->urls.count; i++)
        if (strncmp(access->urls.items[i], "http://", 7) == 0 && !is_local(access->urls.items[i]))
            TELL("etcd", "key 'etcd' in [%s]: a password goes to %s over https:// only", section,
                 access->urls.items[i]);
}

void playbook_check_etcd(const struct playbook *playbook, const char *section, const struct etcd_access *access,
                         struct faults *faults)
{
    static const char *const only[] = {"user", "password_env", "password_file", "ca", "cert", "key", "timeout"};
    check_password(playbook, section, access, faults);
    if (access->certificate && !access->key)
        TELL("cert", "key 'cert' in [%s] needs 'key' too", section);
    if (access->key && !access->certificate)
        TELL("key", "key 'key' in [%s] needs 'cert' too", section);
    if (!access->urls.count)
        for (size_t i = 0; i < sizeof(only) / sizeof(only[0]); i++)
            if (playbook_has(playbook, section, only[i]) && !playbook_has(playbook, section, "etcd"))
                TELL(only[i], "key '%s' in [%s] has a meaning with 'etcd' only; add it or remove this", only[i],
                     section);
}
