#!/usr/bin/env python3
"""Flocks of two and of three fail over like big ones."""
# variants: plain asan tsan

import signal
import time

from flock import SLOW, Flock, Tap, wait_for

tap = Tap()
for size in (2, 3):
    with Flock() as f:
        for i in range(size):
            f.start(f"n{i}")
        took = wait_for(lambda: f.all_see(size), 15)
        tap.check(took is not None, f"{size} nodes find each other", f"{took or 0:.2f} s")
        rest = f.others("n0")

        f["n0"].send(signal.SIGSTOP)
        at = time.monotonic()
        wait_for(lambda: time.monotonic() - at >= 2, 3, every=0.01)  # the fault itself lasts 2 s
        f["n0"].send(signal.SIGCONT)
        seen = wait_for(lambda: f.blamed() != [], 2, every=0.05)
        tap.check(seen is None, f"{size}: a stop of 2 s makes nobody down", str(f.blamed()) if seen else "")

        f["n0"].send(signal.SIGSTOP)
        took = wait_for(lambda: all(n.sees("n0", "down") for n in rest), 20)
        tap.check(took is not None and took < 6 * SLOW, f"{size}: a stopped node is down within 6 s", f"{took or 99:.2f} s")
        f["n0"].send(signal.SIGCONT)
        took = wait_for(lambda: all(n.sees("n0", "alive") for n in rest) and f["n0"].alive() == size, 10)
        tap.check(took is not None and took < 3 * SLOW, f"{size}: and back within 3 s of SIGCONT", f"{took or 99:.2f} s")

        f["n0"].kill()
        took = wait_for(lambda: all(n.sees("n0", "down") for n in rest), 5, every=0.005)
        tap.check(took is not None and took < 0.5 * SLOW, f"{size}: a killed node is down within 0.5 s", f"{took or 99:.3f} s")
        del f.nodes["n0"]
        f.start("n0")
        took = wait_for(lambda: all(n.sees("n0", "alive") for n in f.nodes.values()), 10)
        tap.check(took is not None, f"{size}: its successor of the same name is found", f"{took or 99:.2f} s")

        last = f["n0"]
        code = last.stop()
        del f.nodes["n0"]
        took = wait_for(lambda: all(n.sees("n0", "left", None) for n in f.nodes.values()), 3)
        tap.check(code == 0 and took is not None, f"{size}: SIGTERM leaves in words, exit status 0", f"{took or 99:.2f} s")
tap.done()
