#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "print.h"

static enum exit_code exit_code_of(int error)
{
    switch (error) {
    case ERR_INPUT:
    case ERR_NOT_FOUND:
        return EXIT_BAD_INPUT;
    case ERR_UNREACHABLE:
    case ERR_AUTH:
    case ERR_HOST_KEY:
    case ERR_TIMEOUT:
        return EXIT_UNREACHABLE;
    case ERR_CANCELLED:
        return EXIT_INTERRUPTED;
    default:
        return EXIT_REFUSED;
    }
}

int report_error(const struct err *err)
{
    print_err("deployctl: %s\n", err->message);
    return exit_code_of(err->code);
}

bool report_cut_off(void)
{
    bool failed = fflush(stdout) != 0;
    if ((!failed && !ferror(stdout)) || (failed && errno == EPIPE))
        return false;
    print_err("deployctl: cannot write the result: %s\n", failed ? strerror(errno) : "a part of it is lost");
    return true;
}

int report_printed(int code)
{
    return report_cut_off() && code == EXIT_DONE ? EXIT_REFUSED : code;
}
