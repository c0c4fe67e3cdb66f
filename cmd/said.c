#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "run.h"

void run_say(const struct run *run, const char *format, ...)
{
    char text[ERR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!run->options->json) {
        puts(text);
        return;
    }
    json_t *line = json_pack("{s:i, s:s, s:s, s:s}", "v", 1, "event", "said", "service",
                             run->inputs.playbook.service.name, "text", text);
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}
