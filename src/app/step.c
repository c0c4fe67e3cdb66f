#include "app/step.h"

struct step_result step_from_error(const struct err *error)
{
    struct step_result result = {.sentence = error->message, .output = ""};
    switch (error->code) {
    /* Asking again with the same key, or against the same host key, only makes the node's sshd
     * suspicious. */
    case ERR_AUTH:
    case ERR_HOST_KEY:
        result.hopeless = true;
        result.status = DONE_UNREACHABLE;
        break;
    case ERR_UNREACHABLE:
    case ERR_TIMEOUT:
    case ERR_PROTOCOL:
        result.status = DONE_UNREACHABLE;
        break;
    case ERR_REFUSED:
        result.status = DONE_REFUSED;
        break;
    case ERR_CANCELLED:
        result.status = DONE_CANCELLED;
        break;
    default:
        result.status = DONE_FAILED;
        break;
    }
    return result;
}

struct step_result step_from_reply(const struct reply *reply)
{
    static const enum done_status meanings[] = {
        [REPLY_OK] = DONE_OK,
        [REPLY_FAILED] = DONE_FAILED,
        [REPLY_REFUSED] = DONE_REFUSED,
        [REPLY_TIMEOUT] = DONE_TIMED_OUT,
        [REPLY_CANCELLED] = DONE_CANCELLED,
    };
    if (reply->error)
        return step_from_error(reply->error);
    return (struct step_result){.status = meanings[reply->status],
                                .sentence = reply->status == REPLY_OK ? "" : reply->sentence,
                                .output = reply->output};
}
