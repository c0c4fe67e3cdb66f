/* Any bytes as an archive: a release within its bound that can be packed, or a refusal that says why. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/package.h"

#define BYTES_MAX ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No line of a manifest names what lies outside of the release, or deployctl's own file. */
static void check_manifest(const struct package *package)
{
    size_t length;
    const char *manifest = package_manifest(package, &length);
    assert(length > 0 && manifest[length - 1] == '\n' && strlen(manifest) == length);
    assert(!strstr(manifest, "/../") && !strstr(manifest, " ../") && !strstr(manifest, "//"));
    assert(!strstr(manifest, " .deployctl-manifest\n"));
}

static void check_release(struct package *package)
{
    struct package_bytes bytes;
    struct err err = {0};
    assert(strlen(package_release(package)) == RELEASE_ID_LENGTH);
    check_manifest(package);
    assert(package_unpacked_bytes(package) <= BYTES_MAX + 4096 * package_entries(package));
    assert(package_pack(package, COMPRESSION_GZIP, &bytes, &err) == 0);
    assert(bytes.length > 0 && bytes.tar_length % 512 == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct package *package;
    struct err err = {0};
    int file = memfd_create("archive", MFD_CLOEXEC);
    assert(file >= 0);
    setenv("TMPDIR", "/dev/shm", 1);
    if (write(file, data, size) == (ssize_t)size) {
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
        int rc = package_from_archive(&package, path, BYTES_MAX, &err);
        assert(rc == 0 ? package != NULL : package == NULL && err.message[0]);
        if (rc == 0)
            check_release(package);
        package_free(package);
    }
    close(file);
    return 0;
}
