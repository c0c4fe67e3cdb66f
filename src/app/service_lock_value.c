#include "service_lock_value.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"

#define VALUE_MAX 4096

static void copy_safe(char *out, size_t size, const char *text)
{
    struct strbuf safe;
    strbuf_init(&safe, 4 * VALUE_MAX);
    text_sanitize(&safe, text ? text : "unknown", strlen(text ? text : "unknown"), false);
    snprintf(out, size, "%.*s", (int)text_cut(safe.text, size - 1), safe.text);
    strbuf_release(&safe);
}

void service_lock_value_read(struct service_lock_view *out, char token[SERVICE_LOCK_TOKEN], const json_t *kv)
{
    struct strbuf text;
    strbuf_init(&text, VALUE_MAX);
    etcd_string(&text, kv, "value");
    json_t *value = json_loadb(text.text, text.length, 0, NULL);
    out->held = true;
    out->generation = (uint64_t)etcd_number(kv, "create_revision");
    out->lease = etcd_number(kv, "lease");
    copy_safe(out->holder, sizeof(out->holder), json_string_value(json_object_get(value, "holder")));
    copy_safe(out->rollout, sizeof(out->rollout), json_string_value(json_object_get(value, "rollout")));
    copy_safe(token, SERVICE_LOCK_TOKEN, json_string_value(json_object_get(value, "token")));
    json_decref(value);
    strbuf_release(&text);
}

uint64_t service_lock_counter_read(const json_t *kv)
{
    struct strbuf text;
    uint64_t counted = 0;
    strbuf_init(&text, 32);
    bool sound = etcd_string(&text, kv, "value") == 0 && whole_parse(&counted, text.text, 0, INT64_MAX - 1, NULL) == 0;
    strbuf_release(&text);
    return sound ? counted : 0;
}
