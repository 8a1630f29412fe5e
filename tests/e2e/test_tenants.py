#!/usr/bin/env python3
"""Three nodes with credentials of one authority: two have a tenant's key, the third passes everything on. Those two
find, pick, watch and list the tenant's service; for the third it does not exist, and nothing of it is anywhere in the
memory of its process or in its files."""
# quick: yes
# variants: plain

import hashlib
import json
import os
import secrets
import signal
import socket

from flock import SLOW, Flock, Tap, ask, free_port, wait_for

tap = Tap()
FLOCK = "prod"
TENANT = "t" + secrets.token_hex(8)
SERVICE = "svc-" + secrets.token_hex(8)
OTHER = "svc-" + secrets.token_hex(8)  # offered by nobody
OTHER_TENANT = "t" + secrets.token_hex(8)
META = secrets.token_hex(12)


class Closed(Flock):
    """Nodes with credentials alone, which know each other by node c."""

    def __init__(self):
        super().__init__(apart=True)
        self.authority = os.path.join(self.dir, "ca", "authority")
        os.mkdir(os.path.dirname(self.authority), mode=0o700)
        self.port = free_port()
        self.ca("init", "--out", self.authority)

    def env(self, name):
        return {**super().env(name), "STARLING_CONFIG_DIR": os.path.join(self.dir, "no-config-" + name)}

    def ca(self, *args):
        r = self.starling("ca", *args, name="ca")
        if r.returncode != 0:
            raise AssertionError(f"ca {args}: {r.stderr}")

    def issue(self, name, *options):
        self.ca("issue", "--flock", FLOCK, "--name", name, "--out", self.file(name), "--authority", self.authority, *options)

    def file(self, name):
        return os.path.join(self.dir, name + ".credentials")

    def state(self, name):
        return os.path.join(self.dir, "state-" + name)

    def options(self, name):
        listen = self.port if name == "c" else 0
        return ("--flock", FLOCK, "--credentials", self.file(name), "--listen", f"127.0.0.1:{listen}", "--state-dir",
                self.state(name), *(() if name == "c" else ("--seed", f"127.0.0.1:{self.port}")))

    def join(self, name, *options):
        n = self.start(name, *self.options(name), *options)
        n.socket = os.path.join(self.dir, "run-" + name, FLOCK, name + ".sock")
        return n

    def offer(self, name, service, port, *options):
        n = self.run(name, service, port, "sleep", "1000", options=(*self.options(name), *options))
        n.socket = os.path.join(self.dir, "run-" + name, FLOCK, name + ".sock")
        return n

    def cli(self, node, *args):
        """The command gives a node two seconds, which a busy machine may take: then once more."""
        said = []
        wait_for(lambda: said.append(self.starling("--flock", FLOCK, *args, name=node)) or said[-1].returncode != 3, 10)
        return said[-1]


def in_memory(pid, words):
    """Which of the words are in a readable mapping of the process, and how many bytes were looked at."""
    found, size = set(), 0
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            place, rights, *rest = line.split()
            if rights[0] != "r" or rest[-1] in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            begin, end = (int(x, 16) for x in place.split("-"))
            try:
                memory.seek(begin)
                text = memory.read(end - begin)
            except OSError:  # a guard page, or gone since
                continue
            size += len(text)
            found |= {w for w in words if w in text}
    return found, size


def in_files(folder, words):
    texts = [open(os.path.join(at, name), "rb").read() for at, _, names in os.walk(folder) for name in names]
    return {w for w in words for text in texts if w in text}, len(texts)


def services(node, **more):
    return ask(node.socket, json.dumps({"cmd": "services", **more})) or []


def events(node, **more):
    """What it remembers of what happened."""
    out = []
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(0.5)
        s.connect(node.socket)
        s.sendall(json.dumps({"cmd": "watch", "since": 0, **more}).encode() + b"\n")
        lines = s.makefile("rb")
        try:
            lines.readline()
            for line in lines:
                out.append(json.loads(line))
        except OSError:
            pass
    return out


def of_services(said):
    return [e for e in said if e["type"].startswith(("instance", "panic", "calm"))]


def opened(node):
    return node.info().get("sections", {}).get("opened", 0)


def tenant_id(name):
    flock = hashlib.blake2b(b"starling/1 flock\0" + FLOCK.encode(), digest_size=16).digest()
    return hashlib.blake2b(flock + name.encode(), digest_size=8).digest()


with Closed() as f, socket.socket() as server, socket.socket() as plain_server:
    for s in (server, plain_server):
        s.bind(("127.0.0.1", 0))
        s.listen()
    port, plain_port = server.getsockname()[1], plain_server.getsockname()[1]
    words = [w.encode() for w in (SERVICE, TENANT, META, f":{port}")]
    planted = "z" + secrets.token_hex(8)

    f.issue("a", "--tenant", TENANT, "--service", "svc-*")
    f.issue("b", "--tenant", TENANT)
    f.issue("c")
    f.issue("d")
    c = f.join("c", "--zone", planted)
    b = f.join("b")
    a = f.offer("a", SERVICE, port, "--tenant", TENANT, "--meta", f"key={META}", "--version", "7.1")
    f.offer("d", "plain", plain_port)
    tap.check(wait_for(lambda: f.all_see(4), 20 * SLOW) is not None, "four nodes of which two have a tenant see each other")

    # ---- who has the key ----------------------------------------------------------------------------------------
    took = wait_for(lambda: services(b, tenant=TENANT), 20 * SLOW)
    listed = services(b, tenant=TENANT)
    i = listed[0]["instances"][0] if listed else {}
    tap.check(len(listed) == 1 and listed[0]["service"] == SERVICE and listed[0]["tenant"] == TENANT and i["port"] == port
              and i["name"] == "a" and i["meta"] == {"key": META} and i["version"] == "7.1" and i["health"] == "passing",
              "who has the tenant's key lists its service with metadata", f"{took or 99:.2f} s")
    r = f.cli("b", "pick", SERVICE, "--tenant", TENANT)
    tap.check(r.returncode == 0 and r.stdout == f"127.0.0.1:{port}\n", "and picks it", r.stdout.strip() + r.stderr)
    wait_for(lambda: of_services(events(b, tenant=TENANT)), 5 * SLOW)
    seen = of_services(events(b, tenant=TENANT))
    tap.check([(e["type"], e["data"]["service"], e["data"]["name"]) for e in seen] == [("instance_added", SERVICE, "a")],
              "and its watch of the tenant hears of it alone", str(seen)[:150])
    seen = of_services(events(b))
    tap.check([s["service"] for s in services(b)] == ["plain"] and {e["data"]["service"] for e in seen} == {"plain"}
              and f.cli("b", "pick", SERVICE).returncode == 1,
              "asked without the tenant the same node shows the default one alone", str(seen)[:150])
    r = f.cli("b", "services", "--tenant", TENANT)
    tap.check(f"{TENANT}/{SERVICE}" in r.stdout and "plain" not in r.stdout, "a table names the tenant", r.stdout.split("\n")[-2])

    # ---- who has none: it holds and passes on all of it ------------------------------------------------------------
    wait_for(lambda: c.info().get("root") == b.info().get("root") == a.info().get("root"), 20 * SLOW)
    roots = [n.info() for n in (a, b, c)]
    tap.check(len({(n["root"], n["facts"]) for n in roots}) == 1, "all hold the same facts",
              f"{roots[0]['facts']} facts, root {roots[0]['root']}")
    snapshot = os.path.join(f.state("c"), "snapshot")
    wait_for(lambda: os.path.exists(snapshot) and b"plain" in open(snapshot, "rb").read(), 20)
    found, size = in_memory(c.pid, words + [tenant_id(TENANT), planted.encode(), b"plain"])
    control, _ = in_memory(b.pid, words)
    tap.check(planted.encode() in found and b"plain" in found and control == set(words),
              "the search finds what is there: all words where the key is, a planted one where it is not",
              f"{size >> 20} MiB, {len(control)} of {len(words)} words")
    tap.check(tenant_id(TENANT) in found, "the sealed section is in the memory of who has no key")
    tap.check(not found & set(words), "and no word of it: neither service, tenant, metadata nor port", str(found & set(words)))
    found, n_files = in_files(f.state("c"), words + [b"plain"])
    tap.check(found == {b"plain"}, "nor is one in its files, though they hold what it can read", f"{n_files} files, {found}")

    # ---- to whom it does not exist -------------------------------------------------------------------------------
    def says(service, tenant, *command):
        """What c answers, told apart by nothing but the names that were asked for."""
        args = [w.replace("SERVICE", service) for w in command] + (["--tenant", tenant] if tenant else [])
        r = f.cli("c", *args)
        return (r.returncode, *(t.replace(service, "SERVICE").replace(tenant or "-", "TENANT") for t in (r.stdout, r.stderr)))

    for command in (("pick", "SERVICE"), ("pick", "SERVICE", "--json"), ("services", "--json"), ("services",),
                    ("weight", "SERVICE", "5"), ("info", "a", "--json", "--socket", c.socket), ("--json", "info", "a")):
        same = []
        for tenant in (TENANT, None):
            here, nowhere = says(SERVICE, tenant, *command), says(OTHER, OTHER_TENANT if tenant else None, *command)
            # when somebody was last heard of is all that differs from call to call
            here, nowhere = ((x[0], *(json.dumps({k: v for k, v in json.loads(t).items() if k != "heard_ms"})
                                      if "heard_ms" in t else t for t in x[1:])) for x in (here, nowhere))
            same.append(here == nowhere and TENANT not in str(here) and str(port) not in str(here))
        tap.check(all(same), f"starling {' '.join(command[:2])} says what it says of a service that does not exist",
                  str(here)[:110])
    said, none = events(c, tenant=TENANT), events(c, tenant=OTHER_TENANT)
    tap.check(said == none and said and not of_services(said) and TENANT not in str(events(c)),
              "a watch of the tenant hears of members alone, as one of a tenant that nobody has", f"{len(said)} events")
    tap.check(c.sees("a", "alive") and {m["name"]: m["services"] for m in c.members()} == {"a": 0, "b": 0, "c": 0, "d": 1},
              "a member with nothing but the tenant's services offers none here",
              str({m["name"]: m["services"] for m in c.members()}))
    said = [json.loads(f.cli(n, "info", "--json").stdout)["sections"] for n in ("b", "c")]
    tap.check(said[0]["opened"] >= 2 and said[1]["opened"] == 0 and not any(said[0][k] + said[1][k] for k in
              ("forged", "malformed", "tenants_refused", "names_refused")), "each counts what it opened", str(said))

    # ---- who may not ------------------------------------------------------------------------------------------------
    def refused(name, service, *options):
        r = f.starling("run", "--name", name, *f.options(name), "--service", service, "--port", str(port), *options, "--",
                       "sleep", "1000", name="refused")
        return r.returncode, r.stderr.strip().splitlines()[-1]

    f.issue("e", "--service", "svc-*", "--tenant", TENANT)
    status, text = refused("e", "mail", "--tenant", TENANT)
    tap.check(status != 0 and "mail" in text and "--service PATTERN" in text, "a name outside of the patterns is refused", text[:170])
    f.issue("g")
    status, text = refused("g", SERVICE, "--tenant", TENANT)
    tap.check(status != 0 and "no key of tenant" in text and f"--tenant {TENANT}" in text,
              "and so is a tenant without a key, with what to do about it", text[:170])

    # ---- other keys while they run ------------------------------------------------------------------------------
    before = opened(b)
    f.ca("rotate", "--tenant", TENANT, "--flock", FLOCK, "--after", "5s", "--authority", f.authority, f.file("a"), f.file("b"))
    looks = []

    def switched():
        said = ask(b.socket, json.dumps({"cmd": "services", "tenant": TENANT}))
        if said is not None:
            looks.append(len(said))
        return opened(b) >= before + 2

    took = wait_for(switched, 40 * SLOW)
    tap.check(took is not None and set(looks) == {1}, "with the tenant's next key all goes on, and it is missing in no look",
              f"{took or 99:.2f} s, {len(looks)} looks")
    f.ca("issue", "--flock", FLOCK, "--name", "c", "--out", f.file("c-next"), "--key", f.file("c"), "--tenant", TENANT,
         "--authority", f.authority)
    os.rename(f.file("c-next"), f.file("c"))
    took = wait_for(lambda: services(c, tenant=TENANT), 20 * SLOW)
    tap.check(took is not None and f.cli("c", "pick", SERVICE, "--tenant", TENANT).stdout == f"127.0.0.1:{port}\n",
              "who is given the tenant finds its service without a restart", f"{took or 99:.2f} s")

    # ---- a restart ----------------------------------------------------------------------------------------------
    saved = os.path.join(f.state("b"), "snapshot")
    took = wait_for(lambda: os.path.exists(saved) and tenant_id(TENANT) in open(saved, "rb").read(), 20)
    found, _ = in_files(f.state("b"), words)
    tap.check(took is not None and not found, "what is remembered on disk is sealed there too", str(found))
    for n in f.nodes.values():
        if n.process.poll() is None:
            n.send(signal.SIGKILL)
            n.process.wait()
    b = f.join("b")
    picked = []
    request = json.dumps({"cmd": "pick", "service": SERVICE, "tenant": TENANT})
    took = wait_for(lambda: picked.append(ask(b.socket, request)) or picked[-1], 10 * SLOW, every=0.005)
    who = picked[-1] or {}
    tap.check(who.get("port") == port and who.get("stale") and who.get("name") == "a",
              "who has the key finds the service after a restart, alone", f"{1000 * (took or 99):.0f} ms")
tap.done()
