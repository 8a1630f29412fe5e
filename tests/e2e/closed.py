"""closed.py: flocks whose authority stays elsewhere, for the end-to-end tests: each node has a credentials file."""

import json
import os
import subprocess
import time

from flock import Flock, free_port, program


def utc(seconds_from_now):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))


class Closed(Flock):
    """Nodes with credentials alone: their configuration directories hold nothing."""

    def __init__(self, name):
        super().__init__(apart=True)
        self.flock = name
        self.ports = {}
        self.ca_dir = os.path.join(self.dir, "offline")
        os.mkdir(self.ca_dir, mode=0o700)
        self.authority = os.path.join(self.ca_dir, "authority")

    def env(self, name):
        env = super().env(name)
        env["STARLING_CONFIG_DIR"] = os.path.join(self.dir, "no-config-" + name)
        return env

    def ca(self, *args, authority=None, status=0):
        r = subprocess.run([program("starling"), "ca", *args, "--authority", authority or self.authority],
                           capture_output=True, text=True, timeout=30, env=self.env("ca"), stdin=subprocess.DEVNULL)
        if status is not None and r.returncode != status:
            raise AssertionError(f"ca {args}: {r.returncode} {r.stderr}")
        return r

    def make(self):
        """The authority."""
        return subprocess.run([program("starling"), "ca", "init", "--out", self.authority], capture_output=True, text=True,
                              env=self.env("ca"), timeout=30)

    def file(self, name):
        return os.path.join(self.dir, name + ".credentials")

    def issue(self, name, *options, flock=None, authority=None):
        self.ca("issue", "--flock", flock or self.flock, "--name", name, "--out", self.file(name), *options,
                authority=authority)
        return self.file(name)

    def options(self, name, flock):
        """With its credentials, on a port that it keeps, with all others for seeds."""
        seeds = [o for other, port in self.ports.items() if other != name for o in ("--seed", f"127.0.0.1:{port}")]
        self.ports.setdefault(name, free_port())
        return ["--flock", flock or self.flock, "--credentials", self.file(name), "--listen",
                f"127.0.0.1:{self.ports[name]}", *seeds]

    def placed(self, node, flock=None):
        node.socket = os.path.join(self.dir, "run-" + node.name, flock or self.flock, node.name + ".sock")
        return node

    def join(self, name, *options, flock=None):
        return self.placed(self.start(name, *self.options(name, flock), *options), flock)

    def offer(self, name, service, port, *command):
        return self.placed(self.run(name, service, port, *command,
                                    options=(*self.options(name, None), "--log", "info")))

    def show(self, path):
        return json.loads(self.ca("show", path, "--json").stdout)
