#include "base/err.h"

#include <stdio.h>
#include <string.h>

int err_set_va(struct err *err, int code, const char *format, va_list arguments)
{
    if (!err)
        return code;
    err->code = code;
    vsnprintf(err->message, sizeof(err->message), format, arguments);
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
