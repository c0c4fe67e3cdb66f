#include <archive.h>
#include <curl/curl.h>
#include <git2.h>
#include <jansson.h>
#include <libssh2.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "command.h"
#include "print.h"

#define LIBRARIES 7
struct library {
    const char *name, *version;
};

/* What is loaded now, which may differ from what the program was built with. */
static void loaded_libraries(struct library out[LIBRARIES], char git_version[32])
{
    int major = 0, minor = 0, revision = 0;
    git_libgit2_version(&major, &minor, &revision);
    snprintf(git_version, 32, "%d.%d.%d", major, minor, revision);
    const struct library libraries[LIBRARIES] = {
        {"libssh2", libssh2_version(0)},
        {"libgit2", git_version},
        {"libuv", uv_version_string()},
        {"libcurl", curl_version_info(CURLVERSION_NOW)->version},
        {"jansson", jansson_version_str()},
        {"libarchive", strchr(archive_version_string(), ' ') + 1},
        {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)},
    };
    for (size_t i = 0; i < LIBRARIES; i++)
        out[i] = libraries[i];
}

static int print_json(const struct library *libraries)
{
    json_t *versions = json_object();
    for (size_t i = 0; i < LIBRARIES; i++)
        json_object_set_new(versions, libraries[i].name, json_text(libraries[i].version));
    json_t *line = json_line("{s:i, s:s, s:s, s:o}", "v", 1, "event", "version", "version",
                             DEPLOYCTL_VERSION, "libraries", versions);
    int status = print_json_value(line, JSON_COMPACT);
    return report_printed(status ? EXIT_REFUSED : EXIT_DONE);
}

int verb_version(const struct options *options)
{
    struct library libraries[LIBRARIES];
    char git_version[32];
    loaded_libraries(libraries, git_version);
    if (options->json)
        return print_json(libraries);
    print_out("deployctl %s\n", DEPLOYCTL_VERSION);
    for (size_t i = 0; i < LIBRARIES; i++)
        print_out("  %-12s%s\n", libraries[i].name, libraries[i].version);
    return report_printed(EXIT_DONE);
}
