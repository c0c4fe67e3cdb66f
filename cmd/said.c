#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "app/show.h"
#include "print.h"
#include "run.h"

#define SAID_MAX ((size_t)64 << 10)

void run_say(const struct run *run, const char *format, ...)
{
    struct strbuf text;
    va_list arguments;
    strbuf_init(&text, SAID_MAX);
    va_start(arguments, format);
    strbuf_addf_va(&text, format, arguments);
    va_end(arguments);
    if (run->options->json)
        print_json_line(json_line("{s:i, s:s, s:s, s:s}", "v", 1, "event", "said", "service", run->inputs.playbook.service.name,
                                  "text", text.text));
    else
        show_line(stdout, text.text, false);
    strbuf_release(&text);
}
