#!/bin/bash
# test_figures.sh: what the protocol promises, at sizes that take minutes (tests/sim/figures.list, group quick).
dir=${STARLING_SOURCE:?run by tests/run}
STARLING_SIM_SCENARIOS=$dir/tests/sim/scenarios
export STARLING_SIM_SCENARIOS
echo 1..1
if "$dir/tests/sim/figures" --sim "${STARLING_BIN:?run by tests/run}/starling-sim" --group quick >figures.log 2>&1; then
    echo "ok 1 - every figure of group quick"
else
    echo "not ok 1 - every figure of group quick"
    grep -E 'MISSED|ERROR|starling-sim --' figures.log | sed 's/^/# /'
fi
