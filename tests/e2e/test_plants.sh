#!/bin/bash
# test_plants.sh: every bug of tests/sim/plants.list still fits the sources it is planted in, and compiles.
dir=${STARLING_SOURCE:?run by tests/run}
echo 1..1
if "$dir/tests/sim/plants" --check >plants.log 2>&1; then
    echo "ok 1 - planted bugs fit the sources"
else
    echo "not ok 1 - planted bugs fit the sources"
    tail -n 30 plants.log | sed 's/^/# /'
fi
