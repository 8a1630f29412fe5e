#!/bin/bash
# test_includes.sh: dependencies point down only. Who may include whom is one line below for each room.
. "$(dirname "$0")/tap.sh"

# check DIR ALLOWED...: quoted includes of DIR name only files in ALLOWED rooms.
check()
{
    local dir=$1 bad allowed
    shift
    allowed=$(printf '%s|' "$@")
    bad=$(cd "$top_srcdir" && files_in "$dir" '*.[ch]' |
        xargs -r grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
        grep -vE "\"(${allowed%|})/[^\"]*\"" | grep -vE "$but")
    report "$dir includes only $*" "$bad"
}

# Exceptions by name. `starling ca` makes files whose formats are no part of the API (docs/DESIGN.md).
but='^cli/ca(_show)?\.c:[0-9]+:#include "node/ca\.h"$'

# Angle brackets are for the system and <starling.h>: they would slip past the check above.
check_angles()
{
    local bad
    bad=$(for dir in $rooms tests/sim; do files_in "$dir" '*.[ch]'; done |
        (cd "$top_srcdir" && xargs -r grep -nE \
            '#[[:space:]]*include[[:space:]]*<(base|gossip|store|node|cli|include|tests)/'))
    report "nobody includes a room in angle brackets" "$bad"
}

check base base
check gossip gossip base
check store store base
check node node gossip store base
check cli cli
check tests/sim tests/sim gossip store base
check_angles
finish
