#!/usr/bin/env python3
"""A state directory, or credentials, are copied and both are started: one process remains who it was, the other says
what is wrong and is somebody else, or out; the rest of the flock ends with the right picture."""
# quick: yes
# variants: plain asan

import os
import shutil
import subprocess
import sys

from flock import SLOW, Flock, Tap, ask, free_port, program, wait_for

tap = Tap()
LIMIT = 10 * SLOW
SERVER = ("import http.server, sys\n"
          "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()\n")


class Apart(Flock):
    """Each as on a host of its own: a runtime directory each, found by seeds alone."""

    def __init__(self):
        super().__init__(apart=True)
        self.seed = free_port()

    def seeds(self):
        return ("--seed", f"127.0.0.1:{self.seed}")

    def serve(self, name, port, *options, called=None):
        n = self.run(name, "web", port, sys.executable, "-c", SERVER, str(port), options=("--name", called or name, *self.seeds(), *options))
        n.socket = os.path.join(self.dir, "run-" + name, "default", (called or name) + ".sock")
        return n


def instances(node, tenant="default"):
    return {i["port"]: i["node"] for s in ask(node.socket, f"services {tenant}") or [] for i in s["instances"]
            if i["status"] == "alive"}


def blue(node):
    """What a tenant's key opens, sealed for the node whose fact it is in."""
    return instances(node, "blue")


def ids(*nodes):
    return [n.info().get("id") for n in nodes]


def key(directory):
    with open(os.path.join(directory, "node.key"), "rb") as file:
        return file.read()


with Apart() as f:
    state, copied = os.path.join(f.dir, "state"), os.path.join(f.dir, "copied")
    n1 = f.start("n1", "--listen", f"127.0.0.1:{f.seed}")
    rest = [n1] + [f.start(n, *f.seeds()) for n in ("n2", "n3")]
    ports = [free_port(), free_port()]
    first = f.serve("first", ports[0], "--state-dir", state, "--tenant", "blue", called="web")
    wait_for(lambda: all(set(blue(n)) == {ports[0]} for n in rest), 20 * SLOW)
    old = first.info()["id"]
    shutil.copytree(state, copied)

    r = subprocess.run([program("starlingd"), "--name", "again", "--state-dir", state, *f.seeds()], env=f.env("again"),
                       capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    tap.check(r.returncode == 1 and state in r.stderr and "in use" in r.stderr and f"process {first.pid}" in r.stderr,
              "a second process in one state directory does not start, and says who is there", r.stderr.strip()[-150:])

    second = f.serve("second", ports[1], "--state-dir", copied, "--tenant", "blue", called="web")
    took = wait_for(lambda: None not in ids(first, second) and ids(first, second).count(old) == 1, LIMIT)
    tap.check(took is not None, "of two with one key exactly one keeps it", f"{took or 99:.2f} s")
    both = sorted(zip(ids(first, second), ports), key=lambda p: p[0] != old)
    here = {port: who for who, port in both}
    took = wait_for(lambda: all(blue(n) == here for n in [*rest, first, second]), LIMIT)
    tap.check(took is not None, "everybody finds both services, each at its own node",
              f"{took or 99:.2f} s" if took else f"{here} {[blue(n) for n in rest]}")
    loser = second if second.info()["id"] != old else first
    tap.check("another process lives with the key" in loser.text() and "has another key" in loser.text(),
              "the other says what happened, and who it is now")
    stayed = first if loser is second else second
    tap.check("another process" not in stayed.text(), "the one that remains does not")
    tap.check(not stayed.info()["yielded"] and not loser.info()["yielded"], "neither is out of the flock")
    fresh = loser.info()["id"]
    tap.check(key(state) != key(copied), "its key in the state directory is the new one")
    loser.stop()
    again = f.serve("second" if loser is second else "first", ports[1] if loser is second else ports[0], "--state-dir",
                    copied if loser is second else state, "--tenant", "blue", called="web")
    took = wait_for(lambda: all(blue(n) == here for n in rest) and again.info().get("id") == fresh, 20 * SLOW)
    tap.check(took is not None and stayed.info()["id"] == old, "started again both are who they were", f"{took or 99:.2f} s")
    tap.check(f.blamed() == [], "nobody was held down for it", str(f.blamed()))


with Apart() as f:
    authority, file = os.path.join(f.dir, "authority"), os.path.join(f.dir, "{}.credentials")
    subprocess.run([program("starling"), "ca", "init", "--out", authority], check=True, capture_output=True, env=f.env("ca"))
    for name in ("n1", "n2", "n3", "web"):
        subprocess.run([program("starling"), "ca", "issue", "--flock", "default", "--name", name, "--out",
                        file.format(name), "--authority", authority], check=True, capture_output=True, env=f.env("ca"))
    given = {name: ("--credentials", file.format(name)) for name in ("n1", "n2", "n3", "web")}
    rest = [f.start("n1", "--listen", f"127.0.0.1:{f.seed}", *given["n1"])]
    rest += [f.start(n, *f.seeds(), *given[n]) for n in ("n2", "n3")]
    ports = [free_port(), free_port()]
    first = f.serve("first", ports[0], *given["web"], called="web")
    wait_for(lambda: all(set(instances(n)) == {ports[0]} for n in rest), 20 * SLOW)
    old = first.info()["id"]
    second = f.serve("second", ports[1], *given["web"], called="web")
    took = wait_for(lambda: sum(n.info().get("yielded") is True for n in (first, second)) == 1, LIMIT)
    tap.check(took is not None, "of two with the same credentials exactly one gives way", f"{took or 99:.2f} s")
    loser, stayed = (first, second) if first.info()["yielded"] else (second, first)
    port = ports[0] if stayed is first else ports[1]
    took = wait_for(lambda: all(instances(n) == {port: old} and n.alive() == 4 for n in [*rest, stayed]), LIMIT)
    tap.check(took is not None, "the flock has the other, and nobody else", f"{took or 99:.2f} s")
    name = "first" if loser is first else "second"
    tap.check("out of the flock" in loser.text() and "starling ca issue" in loser.text(), "its log says what to do")
    table = f.starling("members", name=name)
    tap.check("yielded" in table.stdout, "its list of members says so", table.stderr)
    picked = []  # once its own service has passed its check, if nobody else's is there
    wait_for(lambda: picked.append(ask(loser.socket, "pick web")) or picked[-1], LIMIT)
    tap.check((picked[-1] or {}).get("stale") is True, "what it picks is flagged stale", str(picked[-1])[:100])
    stayed.stop()
    f.nodes.pop("second" if stayed is second else "first")
    loser.stop()
    back = f.serve(name, ports[0] if loser is first else ports[1], *given["web"], called="web")
    took = wait_for(lambda: all(set(instances(n).values()) == {old} for n in rest), 20 * SLOW)
    tap.check(took is not None and not back.info()["yielded"], "with the other gone it is let in again", f"{took or 99:.2f} s")
tap.done()
