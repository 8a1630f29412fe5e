#!/usr/bin/env python3
"""A flock joined by the network alone: each node has a runtime directory of its own and knows one seed. All stop,
and start again on their ports with their state directories and without the seed."""
# variants: plain

import os
import sys

from flock import Flock, Tap, free_port, wait_for

N = int(os.environ.get("FIFTY", "15" if "--quick" in sys.argv or os.environ.get("STARLING_QUICK") else "50"))
tap = Tap()


def options(f, i, ports, *seeds):
    out = ["--listen", f"127.0.0.1:{ports[i]}", "--state-dir", os.path.join(f.dir, f"state-{i}")]
    for s in seeds:
        out += ["--seed", f"127.0.0.1:{ports[s]}"]
    return out


with Flock(apart=True) as f:
    ports = []
    while len(ports) < N + 2:
        p = free_port()
        if p not in ports:
            ports.append(p)
    f.start("n0", *options(f, 0, ports))
    for i in range(1, N):
        f.start(f"n{i}", *options(f, i, ports, 0))
    took = wait_for(lambda: f.all_see(N), 20, every=0.1)
    tap.check(took is not None, f"{N} nodes join through one seed", f"{took or 99:.2f} s")
    ids = {n.name: n.info().get("id") for n in f.nodes.values()}

    for n in f.nodes.values():
        n.process.terminate()
    codes = [n.process.wait(10) for n in f.nodes.values()]
    tap.check(codes == [0] * N, "all leave when told to", str([c for c in codes if c != 0]))

    for i in range(N):
        f.start(f"n{i}", *options(f, i, ports))
    took = wait_for(lambda: f.all_see(N), 15, every=0.1)
    tap.check(took is not None, "started again without a seed they find each other within 15 s", f"{took or 99:.2f} s")
    same = sum(n.info().get("id") == ids[n.name] for n in f.nodes.values())
    tap.check(same == N, "with the identities they had", f"{same} of {N}")

    f["n0"].kill()
    del f.nodes["n0"]
    newcomer = f.start(f"n{N}", *options(f, N, ports, 0, 1))
    took = wait_for(lambda: f.all_see(N), 15, every=0.1)
    tap.check(took is not None, "while the seed is dead a newcomer joins through another", f"{took or 99:.2f} s")
tap.done()
