#!/bin/bash
# quick: yes
# The example of the README, against the installed library, with pkg-config alone: as C11, as C++17, under
# valgrind; and a node opened and closed a thousand times.
set -u
n=0
status=0
say()
{
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then printf 'ok %d - %s\n' "$n" "$2"; else
        printf 'not ok %d - %s\n' "$n" "$2"
        status=1
    fi
}
if [ -z "${STARLING_SOURCE-}" ] || ! pkg-config --exists starling; then
    echo "Bail out! run through tests/run, or set STARLING_SOURCE and PKG_CONFIG_PATH"
    exit 1
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
mkdir -m 700 "$dir/run" "$dir/config"
export STARLING_RUNTIME_DIR=$dir/run STARLING_CONFIG_DIR=$dir/config
prefix=$(pkg-config --variable=libdir starling)
export LD_LIBRARY_PATH=$prefix${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}

sed -n '/^```c$/,/^```$/p' "$STARLING_SOURCE/README.md" | sed '1d;$d' >"$dir/readme.c"
cmp -s "$dir/readme.c" "$STARLING_SOURCE/examples/embed.c"
say $? "the README shows examples/embed.c as it is"

# shellcheck disable=SC2046 # flags are words
"${CC:-cc}" -std=c11 -Wall -Wextra -Wpedantic -Werror "$dir/readme.c" $(pkg-config --cflags --libs starling) -o "$dir/c"
say $? "it builds as C11 with pkg-config alone"
# shellcheck disable=SC2046
"${CXX:-c++}" -std=c++17 -Wall -Werror -x c++ "$dir/readme.c" -x none \
    $(pkg-config --cflags --libs starling) -o "$dir/cxx"
say $? "it builds as C++17"
"$dir/c" && "$dir/cxx"
say $? "both run"

if command -v valgrind >/dev/null; then
    valgrind -q --leak-check=full --show-leak-kinds=definite,indirect,possible --errors-for-leak-kinds=definite,indirect,possible \
        --error-exitcode=9 "$dir/c" >"$dir/valgrind.log" 2>&1
    r=$?
    say $r "valgrind finds no error and no leak"
    [ $r -eq 0 ] || sed 's/^/# /' "$dir/valgrind.log" | head -40
else
    n=$((n + 1))
    echo "ok $n - valgrind # SKIP not installed"
fi

cat >"$dir/many.c" <<'END'
#include <dirent.h>
#include <malloc.h>
#include <starling.h>
#include <stdio.h>

static int descriptors(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (d && readdir(d))
        n++;
    if (d)
        closedir(d);
    return n;
}

static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

int main(void)
{
    size_t before = 0;
    int fds = 0;
    for (int i = 0; i < 1000; i++) {
        starling_node *node;
        starling_service s = {.name = "many", .port = 8080};
        if (starling_open(NULL, &node) < 0 || starling_register(node, &s, NULL) < 0) {
            fprintf(stderr, "%d: %s\n", i, starling_error_text());
            return 1;
        }
        starling_close(node);
        if (i == 99) { /* caches of libc and libsodium are warm */
            fds = descriptors();
            before = in_use();
        }
    }
    size_t after = in_use();
    fprintf(stderr, "# descriptors %d then %d, bytes in use %zu then %zu\n", fds, descriptors(), before, after);
    return descriptors() != fds || after > before + 64 * 1024;
}
END
# shellcheck disable=SC2046
"${CC:-cc}" -std=gnu11 -Wall -Wextra -Werror "$dir/many.c" $(pkg-config --cflags --libs starling) -o "$dir/many" && "$dir/many"
say $? "a node opened and closed 1,000 times leaks no descriptor and no memory"
echo "1..$n"
exit $status
