#!/usr/bin/env python3
"""`starling run`: a service in any language, offered while it lives and answers."""
# quick: yes
# variants: plain asan

import json
import os
import signal
import socket
import sys
import time

from flock import SLOW, Flock, Tap, ask, free_port, wait_for

tap = Tap()
SERVER = ("import http.server, sys, time, threading, os\n"
          "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()\n")


# Answers every GET with the status that stands in a file.
MOODY = ("import http.server, sys\n"
         "class H(http.server.BaseHTTPRequestHandler):\n"
         "    def do_GET(self):\n"
         "        self.send_response(int(open(sys.argv[2]).read()) if self.path == '/health' else 200)\n"
         "        self.end_headers()\n"
         "    def log_message(self, *args):\n"
         "        pass\n"
         "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()\n")


def offered(node, port):
    return any(i["port"] == port and i["health"] == "passing" and i["status"] in ("alive", "suspect")
               for s in ask(node.socket, "services") or [] for i in s["instances"])


def instance(f, port):
    """What `starling services --json` on n1 says of it, or {}."""
    r = f.starling("services", "--node", "n1", "--json")
    services = json.loads(r.stdout) if r.returncode == 0 else []
    return next((i for s in services for i in s["instances"] if i["port"] == port), {})


def becomes(f, port, seconds=15, **expected):
    return wait_for(lambda: all(instance(f, port).get(k) == v for k, v in expected.items()), seconds)


def put(path, text):
    """Whole or not at all: it is being read."""
    with open(path + ".new", "w") as out:
        out.write(text)
    os.rename(path + ".new", path)


def pids_in(path):
    try:
        with open(path) as text:
            return [int(word) for word in text.read().split()]
    except OSError:
        return []


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as text:
            return text.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False


with Flock() as f:
    for i in range(3):
        f.start(f"n{i}")
    wait_for(lambda: f.all_see(3), 15)
    seeds = list(f.nodes.values())
    port = free_port()
    web = f.run("w1", "web", port, sys.executable, "-c", SERVER, str(port), options=("--check", "tcp"))
    took = wait_for(lambda: listens(port), 15)
    took = wait_for(lambda: all(offered(n, port) for n in seeds), 5)
    tap.check(took is not None and took < 1 * SLOW, "offered on every node within 1 s of answering", f"{took or 9:.3f} s")
    picked = f.starling("pick", "web", "--node", "n1").stdout.strip()
    tap.check(picked == f"127.0.0.1:{port}", "and picked", picked)
    f.starling("weight", "web", "7", "--node", "w1")
    tap.check(becomes(f, port, weight=7) is not None, "an operator sets its weight")
    f.starling("weight", "web", "base", "--node", "w1")
    tap.check(becomes(f, port, weight=100) is not None, "and gives it back")

    web.send(signal.SIGTERM)
    took = wait_for(lambda: not any(offered(n, port) for n in seeds), 5)
    tap.check(took is not None and took < 1 * SLOW, "SIGTERM: gone from every node within 1 s", f"{took or 9:.3f} s")
    code = web.process.wait(10)
    tap.check(code == 128 + signal.SIGTERM, "the wrapper ends with its program's status", str(code))
    tap.check(not listens(port), "and the program has ended")

    port = free_port()
    web = f.run("w2", "web", port, sys.executable, "-c", SERVER, str(port))
    wait_for(lambda: all(offered(n, port) for n in seeds), 15)
    web.kill()
    took = wait_for(lambda: not any(offered(n, port) for n in seeds), 5)
    tap.check(took is not None and took < 1 * SLOW, "kill -9 of the wrapper: gone from every node within 1 s", f"{took or 9:.3f} s")
    took = wait_for(lambda: not listens(port), 5)
    tap.check(took is not None, "and the program does not outlive it")

    r = f.starling("run", "--service", "x", "--port", "9", "--", "/no/such/program", name="w3")
    tap.check(r.returncode == 127 and "/no/such/program" in r.stderr, "a program that is not there is 127", r.stderr.strip()[:90])
    r = f.starling("run", "--service", "x", "--port", "9", "--", "sh", "-c", "exit 7", name="w4")
    tap.check(r.returncode == 7, "the exit status of the program is passed on", str(r.returncode))
    r = f.starling("run", "--service", "x", "--", "true", name="w5")
    tap.check(r.returncode == 125 and "--port" in r.stderr, "a missing option is 125 and named", r.stderr.strip()[:90])
    r = f.starling("run", "--service", "x", "--port", "9", "--check", "https://x/", "--", "true", name="w6")
    tap.check(r.returncode == 125 and "--check" in r.stderr, "a check that is none is 125 and named", r.stderr.strip()[:90])

    # An HTTP check.
    mood = os.path.join(f.dir, "mood")
    port = free_port()
    put(mood, "503")
    web = f.run("w7", "moody", port, sys.executable, "-c", MOODY, str(port), mood,
                options=("--check", "http:///health", "--every", "100ms", "--fall", "2", "--rise", "2"))
    wait_for(lambda: listens(port), 15)
    tap.check(not instance(f, port), "a program that answers 503 is not offered")
    put(mood, "200")
    tap.check(becomes(f, port, health="passing") is not None, "it is once its HTTP check passes")
    put(mood, "503")
    took = becomes(f, port, health="critical")
    tap.check(took is not None and instance(f, port).get("note") == "HTTP 503",
              "503 makes the instance critical in `starling services --json`", f"{took or 99:.3f} s")
    r = f.starling("pick", "moody", "--node", "n1")
    tap.check(r.returncode == 1, "and nobody picks it", r.stderr.strip()[:60])
    put(mood, "429")
    tap.check(becomes(f, port, health="warning") is not None, "429 is a warning")
    put(mood, "200")
    tap.check(becomes(f, port, health="passing") is not None, "and 200 brings it back")
    tap.check(web.stop() == 128 + signal.SIGTERM, "the program ends")

    # A check that is a command. What it starts is in its file of process ids.
    port = free_port()
    pids = os.path.join(f.dir, "pids")
    put(mood, "exit 2")
    web = f.run("w8", "shell", port, "sleep", "1000",
                options=("--check", f"exec:. {mood}", "--every", "100ms", "--timeout", "500ms", "--fall", "1"))
    wait_for(lambda: os.path.exists(web.socket), 15)
    tap.check(not instance(f, port), "a program whose command exits with 2 is not offered")
    put(mood, "echo all is well; echo more; exit 0")
    tap.check(becomes(f, port, health="passing", weight=100) is not None, "it is once the command exits with 0")
    put(mood, "echo half the disks are gone; exit 1")
    took = becomes(f, port, health="warning")
    tap.check(took is not None, "exit 1 is a warning")
    tap.check(instance(f, port).get("note") == "half the disks are gone", "and the first line of its output is the note")
    put(mood, "exit 9")
    tap.check(becomes(f, port, health="critical") is not None, "any other exit is critical")
    put(mood, "exit 0")
    becomes(f, port, health="passing")
    put(mood, f"echo $$ >>{pids}; sleep 1000 & echo $! >>{pids}; sleep 1000")
    took = becomes(f, port, health="critical")
    tap.check(took is not None, "a hanging command makes it critical", f"{took or 99:.3f} s")
    put(mood, "exit 0")
    becomes(f, port, health="passing")
    hung = pids_in(pids)
    tap.check(len(hung) >= 2 and wait_for(lambda: not any(runs(p) for p in hung), 5) is not None,
              "and is killed with what it has started", f"{len(hung)} processes")
    put(mood, f"sleep 1000 & echo $! >{pids}; exit 0")
    wait_for(lambda: pids_in(pids) and pids_in(pids)[0] not in hung, 5)
    put(mood, "exit 0")
    left = pids_in(pids)
    tap.check(len(left) == 1 and wait_for(lambda: not runs(left[0]), 5) is not None,
              "what a command leaves behind in its group is killed as well")
    put(mood, f"echo $$ >{pids}; sleep 1000")
    wait_for(lambda: pids_in(pids) and pids_in(pids) != left, 5)
    hung = pids_in(pids)
    start = time.monotonic()
    tap.check(web.stop() == 128 + signal.SIGTERM, "it ends while its command hangs", f"{time.monotonic() - start:.3f} s")
    tap.check(wait_for(lambda: not any(runs(p) for p in pids_in(pids)), 5) is not None, "and no command stays")

    put(mood, f"sleep 1000 & echo $! >{pids}; wait") # a child of the command: nobody but the guard knows it
    web = f.run("w9", "shell", port, "sleep", "1000", options=("--check", f"exec:. {mood}", "--timeout", "60s"))
    wait_for(lambda: pids_in(pids) and pids_in(pids) != hung and runs(pids_in(pids)[0]), 15)
    hung = pids_in(pids)
    web.kill()
    tap.check(wait_for(lambda: not any(runs(p) for p in hung), 5) is not None,
              "kill -9 of the wrapper: a command that hangs does not outlive it either")

    # Draining.
    port = free_port()
    web = f.run("w10", "slow", port, sys.executable, "-c", SERVER, str(port), options=("--grace", "2s"))
    becomes(f, port, health="passing", weight=100)
    start = time.monotonic()
    web.send(signal.SIGTERM)
    tap.check(becomes(f, port, weight=0) is not None and web.process.poll() is None, "SIGTERM with --grace: weight 0")
    tap.check(f.starling("pick", "slow", "--node", "n1").returncode == 1, "so that nobody picks it")
    tap.check(listens(port), "while it still works")
    code = web.process.wait(20)
    took = time.monotonic() - start
    tap.check(code == 128 + signal.SIGTERM and took >= 2, "until the grace is over", f"{took:.3f} s")
    web = f.run("w11", "slow", port, sys.executable, "-c", SERVER, str(port), options=("--grace", "60s"))
    becomes(f, port, health="passing", weight=100)
    web.send(signal.SIGTERM)
    becomes(f, port, weight=0)
    web.send(signal.SIGTERM)
    tap.check(web.process.wait(20) == 128 + signal.SIGTERM, "a second SIGTERM is passed on at once")
    for n in ("w1", "w2", "w7", "w8", "w9", "w10", "w11"):
        del f.nodes[n]
tap.done()
