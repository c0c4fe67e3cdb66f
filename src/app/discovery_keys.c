#include <stdlib.h>
#include <string.h>

#include "discovery_internal.h"

#define KEY_MAX ((size_t)4096)
#define VALUE_MAX ((size_t)64 << 10)

/* One more, unless `key` is not below `prefix`. */
static int take_key(struct announced *out, const json_t *kv, const char *prefix, struct strbuf *key, struct strbuf *value)
{
    size_t length = strlen(prefix);
    strbuf_reset(key);
    strbuf_reset(value);
    if (etcd_string(key, kv, "key") < 0 || key->length <= length || memcmp(key->text, prefix, length) != 0)
        return 0;
    if (etcd_string(value, kv, "value") < 0)
        strbuf_reset(value);
    if (announced_append(out, key->text + length, value->text) < 0)
        return -1;
    out->items[out->count - 1].lease = etcd_number(kv, "lease");
    return 0;
}

int etcd_keys_parse(struct announced *out, const json_t *answer, const char *prefix, struct err *err)
{
    const json_t *list = json_object_get(answer, "kvs");
    struct strbuf key, value;
    json_t *kv;
    size_t index;
    int rc = 0;
    if (json_array_size(list) > ETCD_KEYS_MAX)
        return err_set(err, ERR_PROTOCOL, "etcd has more than %d keys below %s", ETCD_KEYS_MAX, prefix);
    strbuf_init(&key, KEY_MAX);
    strbuf_init(&value, VALUE_MAX);
    json_array_foreach(list, index, kv)
        rc = rc ? rc : take_key(out, kv, prefix, &key, &value);
    strbuf_release(&key);
    strbuf_release(&value);
    return rc ? err_set(err, ERR_MEMORY, "out of memory") : 0;
}

bool etcd_value_is_of(const char *text, const char *service, const char *node)
{
    json_t *value = json_loads(text, 0, NULL);
    const char *its_node = json_string_value(json_object_get(value, "node"));
    const char *its_service = json_string_value(json_object_get(value, "service"));
    bool same = its_node && its_service && strcmp(its_node, node) == 0 && strcmp(its_service, service) == 0;
    json_decref(value);
    return same;
}
