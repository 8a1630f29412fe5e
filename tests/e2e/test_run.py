#!/usr/bin/env python3
"""`starling run`: a service in any language, offered while it lives and answers."""
# quick: yes
# variants: plain asan

import os
import signal
import socket
import sys

from flock import SLOW, Flock, Tap, ask, free_port, wait_for

tap = Tap()
SERVER = ("import http.server, sys, time, threading, os\n"
          "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()\n")


def offered(node, port):
    return any(i["port"] == port and i["health"] == "passing" and i["status"] in ("alive", "suspect")
               for s in ask(node.socket, "services") or [] for i in s["instances"])


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
    for n in ("w1", "w2"):
        del f.nodes[n]
tap.done()
