#!/bin/bash
# test_swarm.sh: random faults on 100 random flocks; nothing that must hold breaks (docs/SIMULATION.md).
# Under sanitizers a few of them.
# variants: plain asan
sim=${STARLING_BIN:?run by tests/run}/starling-sim
STARLING_SIM_SCENARIOS=${STARLING_SOURCE:?run by tests/run}/tests/sim/scenarios
export STARLING_SIM_SCENARIOS sim
last=100
[ "$STARLING_VARIANT" = asan ] && last=8
log=$(mktemp -d) || exit 1
trap 'rm -rf "$log"' EXIT
export log

one()
{
    "$sim" --scenario swarm --seed "$1" >"$log/$1" 2>&1 || echo "$1 $?" >>"$log/bad"
}
export -f one
seq "$last" | xargs -P "$(nproc)" -I{} bash -c 'one {}'

n=0
for seed in $(seq "$last"); do
    n=$((n + 1))
    status=$(sed -n "s/^$seed //p" "$log/bad" 2>/dev/null)
    if [ -z "$status" ] && grep -q '"n_violations": 0' "$log/$seed"; then
        echo "ok $n - seed $seed"
    else
        echo "not ok $n - seed $seed, status ${status:-0}"
        sed -n '/"n_violations"/,$p' "$log/$seed" | sed 's/^/# /'
    fi
done
echo "1..$n"
