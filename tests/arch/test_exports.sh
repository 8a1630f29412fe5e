#!/bin/bash
# test_exports.sh: what the shared library exports, what the header declares, what the manual describes
# and what tests call are the same functions. A wrapper and its _sized count as one.
. "$(dirname "$0")/tap.sh"

library=$top_builddir/.libs/libstarling.so

declared()
{
    tr '\n' ' ' <"$top_srcdir/include/starling.h" |
        sed 's|/\*[^*]*\*\+\([^/*][^*]*\*\+\)*/||g' |
        grep -oE 'STARLING_API [^;({#]*\(' | grep -oE 'starling_[a-z0-9_]+\($' | tr -d '(' | sort -u
}

exported()
{
    $NM -D --defined-only "$library" | awk '$2 ~ /[TDBRVW]/ { sub(/@.*/, "", $3); print $3 }' | sort -u
}

# Matches of $1 that begin with starling_, in the files named on standard input.
words()
{
    (cd "$top_srcdir" && xargs -r cat) | grep -oE "\bstarling_$1" | tr -d ' (' | sort -u
}

fold()
{
    sed 's/_sized$//' | sort -u
}

# A minus B, one a line, with what is wrong about it.
without()
{
    comm -23 <(printf '%s\n' "$1") <(printf '%s\n' "$2") | sed -e '/^$/d' -e "s|\$|: $3|"
}

header=$(declared)
[ -n "$header" ] && problem= || problem="no STARLING_API function found in starling.h"
report "the header declares functions" "$problem"

if [ -f "$library" ]; then
    library_has=$(exported | grep -v '^STARLING_[0-9]*$')
    report "every declared function is exported" "$(without "$header" "$library_has" "not exported")"
    report "every exported symbol is declared" "$(without "$library_has" "$header" "not declared")"
elif [ -f "$top_builddir/.libs/libstarling.a" ]; then
    skip "every declared function is exported" "built without a shared library"
    skip "every exported symbol is declared" "built without a shared library"
else
    report "every declared function is exported" "no library $library"
    report "every exported symbol is declared" "no library $library"
fi

public=$(printf '%s\n' "$header" | fold)
manual=$(files_in man '*.3' | words '[a-z0-9_]+' | fold)
report "every function has its place in the manual" "$(without "$public" "$manual" "in no man/*.3")"
called=$(files_in tests '*.c' | words '[a-z0-9_]+ *\(' | fold)
report "every function is called by a test" "$(without "$public" "$called" "in no tests/*.c")"
finish
