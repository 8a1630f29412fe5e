#!/usr/bin/env python3
"""Certificates are renewed, and authorities and doors are rotated, under a flock that is used all the time. Nobody is
started anew, no request fails, no registration is missing for a moment, and nobody is suspected."""
# quick: yes
# variants: plain asan

import json
import os
import socket
import sys
import threading

from closed import Closed
from flock import SLOW, Flock, Tap, ask, free_port, wait_for

tap = Tap()
QUICK = bool(os.environ.get("STARLING_QUICK"))
SEEDS = ["s1", "s2", "s3"]
OFFERING = ["r1", "r2", "r3"]
EVERYBODY = SEEDS + OFFERING

# Says who it is to whoever connects.
SERVER = ("import socketserver, sys\n"
          "class H(socketserver.BaseRequestHandler):\n"
          "    def handle(self):\n"
          "        self.request.sendall(sys.argv[2].encode())\n"
          "class S(socketserver.ThreadingTCPServer):\n"
          "    allow_reuse_address, daemon_threads, request_queue_size = True, True, 64\n"
          "S(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n")


class Use:
    """What a flock is used for, and what is seen of it meanwhile, until it is ended."""

    def __init__(self, f):
        self.f = f
        self.requests = self.looks = 0
        self.failed, self.missing, self.events = [], [], []
        self.over = threading.Event()
        self.watches = []
        jobs = [(self.ask_all_the_time,)] * 2 + [(self.look_all_the_time,)] + [(self.watch, f[n]) for n in EVERYBODY]
        self.threads = [threading.Thread(target=job[0], args=job[1:], daemon=True) for job in jobs]
        for t in self.threads:
            t.start()

    def request(self, node):
        """Pick as this node does, connect, and hear who is there; what went wrong, or None."""
        picked = ask(node.socket, "pick web")
        if not picked:
            return f"{node.name} picks nobody"
        if picked.get("stale") or picked.get("panic"):
            return f"{node.name} picks blindly"
        try:
            with socket.create_connection((picked["host"], picked["port"]), timeout=10) as s:
                said = s.makefile().read()
        except OSError as e:
            return f"{node.name} picked {picked['name']}: {e}"
        return None if said == picked["name"] else f"{picked['name']} is {said}"

    def ask_all_the_time(self):
        while not self.over.is_set():
            for name in EVERYBODY:
                wrong = self.request(self.f[name])
                self.requests += 1
                if wrong:
                    self.failed.append(wrong)
            self.over.wait(0.02)

    def look(self, node):
        instances = [i for s in ask(node.socket, "services") or [] if s["service"] == "web" for i in s["instances"]]
        fit = sorted(i["name"] for i in instances if i["status"] == "alive" and i["health"] == "passing")
        alive = sorted(n for n, s in node.statuses().items() if s == "alive" and "guest" not in n)
        if fit != OFFERING or alive != sorted(EVERYBODY):
            self.missing.append(f"{node.name}: {fit} of {alive}")

    def look_all_the_time(self):
        while not self.over.is_set():
            for name in EVERYBODY:
                self.look(self.f[name])
                self.looks += 1
            self.over.wait(0.1)

    def watch(self, node):
        """Everything bad that its node tells, from now on: what comes may be from the start."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(node.socket)
            s.sendall(b"watch\n")
            s.settimeout(0.5)
            self.watches.append(node.name)
            rest = b""
            while not self.over.is_set():
                try:
                    got = s.recv(65536)
                except TimeoutError:
                    continue
                if not got:
                    self.events.append(f"{node.name} stopped telling")
                    return
                *lines, rest = (rest + got).split(b"\n")
                self.events += [f"{node.name}: {e['type']} {e['subject']}" for e in map(json.loads, lines)
                                if e.get("type", "member_up") not in ("member_up", "instance_added")
                                and (e["type"] != "instance_changed" or e["data"]["health"] != "passing")]

    def end(self):
        self.over.set()
        for t in self.threads:
            t.join(20)


def has(f, name):
    return f[name].info().get("certificate", {})


def taken(f, names):
    """All use the certificate that is in their file; the seconds until then."""
    expected = {n: f.show(f.file(n))["serial"] for n in names}
    return wait_for(lambda: all(has(f, n).get("serial") == expected[n] for n in names), 20 * SLOW, every=0.05)


with Closed("prod") as f:
    f.make()
    for name in [*EVERYBODY, "stray", "halfway"]:
        f.issue(name, "--tenant", "shop")
    ports = {n: free_port() for n in OFFERING}
    for name in SEEDS:
        f.join(name)
    for name in OFFERING:
        f.offer(name, "web", ports[name], sys.executable, "-c", SERVER, str(ports[name]), name)
    tap.check(wait_for(lambda: f.all_see(6) and all(
        sum(i["health"] == "passing" for s in ask(f[n].socket, "services") or [] for i in s["instances"]) == 3
        for n in EVERYBODY), 30 * SLOW) is not None, "six nodes, three of them with a service")
    ids = {n: f[n].info()["id"] for n in EVERYBODY}
    pids = {n: f[n].pid for n in EVERYBODY}
    first = {n: has(f, n)["serial"] for n in EVERYBODY}
    use = Use(f)
    wait_for(lambda: len(use.watches) == 6, 10 * SLOW)

    def step(what, *options):
        """Half of the nodes get their new file, then a guest comes with one of his own, then the others get theirs."""
        if options:
            f.ca("rotate", *options)
        took = 0
        for half in (EVERYBODY[::2], EVERYBODY[1::2]):
            f.ca("rotate", "--days", "0.01", *[f.file(n) for n in half])
            took = max(took, taken(f, half) or 99)
            if options and half == EVERYBODY[::2]:
                guests.append(guest(len(guests)))
        tap.check(took < 20 * SLOW, f"{what}: every node has taken its new file", f"the last after {took:.2f} s")

    def guest(number):
        """Whether all six saw him, who is of the step that not all have taken yet; he leaves again."""
        name = f"guest{number}"
        f.issue(name, "--tenant", "shop")
        n = f.join(name)
        came = wait_for(lambda: all(f[e].sees(name, "alive") for e in EVERYBODY), 20 * SLOW)
        n.stop()
        gone = wait_for(lambda: all(f[e].sees(name, "left") for e in EVERYBODY), 20 * SLOW)
        del f.nodes[name], f.ports[name]
        return came is not None and gone is not None

    guests = []
    for i in range(1 if QUICK else 3):
        step("renewed")
    tap.check(all(has(f, n)["serial"] != first[n] and has(f, n)["state"] == "valid" for n in EVERYBODY)
              and "certificate " + has(f, "s1")["serial"] in f["s1"].text(), "info and log say which certificate is in use")
    step("another key for a tenant", "--tenant", "shop", "--flock", "prod")
    tap.check(all(open(f.file(n)).read().count("grant = ") == 2 for n in EVERYBODY), "which is there beside the one before")
    step("a second authority added", "--add")
    step("the new authority signs", "--swap")
    step("the old authority gone", "--retire")
    step("a second door added", "--door", "--add")
    step("the new door listened on", "--door", "--swap")
    step("the old door shut", "--door", "--retire")
    done = use.requests  # what was done last is to be seen in use too
    wait_for(lambda: use.requests > done + 50, 20 * SLOW)
    use.end()

    tap.check(use.requests > 100 and use.failed == [], "no request failed", f"{use.requests} requests {use.failed[:2]}")
    tap.check(use.looks > 30 and use.missing == [], "no registration and no member was missing in any registry at any look",
              f"{use.looks} looks {use.missing[:2]}")
    tap.check(guests == [True] * 7, "in the middle of each step all could be reached by one who came", str(guests))
    bad = [e for e in use.events if "guest" not in e]
    tap.check(bad == [], "no node had anything bad to tell of another", str(bad[:3]))
    odd = [e for e in use.events if "guest" in e and "member_left" not in e]
    tap.check(odd == [], "guests left and did nothing else", f"{len(use.events)} events {odd[:3]}")
    tap.check({n: f[n].info().get("id") for n in EVERYBODY} == ids and {n: f[n].pid for n in EVERYBODY} == pids
              and all(f[n].process.poll() is None for n in EVERYBODY), "all are who they were, in the same processes")
    tap.check(all((has(f, n)["authorities"], has(f, n)["doors"]) == (1, 1) for n in EVERYBODY),
              "each trusts one authority behind one door")

    # ---- who has what is no longer trusted, and who has what is ------------------------------------
    f.issue("newcomer")
    f.join("newcomer")
    tap.check(wait_for(lambda: f.all_see(7), 20 * SLOW) is not None, "a node with the new door and a new certificate joins")
    failed = {n: f[n].info()["transport"]["handshakes_failed"] for n in EVERYBODY}
    stray = f.join("stray")
    tap.check(wait_for(lambda: any(f[n].info()["transport"]["handshakes_failed"] > failed[n] for n in EVERYBODY),
                       20 * SLOW) is not None and stray.alive() == 1, "one with the old door does not get as far as a hello")
    doors = [line for line in open(f.file("s1")).read().splitlines() if line.startswith("door")]
    old = [line for line in open(f.file("halfway")).read().splitlines() if not line.startswith(("door", "check"))]
    with open(f.file("halfway"), "w") as out:
        out.write("\n".join(old + doors) + "\n")
    halfway = f.join("halfway")
    tap.check(wait_for(lambda: any('calls itself "halfway"' in f[n].text() and "not signed by an authority" in f[n].text()
                                   for n in EVERYBODY), 20 * SLOW) is not None and halfway.alive() == 1,
              "one with the new door and a certificate of the old authority is refused")

    # ---- what a node does not take ----------------------------------------------------------------
    def kept(what, *words):
        before = has(f, "s1")
        return tap.check(wait_for(lambda: all(w in f["s1"].text() for w in words), 20 * SLOW) is not None
                         and has(f, "s1") == before and f["s1"].sees("s2", "alive"), what)

    good = open(f.file("s1")).read()
    with open(f.file("s1"), "w") as out:
        out.write(good[:len(good) // 2])
    kept("half a file is refused, and said", 'node "s1" goes on with what it has')
    os.remove(f.file("s1"))
    f.issue("s1")
    kept("another key likewise", "start the node anew to become another node")
    os.remove(f.file("s1"))
    with open(f.file("s1"), "w", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
        out.write(good)
    f.ca("rotate", f.file("s1"))
    tap.check(taken(f, ["s1"]) is not None and f["s1"].info()["id"] == ids["s1"],
              "and a good one that follows is taken")
    name = OFFERING[0]
    old = f.file(name) + ".old"
    os.rename(f.file(name), old)
    f.issue(name, "--key", old, "--service", "db-*")
    tap.check(wait_for(lambda: 'others ignore service "web"' in f[name].text(), 20 * SLOW) is not None
              and wait_for(lambda: all(name not in [i["name"] for s in ask(f[n].socket, "services") or [] for i in s["instances"]]
                                       for n in EVERYBODY if n != name), 20 * SLOW) is not None,
              "a service that new credentials do not allow is ignored by others, and its node says so")
# ---- nodes that issue themselves a certificate -----------------------------------------------------
with Flock() as f:
    names = ["n1", "n2", "n3"]
    for name in names:
        f.start(name)
    tap.check(wait_for(lambda: f.all_see(3), 20 * SLOW) is not None, "three nodes of one user see each other")
    took = []
    for options in (["--add"], ["--swap"], ["--retire"], ["--door", "--add"], ["--door", "--swap"], ["--door", "--retire"]):
        before = {n: has(f, n) for n in names}
        r = f.starling("ca", "rotate", *options)
        took.append(None if r.returncode else wait_for(lambda: all(has(f, n)["serial"] != before[n]["serial"] for n in names),
                                                       20 * SLOW))
    tap.check(None not in took, "after each step of a rotation they issue themselves a certificate anew", str(took))
    f.start("n4")
    tap.check(wait_for(lambda: f.all_see(4), 20 * SLOW) is not None and f.blamed() == []
              and all((has(f, n)["authorities"], has(f, n)["doors"]) == (1, 1) for n in names),
              "and are one flock with who comes later")
tap.done()
