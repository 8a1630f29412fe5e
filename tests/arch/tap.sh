# tap.sh: what the tests of this directory share: results in TAP, where things are.
# shellcheck shell=bash
set -u
LC_ALL=C
export LC_ALL

top_srcdir=${top_srcdir:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
top_builddir=${top_builddir:-$PWD}
CC=${CC:-cc}
CXX=${CXX:-c++}
NM=${NM:-nm}
# shellcheck disable=SC2034 # for those who source this
rooms="base gossip store node cli"

tap_n=0
tap_failed=0

# report SENTENCE [PROBLEMS]: a result; passes when there are no problems to print.
report()
{
    tap_n=$((tap_n + 1))
    if [ -z "${2-}" ]; then
        echo "ok $tap_n - $1"
        return
    fi
    tap_failed=$((tap_failed + 1))
    echo "not ok $tap_n - $1"
    printf '%s\n' "$2" | sed 's/^/# /'
}

# skip SENTENCE REASON
skip()
{
    tap_n=$((tap_n + 1))
    echo "ok $tap_n - $1 # SKIP $2"
}

# finish: the plan, and the exit status that says the same.
finish()
{
    echo "1..$tap_n"
    [ "$tap_failed" -eq 0 ]
    exit
}

# Files of a room by pattern, relative to the top.
files_in()
{
    local dir=$1 pattern=$2
    [ -d "$top_srcdir/$dir" ] || return 0
    (cd "$top_srcdir" && find "$dir" -name "$pattern" -type f | sort)
}
