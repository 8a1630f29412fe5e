#!/bin/bash
# test_files.sh: what is built is what is there. A source left out of Makefile.am would neither be
# compiled nor distributed, and no other test would notice.
. "$(dirname "$0")/tap.sh"

sources=$(for dir in include $rooms tests/unit tests/api tests/sim tests/fuzz tests/arch; do
    files_in "$dir" '*.[ch]'
    files_in "$dir" '*.sh'
done)

missing=$(for file in $sources; do
    # Programs of tests are named without .c.
    grep -qE "(^|[[:space:]=])(${file}|${file%.c})([[:space:]\\\\]|\$)" "$top_srcdir/Makefile.am" ||
        echo "$file: not in Makefile.am"
done)
report "Makefile.am names every source, header and test" "$missing"

unexplained=$(for file in $sources; do
    case $file in
    *.[ch]) head -n 1 "$top_srcdir/$file" | grep -q "^/\* ${file##*/}: " || echo "$file" ;;
    esac
done)
report "every file opens with its name and its reason" "$unexplained"

long=$(for file in $sources; do
    lines=$(wc -l <"$top_srcdir/$file")
    [ "$lines" -le 800 ] || echo "$file: $lines lines"
done)
report "no file has more than 800 lines" "$long"

# tests/run passes over what cannot be executed, without a word.
idle=$(for file in "$top_srcdir"/tests/e2e/test_*; do
    [ -x "$file" ] || echo "${file##*/}: not executable, so it does not run"
done)
report "every end-to-end test can run" "$idle"
finish
