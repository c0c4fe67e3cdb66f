#include <string.h>
#include <sys/stat.h>

#include "base/base64.h"
#include "discovery_internal.h"
#include "io/files.h"

#define PIECE_MAX ((size_t)60000)

/* The bytes, how many they are, and their digest: last, since of a longer output the end is kept. */
static const char read_script[] = "f=$DEPLOYCTL_FILE; "
                                  "[ -e \"$f\" ] || { [ -d \"${f%/*}/\" ] || exit 66; echo absent; exit 0; }; "
                                  "base64 <\"$f\" && wc -c <\"$f\" && sha256sum <\"$f\"";
/* Beside it, synced, and renamed when the file is still the one that was read. */
static const char write_script[] =
    "f=$(readlink -f -- \"$DEPLOYCTL_FILE\" 2>/dev/null) || f=$DEPLOYCTL_FILE; "
    "n=$f.deployctl.$DEPLOYCTL_TAG; "
    "if [ \"$DEPLOYCTL_FIRST\" = yes ]; then "
    "find \"${f%/*}/\" -maxdepth 1 -name \"${f##*/}.deployctl.*\" -mmin +60 -exec rm -f -- {} + 2>/dev/null; "
    "umask 022; "
    "{ [ ! -e \"$f\" ] || cp -p -- \"$f\" \"$n\"; } && : >\"$n\" || exit 1; "
    "fi; "
    "printf %s \"$DEPLOYCTL_BYTES\" | base64 -d >>\"$n\" || { rm -f -- \"$n\"; exit 1; }; "
    "[ \"$DEPLOYCTL_LAST\" = yes ] || exit 0; "
    "sync \"$n\" 2>/dev/null || sync; "
    "is=-; [ ! -e \"$f\" ] || { is=$(sha256sum <\"$f\"); is=${is%% *}; }; "
    "[ \"$is\" = \"$DEPLOYCTL_WAS\" ] || { rm -f -- \"$n\"; exit 75; }; "
    "mv -f -- \"$n\" \"$f\" || { rm -f -- \"$n\"; exit 1; }; "
    "sync \"${f%/*}/\" 2>/dev/null || :";

static const char *service_of(const struct place *place)
{
    return place->discoveries->fleet->playbook->service.name;
}

static int parse(struct place *place, const char *text, size_t length, struct err *err)
{
    announced_release(&place->said);
    int rc = (place->discovery->kind == DISCOVERY_FILE_SD ? file_sd_parse : hosts_parse)(&place->said, text, length,
                                                                                         service_of(place), err);
    if (rc < 0)
        err_prefix(err, "%s", place->discovery->file);
    return rc;
}

static void read_ended(struct place *place, const char *text, size_t length)
{
    struct err err;
    if (parse(place, text, length, &err) < 0)
        place_was_read(place, &err);
    else
        place_was_read(place, NULL);
}

/* --- on the runner --- */

static void read_here(struct place *place)
{
    struct err err;
    strbuf_reset(&place->content);
    int rc = file_read(&place->content, place->discovery->file, &err);
    if (rc < 0 && rc != ERR_NOT_FOUND) {
        place_was_read(place, &err);
        return;
    }
    read_ended(place, place->content.text, place->content.length);
}

static void write_here(struct place *place)
{
    struct err err;
    struct stat status;
    const char *file = place->discovery->file;
    unsigned mode = stat(file, &status) == 0 ? status.st_mode & 07777 : 0644;
    int rc = file_write(file, place->content.text, place->content.length, mode, &err);
    place_was_written(place, rc < 0 ? &err : NULL);
}

/* --- on a node --- */

static void submit(struct place *place, const char *script, reply_fn *fn)
{
    struct err err;
    struct session *session = place->session;
    int64_t timeout_ms = place->discovery->etcd.timeout_ms;
    session_add(session, "command", script);
    session_addu(session, "timeout_ms", (uint64_t)timeout_ms);
    session_env(session, "DEPLOYCTL_FILE", place->discovery->file);
    place->request = session_submit(session, timeout_ms + 1000, fn, place, &err);
    if (place->request)
        return;
    if (place->stage == PLACE_WRITE)
        place_was_written(place, &err);
    else
        place_was_read(place, &err);
}

static int reply_error(const struct place *place, const struct reply *reply, struct err *err)
{
    const char *status = reply->error ? NULL : reply_get(reply, "status");
    if (reply->error) {
        *err = *reply->error;
        return err->code;
    }
    if (reply->status == REPLY_OK)
        return 0;
    if (reply->status == REPLY_TIMEOUT)
        return err_set(err, ERR_TIMEOUT, "%s: %s", place->discovery->file, reply->sentence);
    if (status && strcmp(status, "66") == 0)
        return err_set(err, ERR_REFUSED, "%s: its folder does not exist there", place->discovery->file);
    if (status && strcmp(status, "75") == 0)
        return err_set(err, ERR_CANCELLED, "%s: something else wrote it at the same moment", place->discovery->file);
    size_t length = strcspn(reply->output, "\n");
    return err_set(err, ERR_FAILED, "%s: %s%s%.*s", place->discovery->file, reply->sentence, length ? ": " : "",
                   length < 400 ? (int)length : 400, reply->output);
}

static void was_read(void *context, const struct reply *reply)
{
    struct place *place = context;
    struct err err;
    place->request = 0;
    strbuf_reset(&place->content);
    int rc = reply_error(place, reply, &err);
    if (rc == 0)
        rc = file_reply_parse(&place->content, place->digest, reply->output, place->discovery->file, &err);
    if (rc < 0)
        place_was_read(place, &err);
    else
        read_ended(place, place->content.text, place->content.length);
}

static void connected(void *context, const struct err *error)
{
    struct place *place = context;
    if (error) {
        place_was_read(place, error);
        return;
    }
    session_begin(place->session, "exec");
    submit(place, read_script, was_read);
}

static void send_piece(struct place *place);

static void piece_sent(void *context, const struct reply *reply)
{
    struct place *place = context;
    struct err err;
    place->request = 0;
    if (reply_error(place, reply, &err) < 0)
        place_was_written(place, &err);
    else if (place->sent < place->content.length)
        send_piece(place);
    else
        place_was_written(place, NULL);
}

static void send_piece(struct place *place)
{
    struct strbuf coded;
    struct session *session = place->session;
    if (!place_may_write(place))
        return;
    size_t left = place->content.length - place->sent;
    size_t size = left < PIECE_MAX ? left : PIECE_MAX;
    strbuf_init(&coded, PIECE_MAX * 2);
    base64_encode(&coded, place->content.text + place->sent, size);
    session_begin(session, "exec");
    session_env(session, "DEPLOYCTL_TAG", place->tag);
    session_env(session, "DEPLOYCTL_WAS", place->digest);
    session_env(session, "DEPLOYCTL_FIRST", place->sent == 0 ? "yes" : "no");
    place->sent += size;
    session_env(session, "DEPLOYCTL_LAST", place->sent == place->content.length ? "yes" : "no");
    session_env(session, "DEPLOYCTL_BYTES", coded.text);
    strbuf_release(&coded);
    submit(place, write_script, piece_sent);
}

/* --- the type --- */

static void file_read_place(struct place *place)
{
    if (place->session)
        session_connect(place->session, place->discovery->etcd.timeout_ms, connected, place);
    else
        read_here(place);
}

static void file_write_place(struct place *place)
{
    struct err err;
    if (place_apply(place) < 0) {
        err_set(&err, ERR_MEMORY, "out of memory");
        place_was_written(place, &err);
        return;
    }
    strbuf_reset(&place->content);
    (place->discovery->kind == DISCOVERY_FILE_SD ? file_sd_write : hosts_write)(&place->content, &place->said,
                                                                                service_of(place));
    if (place->content.overflowed || (place->session && place->content.length > DISCOVERY_FILE_MAX)) {
        err_set(&err, ERR_UNSUPPORTED, "%s would be larger than %zu KiB", place->discovery->file, DISCOVERY_FILE_MAX >> 10);
        place_was_written(place, &err);
        return;
    }
    place->sent = 0;
    if (place->session)
        send_piece(place);
    else
        write_here(place);
}

static void file_stop(struct place *place)
{
    if (place->session && place->request)
        session_forget(place->session, place->request);
    place->request = 0;
}

const struct discovery_type discovery_file_type = {file_read_place, file_write_place, file_stop};
