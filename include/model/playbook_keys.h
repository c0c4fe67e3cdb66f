/*
 * The one table of what a playbook may say: sections, keys, kinds of value, bounds and defaults.
 *
 * The parser, the manual, `help` and shell completion all read this table, so they cannot differ. A
 * default is written as a playbook would write it and goes through the same parser.
 */
#ifndef MODEL_PLAYBOOK_KEYS_H
#define MODEL_PLAYBOOK_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

enum key_kind {
    KEY_TEXT,      /* const char *: any text, taken as it is */
    KEY_COMMAND,   /* const char *: a shell command, taken as it is */
    KEY_TEMPLATE,  /* const char *: text with {name} */
    KEY_TEMPLATES, /* struct string_list of `Name: value` header lines with {name} */
    KEY_NAME,      /* const char *: text_is_name */
    KEY_VARIABLE,  /* const char *: the name of an inventory variable */
    KEY_UNIT,      /* const char *: a systemd unit's name */
    KEY_ROOT,      /* const char *: an absolute path, not `/` nor another folder of the system */
    KEY_FOLDER,    /* const char *: a relative path that does not climb */
    KEY_FOLDERS,   /* struct string_list of such paths */
    KEY_RELEASES,  /* struct string_list: releases, by 4 or more letters that an id or its commit begins with */
    KEY_REGEX,     /* const char *: a POSIX extended regular expression with {name} */
    KEY_IDENTITY,  /* struct identity: `header NAME`, `body TEXT`, `command COMMAND` */
    KEY_YES_NO,    /* bool */
    KEY_WHOLE,     /* uint32_t from minimum to maximum */
    KEY_SIZE,      /* uint64_t bytes from minimum to maximum */
    KEY_PORT,      /* uint16_t, 1 to 65535 */
    KEY_URLS,      /* struct string_list: `https://host:port` without a path, by comma */
    KEY_ENDPOINT,  /* const char *: `host:port`, an IPv6 address in brackets */
    KEY_SOCKET,    /* const char *: such an endpoint, or an absolute path */
    KEY_WARMUP,    /* struct warmup_step * with a size_t count behind it: `10%:10s, 50%:10s` */
    KEY_DURATION,  /* int64_t milliseconds from minimum to maximum; -1 for the word in `choices` */
    KEY_SHARE,     /* double from 0 to below 1: `25%` or `0.25` */
    KEY_FIGURE,    /* struct figure: `1%`, `250ms`, `0.5` */
    KEY_AMOUNT,    /* struct amount */
    KEY_AMOUNTS,   /* struct amount * with a size_t count behind it; each more than 0 */
    KEY_STEPS,     /* struct canary_steps */
    KEY_CHOICE,    /* an enum: the place of the value in `choices` */
    KEY_STATUS,    /* two uint16_t: `200` or `200-299` */
    KEY_SOURCE /* const char * location; `minimum` is the enum source_kind that the key stands for
                */
};

struct playbook_key {
    const char *section; /* `step` stands for every [step NAME], `balancer` likewise */
    const char *key;
    enum key_kind kind;
    size_t offset;            /* in struct playbook; in struct hook, slot, ... for those */
    int64_t minimum, maximum; /* milliseconds for durations */
    const char *choices;      /* `a|b|c` in the order of the enum */
    const char *fallback;     /* as a playbook writes it; NULL: not set */
    const char *help;         /* one line */
};

/* The key at `index`, section by section; NULL behind the last. Static. */
const struct playbook_key *playbook_key_at(size_t index);
/* NULL when there is none. */
const struct playbook_key *playbook_key_find(const char *section, const char *key);
/* The section at `index`, in the order of the manual; NULL behind the last. Static. */
const char *playbook_section_at(size_t index);
/* Whether the section is written with a name, once for each: `step`, `migration`, `slot`, ... */
bool playbook_section_has_name(const char *section);
/* Sections that are known and belong to a later version: `slot`, ... */
bool playbook_section_is_planned(const char *section);
/* What a kind accepts, for the manual: `duration`, `yes or no`; static. A choice is described by
 * its `choices`. */
const char *key_kind_name(enum key_kind kind);

/* Parses `text` as the key's kind into `base + offset`. Strings are copied into `arena`; ERR_INPUT
 * with a sentence that does not name the key. */
int playbook_key_store(const struct playbook_key *key, void *base, const char *text,
                       struct arena *arena, struct err *err);

#endif
