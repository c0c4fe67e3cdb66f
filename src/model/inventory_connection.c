#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "model/inventory_build.h"
#include "model/words.h"

#define FINGERPRINT_LENGTH 43 /* 32 bytes in base64 without padding */
#define WEIGHT_DEFAULT 100
#define WEIGHT_MAX 256 /* HAProxy's */
#define NAMES_OF_ONE_MAX 4

struct resolve {
    struct inventory_build *build;
    struct node *node;
};

/* One fault for a group's variable, however many nodes inherit it. */
__attribute__((format(printf, 3, 4))) static void
refuse(const struct resolve *resolve, const struct variable *variable, const char *format, ...)
{
    char message[512];
    struct faults *faults = resolve->build->faults;
    va_list arguments;
    int used = snprintf(message, sizeof(message), "%.100s: ", variable->name);
    va_start(arguments, format);
    vsnprintf(message + used, sizeof(message) - (size_t)used, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < faults->count; i++)
        if (faults->items[i].line == variable->line &&
            strcmp(faults->items[i].message, message) == 0)
            return;
    faults_add(faults, resolve->build->inventory->file, variable->line, "%s", message);
}

/* The first name that is set, ours before Ansible's; NULL when none is or its value cannot be used
 * at all. */
static const struct variable *first_of(const struct resolve *resolve,
                                       const char *const names[NAMES_OF_ONE_MAX])
{
    for (size_t i = 0; i < NAMES_OF_ONE_MAX && names[i]; i++) {
        const struct variable *variable = node_find_variable(resolve->node, names[i]);
        if (!variable)
            continue;
        if (strstr(variable->value, "{{")) {
            refuse(resolve, variable,
                   "'%.100s': Jinja expressions are not evaluated; write the "
                   "value itself",
                   variable->value);
            return NULL;
        }
        if (!*variable->value) {
            refuse(resolve, variable, "the value is empty; give it one or remove it");
            return NULL;
        }
        return variable;
    }
    return NULL;
}

/* A word that can stand as an argument or a name: no blanks, no option. */
static const char *plain_word(const struct resolve *resolve, const struct variable *variable,
                              const char *fallback)
{
    if (!variable)
        return fallback;
    if (*variable->value == '-' || strpbrk(variable->value, " \t,;'\"`$\\")) {
        refuse(resolve, variable, "'%.100s' has blanks, quotes or a '-' in front", variable->value);
        return fallback;
    }
    return variable->value;
}

static uint64_t whole_of(const struct resolve *resolve, const struct variable *variable,
                         uint64_t minimum, uint64_t maximum, uint64_t fallback)
{
    struct err err;
    uint64_t value = fallback;
    if (variable && whole_parse(&value, variable->value, minimum, maximum, &err) < 0) {
        refuse(resolve, variable, "%s", err.message);
        return fallback;
    }
    return value;
}

static bool yes_or_no(const struct resolve *resolve, const struct variable *variable)
{
    static const char *const words[] = {"yes", "true", "on", "1", "no", "false", "off", "0"};
    for (size_t i = 0; variable && i < 8; i++)
        if (strcasecmp(variable->value, words[i]) == 0)
            return i < 4;
    if (variable)
        refuse(resolve, variable, "'%.100s' is neither yes nor no", variable->value);
    return false;
}

/* `[user@]host[:port]`; NULL when it is `none`, or malformed, which is told. */
static const char *check_jump(const struct resolve *resolve, const struct variable *variable,
                              const char *jump)
{
    if (strcasecmp(jump, "none") == 0)
        return NULL;
    if (strchr(jump, ',')) {
        refuse(resolve, variable, "'%.100s': only one jump host is supported", jump);
        return NULL;
    }
    const char *host = strrchr(jump, '@');
    host = host ? host + 1 : jump;
    const char *colon = *host == '[' ? strchr(host, ']') : host;
    colon = colon ? strchr(colon, ':') : NULL;
    uint64_t port;
    bool bad_port = colon && whole_parse(&port, colon + 1, 1, UINT16_MAX, NULL) < 0;
    if (!*host || host == colon || *jump == '-' || *jump == '@' || bad_port ||
        strpbrk(jump, " \t;'\"`$\\/%")) {
        refuse(resolve, variable, "'%.100s' is not [user@]host[:port]", jump);
        return NULL;
    }
    return jump;
}

/* The jump host in one `-o` option's text, `Name=value` or `Name value`; NULL when it is another
 * option. */
static const char *jump_of_option(const char *option)
{
    static const char name[] = "ProxyJump";
    if (strncasecmp(option, name, sizeof(name) - 1) != 0)
        return NULL;
    option += sizeof(name) - 1;
    size_t gap = strspn(option, " \t=");
    return gap ? option + gap : NULL;
}

static void refuse_arguments(const struct resolve *resolve, const struct variable *variable,
                             const char *argument)
{
    refuse(resolve, variable,
           "'%.100s': of ssh's arguments only the jump host is supported (-J host or "
           "-o ProxyJump=host); write the rest as variables: port, user, key, host_key",
           argument);
}

/* The jump host among ssh arguments; anything else there is refused. */
static const char *jump_of_arguments(const struct resolve *resolve, const struct variable *variable)
{
    char **words;
    size_t count;
    struct err err = {0};
    const char *jump = NULL;
    int code = words_split(&words, &count, variable->value, false, resolve->build->arena, &err);
    if (code == ERR_MEMORY)
        resolve->build->out_of_memory = true;
    else if (code < 0)
        refuse(resolve, variable, "%s", err.message);
    for (size_t i = 0; code == 0 && i < count; i++) {
        const char *word = words[i];
        bool jump_flag = strncmp(word, "-J", 2) == 0, option_flag = strncmp(word, "-o", 2) == 0;
        const char *value = word + 2;
        if ((jump_flag || option_flag) && !*value && i + 1 < count)
            value = words[++i];
        const char *found = jump_flag ? value : option_flag ? jump_of_option(value) : NULL;
        if (found && *found)
            jump = check_jump(resolve, variable, found);
        else
            refuse_arguments(resolve, variable, option_flag ? value : word);
    }
    return jump;
}

static const char *resolve_jump(const struct resolve *resolve)
{
    static const char *const ours[NAMES_OF_ONE_MAX] = {"jump"};
    static const char *const arguments[] = {"ansible_ssh_common_args", "ansible_ssh_extra_args",
                                            "ansible_ssh_args"};
    const char *jump = NULL;
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
        const struct variable *variable = node_find_variable(resolve->node, arguments[i]);
        const char *found = variable ? jump_of_arguments(resolve, variable) : NULL;
        if (!jump)
            jump = found;
    }
    const struct variable *own = first_of(resolve, ours);
    return own ? check_jump(resolve, own, own->value) : jump;
}

static bool is_fingerprint(const char *text, size_t length)
{
    static const char prefix[] = "SHA256:";
    static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t size = sizeof(prefix) - 1;
    return length == size + FINGERPRINT_LENGTH && strncmp(text, prefix, size) == 0 &&
           strspn(text + size, base64) >= FINGERPRINT_LENGTH;
}

static void resolve_host_keys(const struct resolve *resolve)
{
    static const char *const names[NAMES_OF_ONE_MAX] = {"host_key"};
    struct connection *connection = &resolve->node->connection;
    const struct variable *variable = first_of(resolve, names);
    const char *at = variable ? variable->value : "";
    while (*(at += strspn(at, " \t,"))) {
        size_t length = strcspn(at, " \t,");
        if (!is_fingerprint(at, length)) {
            refuse(resolve, variable,
                   "'%.*s' is not a fingerprint; write SHA256: and 43 characters, as "
                   "ssh-keygen -lf prints it",
                   length < 100 ? (int)length : 100, at);
            return;
        }
        if (connection->host_key_count == NODE_HOST_KEYS_MAX) {
            refuse(resolve, variable, "more than %d keys", NODE_HOST_KEYS_MAX);
            return;
        }
        const char *key = arena_strndup(resolve->build->arena, at, length);
        if (!key) {
            resolve->build->out_of_memory = true;
            return;
        }
        connection->host_keys[connection->host_key_count++] = key;
        at += length;
    }
}

/* A path may have blanks; what it may not have is nothing. */
static const char *text_of(const struct variable *variable)
{
    return variable ? variable->value : NULL;
}

/* A group's variable is told once, however many nodes inherit it. */
static bool told_of(const struct faults *faults, int line)
{
    for (size_t i = 0; i < faults->count; i++)
        if (faults->items[i].line == line)
            return true;
    return false;
}

void node_tell_unread(const struct node *node, const char *file, struct faults *out)
{
    static const char no_password[] = "no password is used: log in with a key, and let sudo ask for none";
    static const struct {
        const char *name, *fine, *instead;
    } unread[] = {
        {"ansible_connection", "ssh", "every node is reached over SSH"},
        {"ansible_become_method", "sudo", "only sudo -n is used"},
        {"ansible_become_user", "root", "sudo -n becomes root"},
        {"ansible_password", NULL, no_password},
        {"ansible_ssh_pass", NULL, no_password},
        {"ansible_become_password", NULL, no_password},
        {"ansible_become_pass", NULL, no_password},
    };
    for (size_t i = 0; i < sizeof(unread) / sizeof(unread[0]); i++) {
        const struct variable *variable = node_find_variable(node, unread[i].name);
        if (variable && !(unread[i].fine && strcmp(variable->value, unread[i].fine) == 0) &&
            !told_of(out, variable->line))
            faults_add(out, file, variable->line, "%s is passed over: %s", unread[i].name, unread[i].instead);
    }
}

bool connection_resolve(struct inventory_build *build, struct node *node)
{
    static const char *const address[NAMES_OF_ONE_MAX] = {"address", "ansible_ssh_host",
                                                          "ansible_host"};
    static const char *const port[NAMES_OF_ONE_MAX] = {"port", "ansible_ssh_port", "ansible_port"};
    static const char *const user[NAMES_OF_ONE_MAX] = {"user", "ansible_ssh_user", "ansible_user"};
    static const char *const key[NAMES_OF_ONE_MAX] = {"key", "ansible_ssh_private_key_file",
                                                      "ansible_private_key_file"};
    static const char *const become[NAMES_OF_ONE_MAX] = {"become", "ansible_become"};
    static const char *const zone[NAMES_OF_ONE_MAX] = {"zone"};
    static const char *const weight[NAMES_OF_ONE_MAX] = {"weight"};
    struct resolve resolve = {.build = build, .node = node};
    struct connection *connection = &node->connection;
    connection->address = plain_word(&resolve, first_of(&resolve, address), node->name);
    connection->port = (uint16_t)whole_of(&resolve, first_of(&resolve, port), 1, UINT16_MAX, 22);
    connection->user = plain_word(&resolve, first_of(&resolve, user), NULL);
    connection->key = text_of(first_of(&resolve, key));
    connection->jump = resolve_jump(&resolve);
    connection->become = yes_or_no(&resolve, first_of(&resolve, become));
    node->zone = text_of(first_of(&resolve, zone));
    node->weight =
        (uint32_t)whole_of(&resolve, first_of(&resolve, weight), 0, WEIGHT_MAX, WEIGHT_DEFAULT);
    resolve_host_keys(&resolve);
    return !build->out_of_memory;
}
