#!/usr/bin/env python3
"""compare_sim.py: the simulator against reality. Twenty nodes in real processes and twenty in starling-sim
live through the same: a crash, a freeze, a blink, a goodbye, a new weight, a new service, a newcomer. Prints
a table of the medians; status 0 when each of the simulator's is within 30 % of the real one, or 20 ms.

    STARLING_BIN=DIR python3 tests/e2e/compare_sim.py [--rounds N] [--seeds N] [--json FILE] [--quick]

Run it on a quiet machine; it takes about six minutes, with --quick three. No test of tests/run: what it
measures is time, and others who use the machine show in it.

What is measured is the same on both sides:

- *told*: the line of a watch on the debug socket. A node tells its watchers at most every 100 ms
  (node/feed.h, SL_BATCH): what comes within 100 ms of the line before waits. The simulator has no watches;
  its verdicts (--verbose) are taken through the same rule here.
- *asked*: the core's own verdict. A few nodes are asked over their debug sockets every 4 ms, only while it
  is awaited. In the simulator, the verdict itself (detect_ms).

The simulated world is set up like this machine: all nodes on one host, and, where starling-sim has such
settings, with its processors and with the measured costs of an input, of a handshake and of a connection's
end (three nodes of their own, of which one is killed again and again, show that). One that gives
each node a processor of its own cannot tell what twenty on two do: then `asked` is missed for crash and join.

A round's figure is the median of its observers, or the last of them where it says so; a seed's likewise."""

import argparse
import collections
import json
import os
import random
import re
import selectors
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from flock import Flock, program, wait_for

N = 20
OFFERING = 6        # of them run `starling run`, for starlingd has no service whose weight could change
BATCH = 0.1         # s, node/feed.h
ASK_EVERY = 0.004   # s
ASKED = 4           # observers of a round
QUIET = 3.0         # s without an event: the flock has settled, and who came back may be judged again
REST = 5            # s in which it is seen what a flock uses at rest
ENDS = 7            # times that one of three is killed
END_AFTER = 0.5     # s in which what it takes to say so is over
SHIFT = 20          # s after which every edge has had its first turn
BLINK_AFTER = 7.0   # s after a blink in which nobody may fall: the longest hold is 5 s
NEAR, NEAR_MS = 0.30, 20.0

# A message on the loopback passes two threads of libzmq; stated, not measured.
DELAY = "50us..200us"


class Stop(Exception):
    """A signal asks for the end."""


class Ends:
    """SIGINT, SIGTERM and SIGHUP end the run in order, but not between a fork and the note of its pid."""

    def __init__(self):
        self.held, self.wanted = False, False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)

    def on_signal(self, number, frame):
        self.wanted = True
        if not self.held:
            raise Stop(signal.Signals(number).name)

    def __enter__(self):
        self.held = True

    def __exit__(self, *exception):
        self.held = False
        if self.wanted:
            raise Stop("signal")


# ---- listening ------------------------------------------------------------------------------------


class Stream:
    """One connection to a debug socket, and what its lines are for."""

    def __init__(self, node, request):
        self.name, self.rest = node.name, b""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(node.socket)
        self.socket.sendall(request)

    def lines(self):
        """What has come; None at the end."""
        try:
            data = self.socket.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            return None
        *lines, self.rest = (self.rest + data).split(b"\n")
        return lines


class Question(Stream):
    """Asks again and again until the answer has `wanted` in it."""

    def __init__(self, node, request, wanted):
        self.request, self.wanted = request, wanted
        self.waits, self.again = True, 0.0
        super().__init__(node, request)

    def ask(self, now):
        if not self.waits and now >= self.again:
            self.waits = True
            self.socket.sendall(self.request)


class Ear:
    """Hears what all nodes tell, and notes when each told what first."""

    def __init__(self):
        self.selector = selectors.DefaultSelector()
        self.questions = set()
        self.lags = []      # from a node's own time of an event to our hearing of it, s
        self.last = 0.0
        self.clear()

    def clear(self):
        self.told = {}      # (type, subject) to observer to time
        self.answered = {}  # observer to time

    def add(self, stream):
        self.selector.register(stream.socket, selectors.EVENT_READ, stream)

    def watch(self, node, request=b"watch\n"):
        self.add(Stream(node, request))

    def ask(self, nodes, request, wanted):
        for n in nodes:
            q = Question(n, request, wanted)
            self.questions.add(q)
            self.add(q)

    def drop(self, stream):
        self.selector.unregister(stream.socket)
        stream.socket.close()
        self.questions.discard(stream)

    def hear_answer(self, q, lines, now):
        q.waits, q.again = False, now + ASK_EVERY
        if any(q.wanted in line for line in lines):
            self.answered[q.name] = now
            self.drop(q)

    def hear_events(self, stream, lines, now):
        wall = time.time()
        for line in lines:
            e = json.loads(line)
            if "type" not in e:
                continue
            if e["type"] == "resync":
                sys.exit(f"{stream.name} lost events: the machine is too busy to measure on")
            self.told.setdefault((e["type"], e["subject"]), {}).setdefault(stream.name, now)
            self.last = now
            at = time.mktime(time.strptime(e["at"][:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
            self.lags.append(wall - at - float(e["at"][19:23]))

    def listen(self, until, seconds):
        """Until it is true; False at the deadline."""
        end = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            if now >= end:
                return False
            for q in self.questions:
                q.ask(now)
            pause = min(end - now, ASK_EVERY / 4 if self.questions else 0.1)
            for key, _ in self.selector.select(pause):
                now, lines = time.monotonic(), key.data.lines()
                if lines is None:
                    self.drop(key.data)
                elif isinstance(key.data, Question):
                    self.hear_answer(key.data, lines, now)
                else:
                    self.hear_events(key.data, lines, now)
        return True

    def settle(self):
        self.last = time.monotonic()
        if not self.listen(lambda: time.monotonic() - self.last > QUIET, 60):
            sys.exit("the flock does not come to rest")

    def times(self, subject, *types):
        """Observer to the time at which it first told any of these."""
        out = {}
        for t in types:
            for name, at in self.told.get((t, subject), {}).items():
                out[name] = min(at, out.get(name, at))
        return out

    def felled(self, but):
        """Who was said to be down, by whom, apart from `but`."""
        return [(who, by) for (t, who), all_by in self.told.items() if t == "member_down" and who != but
                for by in all_by]


# ---- real processes -------------------------------------------------------------------------------


def ms(times, since):
    return [(t - since) * 1000 for t in times]


# Seconds on a processor, messages, handshakes (each at both ends), connections that ended, seconds.
Used = collections.namedtuple("Used", "cpu messages handshakes ends at")


class Meter:
    """What all nodes of a flock used; what they use at rest can be taken off."""

    def __init__(self, flock, ear):
        self.f, self.ear, self.rest = flock, ear, Used(0, 0, 0, 0, 0)

    def cpu(self):
        return sum(cpu_of(n.pid) for n in self.f.nodes.values())

    def counts(self):
        infos = [n.info() for n in self.f.nodes.values()]
        return [sum(i[room][name] for i in infos) for room, name in
                (("gossip", "messages_in"), ("transport", "handshakes"), ("gossip", "links_down"))]

    def read(self):
        counts = self.counts()  # first: what it costs to ask is not what they used from now on
        return Used(self.cpu(), *counts, time.monotonic())

    def since(self, before):
        now = Used(self.cpu(), *self.counts(), time.monotonic())
        used = Used(*(now - then for now, then in zip(now, before)))
        return Used(*(x - r * used.at for x, r in zip(used, self.rest)))

    def at_rest(self, seconds):
        self.rest = Used(0, 0, 0, 0, 0)
        before = self.read()
        self.ear.listen(lambda: False, seconds)
        used = self.since(before)
        self.rest = Used(*(x / used.at for x in used))


class Real:
    """The flock, and a method for each thing that happens to it."""

    def __init__(self, flock, ends, rounds):
        self.f, self.ends, self.rounds = flock, ends, rounds
        self.ear = Ear()
        self.rand = random.Random(1)
        self.figures = {}
        self.wrong = []
        self.killed = set()
        self.next = N - OFFERING
        self.ports = {}
        self.meter = Meter(flock, self.ear)

    def note(self, name, *values):
        self.figures.setdefault(name, []).extend(values)

    def must(self, good, what):
        if not good:
            sys.exit(f"given up: {what}")

    def start(self):
        for i in range(N - OFFERING):
            with self.ends:
                self.f.start(f"n{i}")
        for i in range(OFFERING):
            s = socket.socket()
            s.bind(("127.0.0.1", 0))  # bound: nobody else gets the port; not listening: not offered yet
            self.ports[f"s{i}"] = s
            with self.ends:
                self.f.run(f"s{i}", f"x{i}", s.getsockname()[1], "sleep", "3600")
        self.must(wait_for(lambda: self.f.all_see(N), 30, every=0.1), f"{N} nodes do not find each other")
        for n in self.f.nodes.values():
            self.ear.watch(n)
        self.ear.settle()

    def seeds(self):
        """Those that run starlingd."""
        return [n for n in self.f.nodes.values() if n.name not in self.ports]

    def others(self, node):
        return {n.name for n in self.f.others(node.name)}

    def done(self, subject):
        """A round is over: nobody else may have fallen in it."""
        felled = [(who, by) for who, by in self.ear.felled(subject) if who not in self.killed]
        self.wrong += felled
        self.note("wrong", len(felled))

    def await_told(self, node, seconds, *types):
        others = self.others(node)
        good = self.ear.listen(lambda: others <= self.ear.times(node.name, *types).keys(), seconds)
        self.must(good, f"{types[-1]} of {node.name} did not come everywhere within {seconds} s")
        times = self.ear.times(node.name, *types)
        return [times[n] for n in others]

    def freeze(self, node):
        self.ear.clear()
        at = time.monotonic()
        node.send(signal.SIGSTOP)
        down = self.await_told(node, 20, "member_down")
        self.note("freeze suspected", statistics.median(
            ms(self.ear.times(node.name, "member_suspect", "member_down").values(), at)))
        self.note("freeze told", statistics.median(ms(down, at)))
        self.note("freeze last", max(ms(down, at)))
        node.send(signal.SIGCONT)
        self.await_told(node, 20, "member_up")
        self.ear.settle()
        self.done(node.name)

    def blink(self, node):
        self.ear.clear()
        node.send(signal.SIGSTOP)
        self.ear.listen(lambda: False, 2.0)  # the fault itself lasts 2 s
        node.send(signal.SIGCONT)
        self.ear.listen(lambda: False, BLINK_AFTER)
        self.note("blink", len(self.ear.felled(None)))
        self.note("blink suspected", len(self.ear.times(node.name, "member_suspect")))

    def offer(self, node):
        """From its own word of it to the last other's: when exactly its check passed only it knows."""
        self.ear.clear()
        self.ports[node.name].listen(16)
        subject, others = f"x{node.name[1:]}@{node.name}", self.others(node)
        all_of = others | {node.name}
        good = self.ear.listen(lambda: all_of <= self.ear.times(subject, "instance_added").keys(), 10)
        self.must(good, f"the service of {node.name} did not come everywhere")
        times = self.ear.times(subject, "instance_added")
        self.note("offer last", max(ms((times[n] for n in others), times[node.name])))

    def weight(self, node, weight):
        self.ear.clear()
        subject, others = f"x{node.name[1:]}@{node.name}", self.others(node)
        control = socket.socket(socket.AF_UNIX)
        control.connect(node.socket)
        at = time.monotonic()
        control.sendall(f"weight {subject.split('@')[0]} {weight}\n".encode())
        good = self.ear.listen(lambda: others <= self.ear.times(subject, "instance_changed").keys(), 10)
        control.close()
        self.must(good, f"the weight of {node.name} did not come everywhere")
        times = self.ear.times(subject, "instance_changed")
        self.note("weight last", max(ms((times[n] for n in others), at)))
        self.ear.listen(lambda: False, 1.5 * BATCH)  # what is told next must not wait for this

    def join(self):
        self.ear.clear()
        name, self.next = f"n{self.next}", self.next + 1
        before = self.meter.read()
        spawned = time.monotonic()
        with self.ends:
            node = self.f.start(name)
        self.must(wait_for(lambda: os.path.exists(node.socket), 10, every=0.0005), f"{name} does not start")
        at = time.monotonic()
        own = cpu_of(node.pid)  # before its node began
        self.ear.watch(node, b'{"cmd":"watch","since":0}\n')
        self.ear.ask([node], b"info\n", f'"alive":{len(self.f.nodes)},'.encode())
        others = self.others(node)

        def first_told():
            """When it told first of each of them, and each of them of it; those who have."""
            mine = [self.ear.told.get(("member_up", other), {}) for other in others]
            return ([by[name] for by in mine if name in by], list(self.ear.times(name, "member_up").values()))

        def all_see_all():
            n_told = sum(map(len, first_told()))
            return n_told == 2 * len(others) + 1 and name in self.ear.answered  # each of each, it of itself

        self.must(self.ear.listen(all_see_all, 30), f"{name} is not seen by all, or does not see all")
        mine, theirs = first_told()
        self.note("join asked", max(ms(theirs + [self.ear.answered[name]], at)))
        self.note("join told", max(ms(mine + theirs, at)))
        self.note("join start", (at - spawned) * 1000)
        used = self.meter.since(before)
        for_links = (used.cpu - own) * 1e6 - used.messages * self.cost_us
        self.note("link cost", for_links / max(used.handshakes, 1))
        self.ear.settle()
        self.done(None)

    def leave(self, node):
        self.ear.clear()
        at = time.monotonic()
        node.send(signal.SIGTERM)
        left = self.await_told(node, 10, "member_left")
        self.note("leave told", statistics.median(ms(left, at)))
        self.note("leave last", max(ms(left, at)))
        self.gone(node)

    def crash(self, node):
        asked = self.rand.sample(self.f.others(node.name), ASKED)
        self.ear.clear()
        self.ear.ask(asked, f"info {node.name}\n".encode(), b'"status":"down"')
        self.ear.listen(lambda: False, 3 * ASK_EVERY)
        at = time.monotonic()
        node.send(signal.SIGKILL)
        self.killed.add(node.name)  # newcomers will hear that it is down
        down = self.await_told(node, 10, "member_down")
        self.must(self.ear.listen(lambda: not self.ear.questions, 5), "those asked do not say down")
        doubt = self.ear.times(node.name, "member_suspect", "member_down").values()
        self.note("crash suspected", statistics.median(ms(doubt, at)))
        self.note("crash asked", statistics.median(ms(self.ear.answered.values(), at)))
        self.note("crash told", statistics.median(ms(down, at)))
        self.gone(node)

    def gone(self, node):
        node.process.wait()
        node.log.close()
        del self.f.nodes[node.name]
        self.ear.settle()
        self.done(node.name)

    def end(self):
        """One of three is killed: what the other two use for that."""
        with self.ends:
            node = self.f.start(f"e{self.next}")
        self.next += 1
        self.must(wait_for(lambda: self.f.all_see(3), 30, every=0.1), f"{node.name} and two others do not meet")
        self.ear.settle()
        self.killed.add(node.name)
        with self.ends:
            del self.f.nodes[node.name]
            self.meter.at_rest(END_AFTER)
            before = self.meter.read()
            node.send(signal.SIGKILL)
            node.process.wait()
            node.log.close()
        self.must(self.ear.listen(lambda: len(self.ear.times(node.name, "member_down")) == 2, 10),
                  f"{node.name} is not said to be down")
        self.ear.listen(lambda: False, END_AFTER)
        self.ear.clear()
        self.note("end", self.meter.since(before))

    def run_few(self):
        """The cost of a connection's end, where little else happens."""
        say("killing one of three")
        for i in range(2):
            with self.ends:
                self.f.start(f"n{i}")
        self.must(wait_for(lambda: self.f.all_see(2), 30, every=0.1), "two nodes do not meet")
        for n in self.f.nodes.values():
            self.ear.watch(n)
        self.ear.settle()
        for _ in range(ENDS):
            self.end()

    def weights(self):
        offering = [self.f[name] for name in self.ports]
        for n in offering:
            self.offer(n)
            self.ear.settle()
        self.meter.at_rest(REST)
        for i in range(3 * self.rounds):
            before = self.meter.read()
            self.weight(offering[i % OFFERING], 200 + i)
            used = self.meter.since(before)
            self.note("cost", used.cpu * 1e6 / max(used.messages, 1))
        self.cost_us = max(statistics.median(self.figures["cost"]), 1)

    def run(self):
        say("starting")
        self.start()
        begin = time.monotonic()
        say("services and weights")
        self.weights()
        # In the first shift (16 s) beats are not spread yet: detection takes longer, here and there.
        self.ear.listen(lambda: False, max(begin + SHIFT - time.monotonic(), 0))
        victims = self.rand.sample(self.seeds(), min(self.rounds, N - OFFERING))
        say("freezing")
        for n in victims:
            self.freeze(n)
        say("blinking")
        for n in victims[:(self.rounds + 1) // 2]:
            self.blink(n)
        for i in range(self.rounds):
            say(f"joining, leaving, crashing: {i + 1} of {self.rounds}")
            self.join()
            self.leave(self.rand.choice(self.seeds()))
            self.join()
            self.crash(self.rand.choice(self.seeds()))


def cpu_of(pid):
    """Seconds on a processor, over all threads."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


# ---- the simulator --------------------------------------------------------------------------------

# As the real rounds: a flock at rest, one thing happens, with the flock's size at that time.
SCENARIOS = {
    "freeze": f"nodes {N}\nlet v any:1\nat 25s freeze v\nat 40s thaw v\nuntil 50s",
    "blink": f"nodes {N}\nlet v any:1\nat 25s freeze v\nat 27s thaw v\nuntil 36s",
    "crash": f"nodes {N + 1}\nlet v any:1\nat 25s kill v\nuntil 32s",
    "leave": f"nodes {N + 1}\nlet v any:1\nat 25s leave v\nuntil 32s",
    "join": f"nodes {N + 1}\nlet j last:1\nbegin all!j\nat 25s start j\n"
            "at 25s measure converge within 30s\nuntil 32s",
    # node/ says every change of a weight with urgency; the scenario's word for that is `health`.
    "weight": f"nodes {N}\nevery 1s from 25s to 44s health any:1\nuntil 48s",
    "offer": f"nodes {N}\nevery 1s from 25s to 44s record any:1\nuntil 48s",
}
ACTION = {"freeze": "freezes", "blink": "freezes", "crash": "is killed", "leave": "leaves", "join": "starts"}
LINE = re.compile(r" *([0-9.]+)  node (\d+) (?:(freezes|is killed|leaves|starts)$|holds node (\d+) (\w+)$)")


def told(verdicts):
    """What a watch makes of one node's verdicts [(time, whom, status)]: at most one delivery in BATCH."""
    out, last = [], float("-inf")
    for t, whom, status in verdicts:
        last = t if t >= last + BATCH else last if t <= last else last + BATCH
        out.append((last, whom, status))
    return out


class Run:
    """One world: the document it prints, and its verdicts after the event that it is about."""

    def __init__(self, scenario, document, trace):
        self.document, self.subject, self.at = document, None, 0.0
        verdicts = {}
        for line in trace.splitlines():
            m = LINE.match(line)
            if m and m[3] == ACTION.get(scenario):
                self.subject, self.at = int(m[2]), float(m[1])
                # A newcomer tells of itself when it starts, and the others wait for the next time.
                verdicts = {self.subject: [(self.at, self.subject, "alive")]} if scenario == "join" else {}
            elif m and m[4]:
                verdicts.setdefault(int(m[2]), []).append((float(m[1]), int(m[4]), m[5]))
        self.verdicts = verdicts
        self.told = {node: told(list_of) for node, list_of in verdicts.items()}

    def first(self, of, *statuses):
        """Times in ms at which observers first held, or told of, the subject so."""
        out = []
        for list_of in of.values():
            times = [t for t, whom, status in list_of if whom == self.subject and status in statuses]
            out += ms(times[:1], self.at)
        return out

    def last_alive(self, of):
        times = [t for list_of in of.values() for t, _, status in list_of if status == "alive"]
        return max(ms(times, self.at))

    def falls(self, but=None):
        return sum(status == "down" and whom != but for list_of in self.verdicts.values()
                   for _, whom, status in list_of)


def simulator():
    return os.environ.get("STARLING_SIM") or program("starling-sim")


def end_us(few, real):
    """A connection's end, with all that follows from it but messages."""
    return statistics.median((u.cpu * 1e6 - u.messages * real.cost_us) / max(u.ends, 1) for u in few.figures["end"])


def world(few, real):
    """Settings of a world like this machine; what this starling-sim does not know yet is left out."""
    known = subprocess.run([simulator(), "--help"], capture_output=True, text=True, timeout=20).stdout
    settings = {
        "delay": DELAY,
        "cost": f"{round(real.cost_us)}us",
        "link_cost": f"{max(round(statistics.median(real.figures['link cost'])), 0)}us",
        "end_cost": f"{max(round(end_us(few, real)), 0)}us",
        "processors": os.cpu_count(),
        "per_host": N + 1,
        "seeds": N + 1,  # each finds every other in the runtime directory
        "lasting": "no",
    }
    return {k: v for k, v in settings.items() if re.search(rf"^  {k} ", known, re.MULTILINE)}


def simulate(scenario, text, seeds, settings):
    runs = []
    with tempfile.TemporaryDirectory(prefix="starling-compare-") as d:
        path = os.path.join(d, scenario + ".scn")
        with open(path, "w") as f:
            f.write(text + "\n")
        for seed in range(1, seeds + 1):
            argv = [simulator(), "--scenario", path, "--seed", str(seed), "--verbose"]
            for k, v in settings.items():
                argv += ["--set", f"{k}={v}"]
            p = subprocess.run(argv, capture_output=True, text=True, timeout=120)
            if p.returncode != 0:
                sys.exit(f"starling-sim --scenario {scenario} --seed {seed} ended with {p.returncode}: "
                         + p.stdout[-500:] + p.stderr[-500:])
            runs.append(Run(scenario, json.loads(p.stdout), p.stderr))
    return runs


def simulated(seeds, settings):
    say("simulating")
    r = {name: simulate(name, text, seeds, settings) for name, text in SCENARIOS.items()}
    median = statistics.median
    return {
        "freeze suspected": [median(x.first(x.told, "suspect", "down")) for x in r["freeze"]],
        "freeze told": [median(x.first(x.told, "down")) for x in r["freeze"]],
        "freeze last": [max(x.first(x.told, "down")) for x in r["freeze"]],
        "blink": [x.falls() for x in r["blink"]],
        "blink suspected": [len(x.first(x.told, "suspect")) for x in r["blink"]],
        "crash suspected": [median(x.first(x.told, "suspect", "down")) for x in r["crash"]],
        "crash asked": [x.document["detect_ms"]["p50"] for x in r["crash"]],
        "crash told": [median(x.first(x.told, "down")) for x in r["crash"]],
        "leave told": [median(x.first(x.told, "left")) for x in r["leave"]],
        "leave last": [max(x.first(x.told, "left")) for x in r["leave"]],
        "weight last": [x.document["spread_ms"]["p50"] for x in r["weight"]],
        "offer last": [x.document["spread_ms"]["p50"] for x in r["offer"]],
        "join asked": [x.last_alive(x.verdicts) for x in r["join"]],
        "join told": [x.last_alive(x.told) for x in r["join"]],
        "join roots": [x.document["converge_ms"] for x in r["join"]],
        "wrong": [x.falls(x.subject) for name, all_of in r.items() if name != "blink" for x in all_of],
    }


# ---- comparing ------------------------------------------------------------------------------------

ROWS = [
    ("crash suspected", "crash: first doubt, told"),
    ("crash asked", "crash: down, asked"),
    ("crash told", "crash: down, told"),
    ("freeze suspected", "freeze: first doubt, told"),
    ("freeze told", "freeze: down, told"),
    ("leave told", "leave: left, told"),
    ("weight last", "update (weight): last one told"),
    ("offer last", "update (new service): last one told"),
    ("join asked", "join: all see all, asked"),
    ("join told", "join: all see all, told"),
]
NEVER = [("blink", "blink of 2 s: said to be down"), ("wrong", "elsewhere: wrongly said to be down")]


def say(text):
    print(f"# {text}", file=sys.stderr, flush=True)


def spread(values):
    return f"{min(values):.0f}-{max(values):.0f}"


def compare(real, sim):
    """The table's rows, and whether all hold."""
    rows = []
    for key, name in ROWS:
        a, b = statistics.median(real[key]), statistics.median(sim[key])
        rows.append({"name": name, "real_ms": a, "sim_ms": b, "difference_ms": b - a, "holds":
                     abs(b - a) <= max(NEAR_MS, NEAR * a), "real": real[key], "sim": sim[key]})
    for key, name in NEVER:
        rows.append({"name": name, "real_n": sum(real[key]), "sim_n": sum(sim[key]),
                     "holds": not any(real[key]) and not any(sim[key]), "real": real[key], "sim": sim[key]})
    return rows


LINE_FORMAT = "{:36} {:>6} {:>9} {:>11} {:>9} {:>11} {:>9} {:>8}  {}"


def show(rows):
    print(LINE_FORMAT.format("median, ms", "rounds", "real", "least-most", "sim", "least-most", "sim-real",
                             "of real", "near"))
    for r in rows:
        if "real_n" in r:
            cells = [r["real_n"], "", r["sim_n"], "", "", ""]
        else:
            share = f"{100 * r['difference_ms'] / r['real_ms']:+.0f} %" if r["real_ms"] else ""
            cells = [f"{r['real_ms']:.1f}", spread(r["real"]), f"{r['sim_ms']:.1f}", spread(r["sim"]),
                     f"{r['difference_ms']:+.1f}", share]
        print(LINE_FORMAT.format(r["name"], len(r["real"]), *cells, "yes" if r["holds"] else "NO"))


def ms_of(seconds):
    return f"{1000 * seconds:.1f} ms"


def show_rest(args, real, settings, took, load):
    lags = sorted(real.ear.lags)
    late, start = lags[len(lags) * 99 // 100], statistics.median(real.figures["join start"])
    print(f"real: {N} nodes, {args.rounds} rounds in {took:.0f} s on {os.cpu_count()} processors, "
          f"load {load:.1f} before; heard {ms_of(statistics.median(lags))} after told (99 %: {ms_of(late)}); "
          f"a process starts in {start:.0f} ms, not counted in join")
    print(f"sim: {args.seeds} seeds, " + ", ".join(f"{k} {v}" for k, v in settings.items()))
    print(f"measured: an input costs {real.cost_us:.0f} us, a handshake "
          f"{statistics.median(real.figures['link cost']):.0f} us at each end, a connection's end {settings['end_cost']}")
    for who, by in real.wrong:
        print(f"{by} said that {who} was down")


def options():
    p = argparse.ArgumentParser(description="Compare starling-sim with real processes.")
    p.add_argument("--rounds", type=int, metavar="N",
                   help="of freeze, leave and crash (8); half as many blinks, three times as many weights")
    p.add_argument("--seeds", type=int, default=40, metavar="N", help="worlds of each scenario (40)")
    p.add_argument("--json", metavar="FILE", help="write all figures there")
    p.add_argument("--quick", action="store_true", help="3 rounds")
    a = p.parse_args()
    a.rounds = a.rounds if a.rounds is not None else 3 if a.quick else 8
    if a.rounds < 1 or a.seeds < 1:
        p.error("at least one round and one seed")
    return a


def measure(ends, rounds, run):
    with Flock() as flock:
        real = Real(flock, ends, rounds)
        try:
            run(real)
        except Stop:
            pass  # said again below, when the nodes have ended
        finally:
            ends.held = True  # whatever comes now, they are ended
    with ends:
        return real


def main():
    args, ends = options(), Ends()
    simulator()
    load, since = os.getloadavg()[0], time.monotonic()
    try:
        few = measure(ends, args.rounds, Real.run_few)
        real = measure(ends, args.rounds, Real.run)
        took = time.monotonic() - since
        settings = world(few, real)
        sim = simulated(args.seeds, settings)
    except Stop as stop:
        sys.exit(f"ended by {stop}")
    rows = compare(real.figures, sim)
    show(rows)
    show_rest(args, real, settings, took, load)
    if args.json:
        with open(args.json, "w") as f:
            json.dump({"nodes": N, "rounds": args.rounds, "seeds": args.seeds, "settings": settings,
                       "rows": rows, "ends": few.figures["end"], "real": real.figures, "sim": sim}, f, indent=1)
    sys.exit(0 if all(r["holds"] for r in rows) else 1)


if __name__ == "__main__":
    main()
