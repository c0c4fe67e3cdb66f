#!/bin/sh
# embed.sh FILE: prints a C file with the program FILE as bytes: `node_program`, `node_program_length` and `node_program_lines`. Comment lines, empty lines
# and leading blanks stay behind, so that less travels; FILE therefore has no here-documents and no such lines inside its strings.
set -eu
file=$1
if grep -q '<<' "$file"; then
    echo "embed.sh: $file: a here-document would not survive" >&2
    exit 1
fi
text=$(sed -e 's/^[[:blank:]]*//' -e '/^#/d' -e '/^$/d' "$file")
cat <<'END'
#include "node/program.h"

const char node_program[] = {
END
printf '%s\n' "$text" | od -An -v -tx1 | sed -e 's/ \([0-9a-f][0-9a-f]\)/0x\1,/g' -e 's/0x\([89a-f]\)/(char)0x\1/g'
cat <<'END'
0};
const size_t node_program_length = sizeof(node_program) - 1;
END
printf 'const size_t node_program_lines = %s;\n' "$(($(printf '%s\n' "$text" | wc -l)))"
