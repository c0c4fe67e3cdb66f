/* Prints an inventory file as `ansible-inventory --list` does; for inventory_reference.sh. */
#include <stdio.h>
#include <stdlib.h>

#include "base/strbuf.h"
#include "model/inventory_json.h"

static void read_all(FILE *file, struct strbuf *text)
{
    char bytes[4096];
    size_t count;
    while ((count = fread(bytes, 1, sizeof(bytes), file)))
        strbuf_add(text, bytes, count);
}

int main(int argc, char **argv)
{
    struct arena arena;
    struct faults faults;
    struct inventory inventory;
    struct strbuf text;
    struct err err = {0};
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return 64;
    strbuf_init(&text, 1u << 24);
    read_all(file, &text);
    fclose(file);
    arena_init(&arena);
    faults_init(&faults, &arena);
    int code = inventory_parse(&inventory, argv[1], text.text, text.length, &faults, &err);
    for (size_t i = 0; i < faults.count; i++)
        fprintf(stderr, "%s:%d: %s\n", faults.items[i].file, faults.items[i].line,
                faults.items[i].message);
    if (code == 0) {
        json_t *json = inventory_json(&inventory);
        json_dumpf(json, stdout, JSON_INDENT(4) | JSON_SORT_KEYS);
        putchar('\n');
        json_decref(json);
    }
    inventory_release(&inventory);
    arena_release(&arena);
    strbuf_release(&text);
    return code ? 65 : 0;
}
