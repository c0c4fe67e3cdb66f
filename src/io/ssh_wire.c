#include "ssh_wire.h"

#include <openssl/evp.h>

void wire_init(struct wire *wire, const void *bytes, size_t length)
{
    wire->at = bytes;
    wire->left = length;
    wire->bad = false;
}

static const unsigned char *take(struct wire *wire, size_t count)
{
    if (wire->bad || wire->left < count) {
        wire->bad = true;
        wire->left = 0;
        return NULL;
    }
    const unsigned char *taken = wire->at;
    wire->at += count;
    wire->left -= count;
    return taken;
}

uint8_t wire_byte(struct wire *wire)
{
    const unsigned char *byte = take(wire, 1);
    return byte != NULL ? *byte : 0;
}

uint32_t wire_u32(struct wire *wire)
{
    const unsigned char *b = take(wire, 4);
    if (b == NULL) {
        return 0;
    }
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

struct wire_string wire_string(struct wire *wire)
{
    struct wire_string string;
    string.length = wire_u32(wire);
    string.bytes = take(wire, string.length);
    if (string.bytes == NULL) {
        string.bytes = (const unsigned char *)"";
        string.length = 0;
    }
    return string;
}

void wire_skip(struct wire *wire, size_t count)
{
    take(wire, count);
}

bool wire_equals(struct wire_string string, const char *text)
{
    return string.length == strlen(text) && memcmp(string.bytes, text, string.length) == 0;
}

void wire_add_u32(struct strbuf *out, uint32_t value)
{
    unsigned char b[4] = {(unsigned char)(value >> 24), (unsigned char)(value >> 16),
                          (unsigned char)(value >> 8), (unsigned char)value};
    strbuf_add(out, b, sizeof(b));
}

void wire_add_string(struct strbuf *out, const void *bytes, size_t length)
{
    wire_add_u32(out, (uint32_t)length);
    strbuf_add(out, bytes, length);
}

void wire_add_mpint(struct strbuf *out, const unsigned char *bytes, size_t length)
{
    while (length > 0 && *bytes == 0) {
        bytes++;
        length--;
    }
    bool sign_byte = length > 0 && (*bytes & 0x80) != 0;
    wire_add_u32(out, (uint32_t)(length + (sign_byte ? 1 : 0)));
    if (sign_byte) {
        strbuf_addc(out, 0);
    }
    strbuf_add(out, bytes, length);
}

const char *fingerprint(char out[FINGERPRINT_SIZE], const void *blob, size_t length)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int digest_length = 0;
    memcpy(out, "SHA256:", 8);
    if (EVP_Digest(blob, length, digest, &digest_length, EVP_sha256(), NULL) == 1) {
        int encoded = EVP_EncodeBlock((unsigned char *)out + 7, digest, (int)digest_length);
        while (encoded > 0 && out[7 + encoded - 1] == '=') {
            out[7 + --encoded] = '\0';
        }
    }
    return out;
}
