"""flock.py: nodes in real processes for the end-to-end tests.

Programs come from the directory in STARLING_BIN. Everything a test starts is ended by its process id, and
everything it writes is below one temporary directory. Waiting is always for a state, with a deadline.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

BIN = os.environ.get("STARLING_BIN", "")
# The promised times are those of a plain build; under a sanitizer everything takes a few times as long.
SLOW = 1 if os.environ.get("STARLING_VARIANT", "plain") == "plain" else 3
# What the work of yardstick.c takes in the hours that the limits on a node's own cost are for: microseconds of CPU of a
# round, milliseconds of a start. Found through the ratio of a node to it, which stays where both get several times as
# dear (a round of "wake": 390 to 800 us in one afternoon), and what a node cost then (README.md, docs/).
USUAL = {"wake": 310.0, "admit": 3000.0, "load": 4.5}

# A test that is told to end (as by timeout(1)) ends what it started as well.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("Bail out! told to end"))


class Tap:
    """Test Anything Protocol on stdout; notes on the measured figures go with the line they belong to."""

    def __init__(self):
        self.n = 0
        self.failed = 0

    def check(self, good, name, note=""):
        self.n += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.n} - {name}{' (' + note + ')' if note else ''}", flush=True)
        return good

    def done(self):
        print(f"1..{self.n}", flush=True)
        sys.exit(1 if self.failed else 0)


def program(name):
    path = os.path.join(BIN, name) if BIN else shutil.which(name)
    if not path or not os.path.exists(path):
        sys.exit(f"Bail out! no {name}: build first and set STARLING_BIN to the directory it is in")
    return path


def wait_for(state, seconds, every=0.02):
    """Poll until state() is true; the seconds it took, or None at the deadline."""
    start = time.monotonic()
    while True:
        if state():
            return time.monotonic() - start
        if time.monotonic() - start > seconds:
            return None
        time.sleep(every)


def ask(path, request, timeout=5.0):
    """One request to a debug socket; its data, or None when nobody answers."""
    try:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(timeout)
            s.connect(path)
            s.sendall((request + "\n").encode())
            line = s.makefile("rb").readline()
        answer = json.loads(line)
        return answer.get("data") if answer.get("ok") else None
    except (OSError, ValueError):
        return None


class Yardstick:
    """Processes that do work like a node's without any of ours, at a pace, beside what is measured (yardstick.c)."""

    def __init__(self, kind, hz, count=1):
        self.processes = [subprocess.Popen([program("tests/e2e/yardstick"), kind, str(hz)], stdin=subprocess.PIPE,
                                           stdout=subprocess.PIPE, text=True) for _ in range(count)]
        self.took()

    def took(self):
        """Microseconds of CPU that a round took since the last time."""
        for p in self.processes:
            p.stdin.write("\n")
            p.stdin.flush()
        answers = [json.loads(p.stdout.readline()) for p in self.processes]
        return sum(a["cpu_us"] for a in answers) / max(1, sum(a["rounds"] for a in answers))

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for p in self.processes:
            p.stdin.close()
            p.wait(10 * SLOW)


def slower(kind, took):
    """How many times slower this machine is now than the one the limits are for; never less than once, so that no
    machine is held to less than what is promised."""
    return max(1.0, took / USUAL[kind])


class Node:
    def __init__(self, flock, name, argv, env):
        self.flock, self.name = flock, name
        self.log = open(os.path.join(flock.dir, name + ".log"), "ab")
        self.process = subprocess.Popen(argv, env=env, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        self.socket = os.path.join(env["STARLING_RUNTIME_DIR"], "default", name + ".sock")

    @property
    def pid(self):
        return self.process.pid

    def members(self):
        return ask(self.socket, "members") or []

    def info(self):
        return ask(self.socket, "info") or {}

    def statuses(self):
        """Name to status; of two members with one name the live one counts."""
        out = {}
        for m in self.members():
            if out.get(m["name"]) not in ("alive", "suspect"):
                out[m["name"]] = m["status"]
        return out

    def sees(self, name, *statuses):
        return self.statuses().get(name) in statuses

    def alive(self):
        return sum(m["status"] in ("alive", "suspect") for m in self.members())

    def send(self, number):
        os.kill(self.pid, number)

    def stop(self, seconds=5.0):
        """Ask it to leave; its exit status, or None when it had to be killed."""
        if self.process.poll() is None:
            self.send(signal.SIGCONT)
            self.send(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def kill(self):
        self.send(signal.SIGKILL)
        self.process.wait()

    def text(self):
        with open(self.log.name, errors="replace") as f:
            return f.read()


class Flock:
    """Nodes that share a user's authority, and a runtime directory unless `apart`."""

    def __init__(self, apart=False):
        self.dir = tempfile.mkdtemp(prefix="starling-e2e-")
        self.apart = apart
        self.nodes = {}
        os.makedirs(os.path.join(self.dir, "config"), mode=0o700)

    def env(self, name):
        env = {k: v for k, v in os.environ.items() if not k.startswith("STARLING_")}
        run = os.path.join(self.dir, "run-" + name if self.apart else "run")
        env.update(STARLING_CONFIG_DIR=os.path.join(self.dir, "config"), STARLING_RUNTIME_DIR=run)
        return env

    def start(self, name, *options):
        argv = [program("starlingd"), "--name", name, "--log", "info", *options]
        self.nodes[name] = Node(self, name, argv, self.env(name))
        return self.nodes[name]

    def run(self, name, service, port, *command, options=()):
        argv = [program("starling"), "run", "--name", name, "--service", service, "--port", str(port),
                *options, "--", *command]
        self.nodes[name] = Node(self, name, argv, self.env(name))
        return self.nodes[name]

    def starling(self, *args, name="", timeout=20):
        return subprocess.run([program("starling"), *args], env=self.env(name), capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)

    def __getitem__(self, name):
        return self.nodes[name]

    def others(self, *but):
        return [n for n in self.nodes.values() if n.name not in but]

    def all_see(self, count, nodes=None):
        return all(n.alive() == count for n in (nodes or self.nodes.values()))

    def all_see_as(self, name, *statuses):
        return all(n.sees(name, *statuses) for n in self.others(name))

    def blamed(self, *but):
        """Everybody any node holds down, apart from `but`."""
        return sorted({(n.name, m) for n in self.nodes.values() if n.process.poll() is None
                       for m, s in n.statuses().items() if s == "down" and m not in but})

    def close(self):
        for n in self.nodes.values():
            if n.process.poll() is None:
                n.send(signal.SIGCONT)
                n.send(signal.SIGTERM)
        for n in self.nodes.values():
            n.stop()
            n.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            for n in self.nodes.values() if exception[0] is not None else ():
                print(f"# {n.name}: " + n.text()[-600:].replace("\n", f"\n# {n.name}: "), flush=True)
        finally:
            self.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
