#include "base/err.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* One sentence in one line, and no character cut in two. */
static void tidy(char message[ERR_MESSAGE_MAX], bool was_cut)
{
    size_t length = strlen(message), last = length;
    uint32_t code;
    while (was_cut && last && ((unsigned char)message[last - 1] & 0xc0) == 0x80)
        last--;
    if (was_cut && last && (unsigned char)message[last - 1] >= 0xc0 &&
        !text_utf8_decode(message + last - 1, length - last + 1, &code))
        message[last - 1] = '\0';
    for (char *at = message; *at; at++)
        if (*at == '\n' || *at == '\r')
            *at = ' ';
}

int err_set_va(struct err *err, int code, const char *format, va_list arguments)
{
    if (!err)
        return code;
    err->code = code;
    int length = vsnprintf(err->message, sizeof(err->message), format, arguments);
    tidy(err->message, length >= (int)sizeof(err->message));
    return code;
}

int err_set(struct err *err, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    err_set_va(err, code, format, arguments);
    va_end(arguments);
    return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
    if (!err)
        return ERR_FAILED;
    char joined[ERR_MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int used = vsnprintf(joined, sizeof(joined), format, arguments);
    va_end(arguments);
    if (used < 0)
        used = 0;
    size_t at = (size_t)used < sizeof(joined) ? (size_t)used : sizeof(joined) - 1;
    const char *parts[] = {": ", err->message};
    for (size_t part = 0; part < 2; part++)
        for (const char *from = parts[part]; *from && at + 1 < sizeof(joined); from++)
            joined[at++] = *from;
    joined[at] = '\0';
    tidy(joined, at + 1 == sizeof(joined));
    at = strlen(joined);
    memcpy(err->message, joined, at + 1);
    return err->code;
}

void err_clear(struct err *err)
{
    if (!err)
        return;
    err->code = 0;
    err->message[0] = '\0';
}

const char *err_name(int code)
{
    static const char *const names[] = {
        "ok",
        "out of memory",
        "bad input",
        "not found",
        "input or output failed",
        "unreachable",
        "authentication failed",
        "host key refused",
        "timed out",
        "cancelled",
        "protocol error",
        "failed",
        "refused",
        "unsupported",
        "no lease",
    };
    int count = sizeof(names) / sizeof(names[0]);
    if (code > 0 || code <= -count)
        return "unknown error";
    return names[-code];
}
