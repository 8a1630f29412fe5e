#!/usr/bin/env python3
"""A flock whose certificates have all ended, and that is started anew: it says so, comes up among its likes, is let in by
nobody whose own certificate is good, and is one flock with him when it has been renewed, with no further start."""
# quick: yes
# variants: plain asan

import os

from closed import Closed, utc
from flock import SLOW, Tap, wait_for

tap = Tap()
HOUR = 3600
OLD = ["n1", "n2", "n3", "n4"]


def says(node, *words):
    return wait_for(lambda: any(all(w in line for w in words) for line in node.text().splitlines()), 20 * SLOW) is not None


with Closed("prod") as f:
    f.make()
    for name in [*OLD, "bad"]:
        f.issue(name, "--from", utc(-25 * HOUR - 60), "--days", "1")  # ended an hour ago
    f.ca("revoke", "--file", f.file("bad"))
    with open(f.file("n1") + ".revoked", "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
        out.write(open(f.authority + ".revoked", "rb").read())
    for name in OLD:
        f.join(name)
    took = wait_for(lambda: f.all_see(4), 20 * SLOW)
    tap.check(took is not None, "four nodes whose certificates ended an hour ago are one flock", f"{took or 99:.2f} s")
    tap.check(all(says(f[n], " error ", f'"{n}" has expired', "22 hours", "starling ca rotate") for n in OLD),
              "each says so in its log, for how long, and what to do",
              next((line[25:] for line in f["n1"].text().splitlines() if "has expired" in line), "")[:150])
    certificate = f["n2"].info().get("certificate", {})
    tap.check(certificate.get("state") == "expired" and "starling ca rotate" in certificate.get("note", ""),
              "and so does info", str(certificate)[:120])

    bad = f.join("bad")
    tap.check(says(bad, "refused our hello") and bad.alive() == 1, "who was revoked stays out among them too")
    bad.stop()
    del f.nodes["bad"], f.ports["bad"]

    f.issue("good")
    good = f.join("good")
    tap.check(says(good, " warning ", "has expired") and good.alive() == 1,
              "one with a good certificate takes none of them, and says why")
    tap.check(f.all_see(4, [f[n] for n in OLD]), "nor do they see it")

    f.ca("rotate", "--days", "1", *[f.file(n) for n in OLD])
    took = wait_for(lambda: f.all_see(5) and all(f[n].info()["certificate"]["state"] == "valid" for n in OLD), 60 * SLOW)
    tap.check(took is not None and f.blamed() == [], "renewed, they are one flock with it, and nobody was started anew",
              f"{took or 99:.2f} s")
    for n in OLD:
        f[n].stop()
    tap.check(wait_for(lambda: good.alive() == 1, 20 * SLOW) is not None, "they leave")

    f.issue("gone", "--from", utc(-50 * HOUR), "--days", "1")  # ended 26 hours ago
    n = f.join("gone")
    tap.check(wait_for(lambda: n.process.poll() == 1, 20 * SLOW) is not None and "has expired" in n.text(),
              "more than a day behind its end a node does not start, and says why", n.text().strip()[-150:])
tap.done()
