#!/bin/bash
# test_sim.sh: a handful of small worlds keep their promises, and happen twice in the same way.
# STARLING_SIM names the program where it is not in the build directory.
. "$(dirname "$0")/../arch/tap.sh"

STARLING_SIM_SCENARIOS=$top_srcdir/tests/sim/scenarios
export STARLING_SIM_SCENARIOS
sim=${STARLING_SIM:-$top_builddir/starling-sim}
if [ ! -x "$sim" ]; then
    echo "Bail out! no starling-sim at $sim"
    exit 1
fi
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT

# trace FILE
trace()
{
    sed -n 's/.*"trace": "\([0-9a-f]*\)".*/\1/p' "$1"
}

# world SENTENCE ARGUMENTS...: ends well, and the same arguments give the same trace.
world()
{
    local sentence=$1 problems=
    shift
    "$sim" "$@" >"$dir/a" 2>"$dir/error" ||
        problems=$(echo "status $?: starling-sim $*" && cat "$dir/error" &&
            sed -n '/"violations"/,$p' "$dir/a")
    report "$sentence" "$problems"
    "$sim" "$@" >"$dir/b" 2>/dev/null
    problems=
    if [ -z "$(trace "$dir/a")" ] || [ "$(trace "$dir/a")" != "$(trace "$dir/b")" ]; then
        problems="traces '$(trace "$dir/a")' and '$(trace "$dir/b")' of starling-sim $*"
    fi
    report "... twice in the same way" "$problems"
}

# says STATUS SENTENCE ARGUMENTS...
says()
{
    local want=$1 sentence=$2 got
    shift 2
    "$sim" "$@" >"$dir/a" 2>"$dir/error"
    got=$?
    report "$sentence" "$([ "$got" -eq "$want" ] ||
        echo "status $got, expected $want: starling-sim $*")"
}

world "a process that dies is down everywhere" --scenario crash --nodes 20
world "a process that stands still is down, and back when it goes on" --scenario freeze --nodes 20
world "a blink of two seconds fells nobody" --scenario blink --nodes 20
world "who says goodbye has left" --scenario leave --nodes 20
world "changes reach everybody" --scenario update --nodes 20
world "two halves apart for two minutes are one flock soon after" --scenario partition --nodes 16
world "a flock of two notices and heals" --scenario two
world "a flock of three notices and heals" --scenario three
world "a tenth joins a flock of fifty" --scenario join --nodes 50
world "everybody is killed at once and finds the others again" --scenario restart --nodes 20
world "when four fifths of the hosts go at once, the fifth knows" --scenario wreck
world "a pause at the first meeting is not taken for a slow path" --scenario again
world "who cannot reach half of the others says so more and more rarely" --scenario partial --nodes 40
world "one bad edge fells nobody" --scenario badedge --nodes 20
world "who left and comes back with its clock set back is alive again" --scenario setback --nodes 20
world "a flock whose certificates ended an hour ago comes up again" --scenario expired --nodes 20
world "what memory was missing for is said later" --scenario shortage
world "who missed a goodbye hears of it, though all have forgotten" --scenario missed
world "behind a cut no news is late for who knows but seeds beyond it" --scenario stranger
world "two who are cut off with each other find each other" --scenario pair
world "two islands of a cold start are one flock" --scenario islands
world "of connections that cross both ends keep the same" --scenario crossing
world "the dead do not come back for who heard of it later than others" --scenario lateborn
world "who dies before its neighbours have settled is known to be dead at once" --scenario infant
world "so is one of ten" --scenario infant --nodes 10
world "new identities on old addresses take their place" --scenario renew --nodes 20
world "real signatures say what model ones do" --scenario crash --nodes 10 --crypto real

"$sim" --scenario crash --nodes 10 --seed 1 >"$dir/a"
"$sim" --scenario crash --nodes 10 --seed 2 >"$dir/b"
report "another seed is another world" \
    "$([ "$(trace "$dir/a")" != "$(trace "$dir/b")" ] || echo "both $(trace "$dir/a")")"

cat >"$dir/wrong.scn" <<'SCENARIO'
nodes 3
at 1s expect down 1
until 2s
SCENARIO
says 1 "an expectation that fails is status 1" --scenario "$dir/wrong.scn"
report "... and the line that reproduces it is there" \
    "$(grep -q 'starling-sim --scenario .*wrong.scn' "$dir/a" || cat "$dir/a")"
says 1 "a day and an hour behind their end it does not" --scenario expired --nodes 20 --set hours=73h
echo 'at 1s explode 1' >"$dir/wrong.scn"
says 2 "a command that nobody knows is status 2" --scenario "$dir/wrong.scn"
says 2 "so is a setting that nobody knows" --set moon=full
says 2 "so is a scenario that nobody knows" --scenario nowhere

bad=
for scenario in "$STARLING_SIM_SCENARIOS"/*.scn; do
    "$sim" --scenario "$scenario" --until 0.001 --set settle=no >"$dir/a" 2>"$dir/error"
    [ $? -eq 2 ] && bad="$bad$(cat "$dir/error")"
done
report "every scenario that comes along can be read" "$bad"

bad=
for scenario in "$STARLING_SIM_SCENARIOS"/*.scn; do
    name=$(basename "$scenario" .scn)
    grep -qs -- "--scenario $name\b" "$top_srcdir"/tests/sim/{figures.list,plants.list,test_sim.sh} ||
        bad="$bad$name "
done
report "and each is run by somebody" "$bad"
finish
