#!/bin/bash
# test_headers.sh: every header compiles alone; the public one also as C++ and without extensions.
. "$(dirname "$0")/tap.sh"

flags="-fsyntax-only -Wall -Wextra -Wpedantic -Werror"
public=$top_srcdir/include/starling.h

# One compiler run for each sentence; its complaint is the problem.
try()
{
    local sentence=$1 problems
    shift
    problems=$("$@" 2>&1) && problems=
    report "$sentence" "$problems"
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '#include <starling.h>\n' >"$work/alone.c"
printf '#include <starling.h>\nint main() { starling_options o = {}; return starling_version() == nullptr || o.leave_ms != 0; }\n' \
    >"$work/alone.cc"

# shellcheck disable=SC2086 # flags and compilers are lists of words
{
    try "starling.h compiles alone as C11" \
        $CC -std=c11 $flags -I"$top_srcdir/include" "$work/alone.c"
    if $CXX --version >/dev/null 2>&1; then
        try "starling.h compiles alone as C++17" \
            $CXX -std=c++17 $flags -I"$top_srcdir/include" "$work/alone.cc"
    else
        skip "starling.h compiles alone as C++17" "no C++ compiler; install g++"
    fi

    for header in $(for dir in $rooms tests/sim; do files_in "$dir" '*.h'; done); do
        printf '#include "%s"\ntypedef int alone;\n' "$header" >"$work/one.c"
        try "$header compiles alone" $CC -std=c11 -D_GNU_SOURCE $flags -I"$top_srcdir" \
            -I"$top_srcdir/include" ${DEPS_CFLAGS-} "$work/one.c"
    done
}

macro()
{
    sed -n "s/^#define STARLING_VERSION_$1 \([0-9]*\)$/\1/p" "$public"
}
in_header=$(macro MAJOR).$(macro MINOR).$(macro PATCH)
in_configure=$(sed -n 's/^AC_INIT(\[starling\], \[\([^]]*\)\]).*/\1/p' "$top_srcdir/configure.ac")
[ "$in_header" = "$in_configure" ] && differ= || differ="header $in_header, configure.ac $in_configure"
report "the header and configure.ac name one version" "$differ"
finish
