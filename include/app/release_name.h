/*
 * Which release a person means: its id, or the first letters of the id or of the commit in it. Reads only.
 */
#ifndef APP_RELEASE_NAME_H
#define APP_RELEASE_NAME_H

#include "app/survey.h"

#define RELEASE_LETTERS 4 /* at least so many of an id or a commit */

/* The one release of the nodes that `text` names; a whole id counts before what only begins so. A text that none begins with comes back as it
 * is. ERR_REFUSED: too short, or several begin so, and the sentence names them. Borrowed from the survey, or `text`. */
int release_name_find(const char **out, const char *text, const struct survey *survey, struct err *err);

#endif
