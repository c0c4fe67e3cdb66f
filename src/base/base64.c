#include "base/base64.h"

#include <stdint.h>

void base64_encode(struct strbuf *out, const void *bytes, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *from = bytes;
    for (size_t i = 0; i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits = (uint32_t)from[i] << 16;
        if (left > 1)
            bits |= (uint32_t)from[i + 1] << 8;
        if (left > 2)
            bits |= from[i + 2];
        strbuf_addc(out, digits[bits >> 18]);
        strbuf_addc(out, digits[bits >> 12 & 63]);
        strbuf_addc(out, left > 1 ? digits[bits >> 6 & 63] : '=');
        strbuf_addc(out, left > 2 ? digits[bits & 63] : '=');
    }
}

static int base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_decode(struct strbuf *out, const char *text, size_t length)
{
    uint32_t bits = 0;
    size_t digits = 0;
    for (size_t padding = 0; padding < 2 && length > 0 && text[length - 1] == '='; padding++) {
        length--;
    }
    if (length % 4 == 1) {
        return -1;
    }
    for (; digits < length; digits++) {
        int value = base64_value((unsigned char)text[digits]);
        if (value < 0) {
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        switch (digits % 4) {
        case 1:
            strbuf_addc(out, (char)(bits >> 4));
            break;
        case 2:
            strbuf_addc(out, (char)(bits >> 2));
            break;
        case 3:
            strbuf_addc(out, (char)bits);
            break;
        default:
            break;
        }
    }
    return out->overflowed ? -1 : 0;
}
