#include "fuzz_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        abort();
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

void fuzz_check_safe(const char *text)
{
    for (const char *at = text; *at;) {
        uint32_t code;
        size_t width = text_utf8_decode(at, strlen(at), &code);
        if (!width || (code != '\t' && text_is_deceptive(code))) {
            fprintf(stderr, "not safe to show, at byte %td: %s\n", at - text, text);
            abort();
        }
        at += width;
    }
}
