/*
 * Errors: a code for the program, a sentence for the person.
 *
 * Functions that can fail return 0 or a negative ERR_* and fill the caller's `struct err`. On the way up each
 * layer may put its context in front (`node web3: connect: ...`). Never prints, never exits, never allocates.
 *
 * A sentence says what happened, where, and what to do next; lower case, no full stop.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

enum {
    ERR_MEMORY = -1,      /* an allocation failed or a stated maximum was reached */
    ERR_INPUT = -2,       /* what was given is malformed */
    ERR_NOT_FOUND = -3,   /* a named thing does not exist */
    ERR_IO = -4,          /* a file or local system call failed */
    ERR_UNREACHABLE = -5, /* a node cannot be talked to: refused, no route, silent, closed */
    ERR_AUTH = -6,        /* the node refused our credentials */
    ERR_HOST_KEY = -7,    /* the node's host key is unknown, changed or revoked */
    ERR_TIMEOUT = -8,     /* our own deadline passed */
    ERR_CANCELLED = -9,   /* ended because we asked for it */
    ERR_PROTOCOL = -10,   /* the peer said something that it must not */
    ERR_FAILED = -11,     /* the work itself was done and failed, e.g. a command's exit status */
    ERR_REFUSED = -12,    /* not allowed in this state: lock held, fencing number too old */
    ERR_UNSUPPORTED = -13, /* known, and not possible here */
    ERR_NO_LEASE = -14     /* not done: the lock that it needs is not known to be ours (app/lease.h) */
};

#define ERR_MESSAGE_MAX 1536

struct err {
    int code; /* 0 or one of ERR_* */
    char message[ERR_MESSAGE_MAX];
};

/* Sets code and message; a longer message is cut, between two characters; line breaks become blanks. Returns `code`, so that `return err_set(...)` reads well.
 * `err` may be NULL: the code is still returned. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int err_set_va(struct err *err, int code, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));

/* Puts `format...: ` in front of the message that is there. Returns err->code. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Back to "no error". */
void err_clear(struct err *err);

/* The code's standard word, e.g. "unreachable"; never NULL; static. */
const char *err_name(int code);

#endif
