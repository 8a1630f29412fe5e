# build.sh: packages, a copy of the sources, a build; for deploy/quickstart and tests/run, which source it.
# Nothing is written into the source tree: the build works in a copy that is kept between runs and updated
# file by file, so that a second run compiles only what changed.
# shellcheck shell=bash

source=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P) || exit 1
hash=$(printf '%s' "$source" | cksum | cut -d' ' -f1)
build=${STARLING_BUILD:-/tmp/starling-build-$UID-$hash}
case $build in
/*) ;;
*) build=$PWD/$build ;;
esac
jobs=${JOBS:-$(nproc 2>/dev/null || echo 2)}

say()
{
    printf '== %4d s  %s\n' "$SECONDS" "$*"
}

# ---- packages ---------------------------------------------------------------------------------

# need PACKAGE COMMAND...: PACKAGE is missing when COMMAND fails.
need()
{
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || wanted="$wanted $package"
}

has_msgpack()
{
    pkg-config --exists msgpack || pkg-config --exists msgpack-c
}

# look_for_packages PURPOSE: what is missing in order to run, or to test.
look_for_packages()
{
    wanted=
    need build-essential c++ --version
    need build-essential make --version
    need autoconf autoconf --version
    need automake automake --version
    need libtool libtoolize --version
    need pkg-config pkg-config --version
    need libzmq3-dev pkg-config --exists libzmq
    need libmsgpack-dev has_msgpack
    need libsodium-dev pkg-config --exists libsodium
    need libjansson-dev pkg-config --exists jansson
    need libinih-dev pkg-config --exists inih
    need libc-ares-dev pkg-config --exists libcares
    need python3 python3 --version
    need curl curl --version
    if [ "$1" = test ]; then
        need check pkg-config --exists check
        need netcat-openbsd command -v nc
        need valgrind valgrind --version
    fi
    # shellcheck disable=SC2086 # a list of words
    wanted=$(printf '%s\n' $wanted | sort -u | tr '\n' ' ')
    wanted=${wanted% }
}

# install_packages run|test
install_packages()
{
    look_for_packages "$1"
    [ -n "$wanted" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Missing, by their Debian names: $wanted" >&2
        echo "This is no Debian system: install them by hand and run again." >&2
        return 1
    fi
    local as_root=
    if [ "$UID" -ne 0 ]; then
        if ! command -v sudo >/dev/null 2>&1; then
            echo "Missing: $wanted" >&2
            echo "Run as root: apt-get install $wanted" >&2
            return 1
        fi
        as_root=sudo
    fi
    say "installing $wanted"
    $as_root apt-get update -q || echo "apt-get update failed; trying with the lists that are here"
    # The library has another name since Debian 13.
    case " $wanted " in
    *" libmsgpack-dev "*)
        apt-cache show libmsgpack-dev >/dev/null 2>&1 ||
            wanted=${wanted/libmsgpack-dev/libmsgpack-c-dev}
        ;;
    esac
    # shellcheck disable=SC2086 # a list of words
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $wanted || return 1
    look_for_packages "$1"
    [ -z "$wanted" ] && return 0
    echo "Still missing after apt-get: $wanted" >&2
    return 1
}

# ---- the place --------------------------------------------------------------------------------

# Make the build directory and keep it to ourselves, through descriptor 9, until that is closed.
open_build()
{
    # The default place is predictable: nobody else may have made it first.
    mkdir -p "$(dirname "$build")" && { [ -d "$build" ] || mkdir -m 700 "$build"; }
    if [ ! -O "$build" ] || [ -L "$build" ]; then
        echo "$build is not a directory of this user; set STARLING_BUILD to another place." >&2
        return 1
    fi
    exec 9>"$build/lock"
    flock -n 9 && return 0
    echo "Another run is using $build; wait for it or set STARLING_BUILD to another place." >&2
    return 1
}

# ---- the copy ---------------------------------------------------------------------------------

# Names of the source files, as git knows them, or all there are in an unpacked archive. A link is a
# file like any other.
list_sources()
{
    # A checkout of another user (root looking at a person's) is refused by git unless told otherwise.
    if [ -e .git ] && git -c safe.directory="$source" ls-files -co --exclude-standard 2>/dev/null; then
        return
    fi
    find . -type d \( -name .git -o -name autom4te.cache \) -prune -o \( -type f -o -type l \) -print |
        sed 's|^\./||'
}

update_copy()
{
    local copy=$build/src name
    mkdir -p "$copy" || return 1
    (cd "$source" && list_sources | sort -u | while IFS= read -r name; do
        if [ -e "$name" ] || [ -L "$name" ]; then printf '%s\n' "$name"; fi
    done) >"$build/sources.new"
    if [ ! -s "$build/sources.new" ]; then
        echo "No source files found in $source" >&2
        return 1
    fi
    # What has gone from the source goes from the copy; what autoreconf made there stays.
    if [ -f "$build/sources" ]; then
        comm -23 "$build/sources" "$build/sources.new" | while IFS= read -r name; do
            rm -f "${copy:?}/$name"
        done
    fi
    while IFS= read -r name; do
        if [ -f "$copy/$name" ] && cmp -s "$source/$name" "$copy/$name" &&
            { [ -x "$source/$name" ] && [ -x "$copy/$name" ] ||
                { [ ! -x "$source/$name" ] && [ ! -x "$copy/$name" ]; }; }; then
            continue
        fi
        mkdir -p "$copy/$(dirname "$name")" || return 1
        cp -P --preserve=mode "$source/$name" "$copy/$name" || return 1
    done <"$build/sources.new"
    mv "$build/sources.new" "$build/sources"
}

# ---- building ---------------------------------------------------------------------------------

# step DIR NAME COMMAND...: run quietly, show the end of the log when it fails.
step()
{
    local log=$1/$2.log name=$2
    shift 2
    "$@" >"$log" 2>&1 && return 0
    printf -- '---- %s: %s\n' "$name" "$*"
    grep -E '^(FAIL|ERROR):|error:|undefined reference|[*]{3} ' "$log" | grep -v '^PASS' | head -n 10
    printf -- '---- end of %s\n' "$log"
    tail -n 20 "$log"
    return 1
}

prepare()
{
    if [ ! -x "$build/src/configure" ] || [ "$build/src/configure.ac" -nt "$build/src/configure" ] ||
        [ "$build/src/Makefile.am" -nt "$build/src/Makefile.in" ] ||
        [ "$build/src/m4/starling.m4" -nt "$build/src/configure" ]; then
        say "autoreconf"
        (cd "$build/src" && step "$build" autoreconf autoreconf -fi) || return 1
    fi
}

# The plain build has both libraries; of the others each source is compiled once.
configure_flags()
{
    case $1 in
    plain) ;;
    asan) echo "--with-sanitizers=address,undefined --disable-static" ;;
    tsan) echo "--with-sanitizers=thread --disable-static" ;;
    esac
}

# build_variant NAME: configured, compiled and installed into its own prefix.
build_variant()
{
    local dir=$build/$1
    say "$1: building in $dir"
    mkdir -p "$dir" || return 1
    cd "$dir" || return 1
    if [ ! -f config.status ] || [ "$build/src/configure" -nt config.status ]; then
        # shellcheck disable=SC2046 # flags are words
        step "$dir" configure "$build/src/configure" --prefix="$dir/installed" --enable-werror \
            $(configure_flags "$1") || return 1
        touch config.status
    fi
    step "$dir" make make -j"$jobs" all || return 1
    step "$dir" install make install
}

