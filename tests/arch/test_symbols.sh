#!/bin/bash
# test_symbols.sh: the rooms without I/O use no clock, entropy, socket, file, thread or output, keep no
# state of their own, and reach down only. Proven from what the compiler left in their archives: an
# undefined symbol is allowed by name or it is a failure.
. "$(dirname "$0")/tap.sh"

# Pure functions of the C library. Memory comes through a port, so no allocator is among them.
pure="memcpy memmove memset memcmp memchr memrchr memmem bcmp
strlen strnlen strcspn strcmp strncmp strchr strrchr snprintf vsnprintf
qsort bsearch inet_pton inet_ntop
exp exp2 expm1 log log2 log1p pow sqrt fabs floor ceil round lround llround fmin fmax ldexp frexp
__assert_fail __stack_chk_fail _GLOBAL_OFFSET_TABLE_"
# The same with bounds checks, as -D_FORTIFY_SOURCE writes them.
pure="$pure __memcpy_chk __memmove_chk __memset_chk __snprintf_chk __vsnprintf_chk"
# What sanitizers and coverage add.
instruments='^__(asan|ubsan|tsan|sanitizer|gcov|llvm)_'

undefined()
{
    $NM -u "$1" | awk '$1 == "U" || $1 == "w" { print $2 }' | sort -u
}

defined()
{
    $NM --defined-only "$1" | awk 'NF == 3 && $2 ~ /[A-Z]/ { print $3 }' | sort -u
}

# Variables in writable sections. Constants that hold pointers (.data.rel.ro) and per-thread data are
# neither shared nor written.
variables()
{
    $NM -f sysv --defined-only "$1" |
        awk -F'|' '{ gsub(/ /, "");  if ($7 ~ /^(\.bss|\.data|COMMON|\*COM\*)/ &&
            $7 !~ /^\.data\.rel\.ro/) print $1, "in", $7 }'
}

# The one exception, by name: store/epoch.c deals out readers' slots to the threads of the process and
# is told by the system when one ends, which decides who shares a cache line and nothing else.
stateful="taken|once|at_thread_end|ends_are_told"
of_threads="pthread_once pthread_key_create pthread_setspecific"

# check_room ROOM BELOW...: undefined symbols of ROOM, less its own, those of BELOW and the pure ones.
check_room()
{
    local room=$1 archive=$top_builddir/.libs/libsl_$1.a below lib allowed found
    shift
    if [ ! -f "$archive" ]; then
        report "$room: every symbol it takes from outside is on the list" "no archive $archive"
        report "$room: it keeps no state of its own" "no archive $archive"
        return
    fi
    # shellcheck disable=SC2086 # a list of words
    allowed=$(printf '%s\n' $pure; defined "$archive")
    for below; do
        lib=$top_builddir/.libs/libsl_$below.a
        [ -f "$lib" ] && allowed=$(printf '%s\n' "$allowed"; defined "$lib")
    done
    # shellcheck disable=SC2086
    [ "$room" = store ] && allowed=$(printf '%s\n' "$allowed" $of_threads)
    # The failure text and the readers' slots are one for each thread.
    [ "$room" != gossip ] && allowed=$(printf '%s\n' "$allowed" __tls_get_addr)
    found=$(undefined "$archive" | grep -Ev "$instruments" |
        grep -Fxv -f <(printf '%s\n' "$allowed"))
    if [ -z "$(defined "$archive")" ]; then
        found="$archive is empty"
    fi
    report "$room: every symbol it takes from outside is on the list" "$found"

    if undefined "$archive" | grep -Eq "$instruments"; then
        skip "$room: it keeps no state of its own" "instrumented objects have counters"
    else
        report "$room: it keeps no state of its own" "$(variables "$archive" |
            grep -Ev "^($stateful) ")"
    fi
}

check_room base
check_room gossip base
check_room store base
finish
