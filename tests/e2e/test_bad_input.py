#!/usr/bin/env python3
"""What users and strangers get wrong: a clear error or a counted refusal, and the process lives on."""
# quick: yes
# variants: plain asan tsan

import os
import random
import socket
import struct
import subprocess
import time

from flock import Flock, Tap, ask, program, wait_for

tap = Tap()


def refused(f, what, argv, *words, status=(1, 2)):
    r = subprocess.run([program("starlingd"), *argv], env=f.env("bad"), capture_output=True, text=True, timeout=30,
                       stdin=subprocess.DEVNULL)
    good = r.returncode in status and all(w in r.stderr for w in words) and len(r.stderr.splitlines()) <= 3
    tap.check(good, what, r.stderr.strip().replace("\n", " / ")[:150] + f" [{r.returncode}]")


def garbage(kind, rnd):
    if kind == 0:
        return rnd.randbytes(rnd.randrange(1, 400))
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"CURVE".ljust(20, b"\0") + b"\0" + bytes(31)
    if kind == 1:
        return greeting[:rnd.randrange(1, 64)]
    if kind == 2:
        return greeting + b"\x06" + struct.pack(">Q", 1 << rnd.randrange(10, 63))
    if kind == 3:
        return greeting + b"\x04\xc8\x05HELLO" + rnd.randbytes(194)
    return b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


with Flock() as f:
    seed = f.start("n1", "--listen", "127.0.0.1:0")
    other = f.start("n2")
    tap.check(wait_for(lambda: f.all_see(2), 20) is not None, "two nodes are there")
    address = seed.info()["address"]
    port = int(address.rsplit(":", 1)[1])

    refused(f, "an unknown option is named", ["--no-such-option"], "--no-such-option", status=(2,))
    refused(f, "credentials that cannot be read are named", ["--credentials", "/nonexistent/file"], "/nonexistent/file")
    refused(f, "a busy port is named", ["--listen", f"127.0.0.1:{port}"], str(port))
    refused(f, "a name that is too long is refused", ["--name", "n" * 64], "name")
    refused(f, "a name with a slash is refused", ["--name", "a/b"], "a/b")
    refused(f, "a port that is none is refused", ["--listen", "127.0.0.1:99999"], "99999")
    path = os.path.join(f.dir, "conf")
    with open(path, "w") as c:
        c.write("zone = a\nzoom = b\n")
    refused(f, "an unknown key in the file is named with its line", ["--config", path], "zoom", "2")
    with open(os.path.join(f.dir, "broken"), "wb") as c:
        c.write(os.urandom(200))
    refused(f, "damaged credentials are refused", ["--credentials", os.path.join(f.dir, "broken")], "broken")

    rnd = random.Random(4)
    for i in range(400):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as s:
                s.sendall(garbage(i % 5, rnd))
        except OSError:
            pass
    tap.check(seed.process.poll() is None and wait_for(lambda: seed.alive() == 2, 5) is not None,
              "400 connections of garbage at the gossip port: the node lives and sees its peer")
    tap.check(seed.statuses().get("n2") == "alive" and f.blamed() == [], "and nobody was blamed")
    info = seed.info().get("transport", {})
    tap.check(info.get("handshakes_failed", 0) > 0, "what was refused is counted", str(info))

    for i in range(60):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(seed.socket)
            try:
                s.sendall(rnd.randbytes(rnd.randrange(1, 9000)) + (b"\n" if i % 2 else b""))
                if i % 3 == 0:
                    s.shutdown(socket.SHUT_WR)
                    while s.recv(65536):
                        pass
            except OSError:
                pass  # it may hang up on nonsense
    tap.check(ask(seed.socket, "members") is not None, "garbage at the debug socket: the next question is answered")
    tap.check(ask(seed.socket, "no-such-command") is None and seed.process.poll() is None, "an unknown command is refused")

    example = os.path.join(os.environ.get("STARLING_SOURCE", os.path.join(os.path.dirname(__file__), "../..")),
                           "examples/debug_client.py")
    r = subprocess.run(["python3", example, seed.socket, "members"], capture_output=True, text=True, timeout=20)
    tap.check(r.returncode == 0 and '"n2"' in r.stdout, "the six-line client of examples/ gets its answer")
    for what, argv, status in (("members of nobody", ["members", "--runtime-dir", f.dir + "/nowhere"], 3),
                               ("a pick of what nobody offers", ["pick", "nothing", "--node", "n1"], 1),
                               ("a strategy that is none", ["pick", "x", "--strategy", "random", "--node", "n1"], 2),
                               ("rendezvous without a key", ["pick", "x", "--strategy", "rendezvous", "--node", "n1"], 2),
                               ("a node that is not there", ["info", "n77", "--node", "n1"], 1),
                               ("an unknown command", ["fly"], 2), ("help", ["--help"], 0), ("version", ["version"], 0)):
        r = f.starling(*argv)
        tap.check(r.returncode == status and (r.stderr if status else r.stdout).strip() != "",
                  f"starling: {what} ends with status {status}", (r.stderr or r.stdout).strip().splitlines()[0][:80])
tap.done()
