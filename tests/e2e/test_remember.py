#!/usr/bin/env python3
"""The power goes: every process is killed at once. A node that starts alone still finds what it knew, and says that
it may be old; once the flock is back, what did not come back is forgotten."""
# quick: yes
# variants: plain asan

import json
import os
import signal
import sys

from flock import SLOW, Flock, Tap, ask, free_port, wait_for

tap = Tap()
SERVER = ("import http.server, sys\n"
          "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()\n")


def instances(node):
    return {i["port"]: i["status"] for s in ask(node.socket, "services") or [] for i in s["instances"]}


def state(f, name):
    return ("--state-dir", os.path.join(f.dir, "state-" + name))


def serve(f, name, port):
    return f.run(name, "web", port, sys.executable, "-c", SERVER, str(port), options=state(f, name))


with Flock() as f:
    ports = [free_port(), free_port()]
    n1 = f.start("n1", *state(f, "n1"))
    for i, port in enumerate(ports):
        serve(f, f"w{i}", port)
    took = wait_for(lambda: set(instances(n1)) == set(ports), 20)
    tap.check(took is not None, "two instances are there", f"{took or 99:.2f} s")
    snapshot = os.path.join(f.dir, "state-n1", "snapshot")
    took = wait_for(lambda: os.path.exists(snapshot) and all(b"w%d" % i in open(snapshot, "rb").read() for i in (0, 1)), 15)
    tap.check(took is not None, "and soon on the disk", f"{took or 99:.2f} s")

    for n in f.nodes.values():
        n.send(signal.SIGKILL)
    for n in f.nodes.values():
        n.process.wait()

    n1 = f.start("n1", *state(f, "n1"))
    picked = []
    took = wait_for(lambda: picked.append(ask(n1.socket, "pick web")) or picked[-1], 10, every=0.001)
    who = picked[-1] or {}
    tap.check(took is not None and who.get("port") in ports and who.get("stale") and who.get("status") == "suspect",
              "alone it picks what it knew, as stale", f"{1000 * (took or 99):.0f} ms from starting the process")
    tap.check(n1.info().get("remembered") == 2, "and says how many it only remembers", str(n1.info().get("remembered")))

    serve(f, "w0", ports[0])
    took = wait_for(lambda: instances(n1) == {ports[0]: "alive"}, 20)
    tap.check(took is not None and took < 10 * SLOW, "one comes back, the other is forgotten", f"{took or 99:.2f} s")
    answer = f.starling("pick", "web", "--json", "--node", "n1")
    who = json.loads(answer.stdout or "{}")
    tap.check(who.get("port") == ports[0] and who.get("stale") is False, "and picks are not stale any more", answer.stderr)
    tap.check(n1.info().get("remembered") == 0, "nothing is only remembered")

# ---- whom an authority took back meanwhile ----------------------------------------------------------------------
with Flock() as f:
    ports = [free_port(), free_port(), free_port()]
    n1 = f.start("n1", *state(f, "n1"))
    for i, port in enumerate(ports):
        serve(f, f"w{i}", port)
    snapshot = os.path.join(f.dir, "state-n1", "snapshot")
    took = wait_for(lambda: set(instances(n1)) == set(ports) and os.path.exists(snapshot)
                    and all(b"w%d" % i in open(snapshot, "rb").read() for i in range(3)), 20 * SLOW)
    tap.check(took is not None, "three more are remembered", f"{took or 99:.2f} s")
    ids = [f[f"w{i}"].info()["id"] for i in range(3)]
    for n in f.nodes.values():
        n.kill()

    def revoke(i):
        r = f.starling("ca", "revoke", "--flock", "default", "--id", ids[i], "--authority",
                       os.path.join(f.dir, "config", "authority"))
        return r.returncode == 0

    good = revoke(0)
    n1 = f.start("n1", *state(f, "n1"))
    took = wait_for(lambda: set(instances(n1)) == set(ports[1:]), 10 * SLOW)
    tap.check(good and took is not None, "who was revoked while it was away is not remembered", str(instances(n1)))
    good = revoke(1)
    took = wait_for(lambda: set(instances(n1)) == set(ports[2:]), 10 * SLOW)
    tap.check(good and took is not None and n1.info()["remembered"] == 1,
              "nor who is revoked before the flock has answered", f"{took or 99:.2f} s")
tap.done()
