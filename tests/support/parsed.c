#include "parsed.h"

static void begin(struct parsed *parsed)
{
    *parsed = (struct parsed){0};
    arena_init(&parsed->arena);
    faults_init(&parsed->faults, &parsed->arena);
}

static void tell(struct parsed *parsed)
{
    char *told = arena_strdup(&parsed->arena, "");
    for (size_t i = 0; i < parsed->faults.count; i++) {
        const struct fault *fault = &parsed->faults.items[i];
        told = arena_printf(&parsed->arena, "%s%s:%d: %s\n", told, fault->file, fault->line,
                            fault->message);
    }
    parsed->told = told;
}

void parsed_inventory(struct parsed *parsed, const char *text, size_t length)
{
    begin(parsed);
    parsed->code = inventory_parse(&parsed->inventory, "inventory.ini", text, length,
                                   &parsed->faults, &parsed->err);
    tell(parsed);
}

void parsed_playbook(struct parsed *parsed, const char *text, size_t length,
                     const struct playbook_override *overrides, size_t override_count,
                     const struct inventory *inventory)
{
    begin(parsed);
    parsed->code = playbook_parse(&parsed->playbook, "shop.ini", text, length, overrides,
                                  override_count, inventory, &parsed->faults, &parsed->err);
    tell(parsed);
}

void parsed_release(struct parsed *parsed)
{
    if (parsed->inventory.file)
        inventory_release(&parsed->inventory);
    if (parsed->playbook.file)
        playbook_release(&parsed->playbook);
    arena_release(&parsed->arena);
}
