#!/usr/bin/env python3
"""The authority stays in one directory, nodes elsewhere have credentials: who belongs gets in, who does not is told
why, keys of tenants are handed out, and authorities and doors are rotated under a running flock without a member being lost
or blamed."""
# quick: yes
# variants: plain asan

import json
import os
import subprocess

from closed import Closed, utc
from flock import SLOW, Tap, program, wait_for

tap = Tap()


def fingerprints(f):
    return f.show(f.authority)["authorities"]


def told(node, *words):
    return wait_for(lambda: any(all(w in line for w in words) for line in node.text().splitlines()), 20 * SLOW) is not None


def refuses_to_start(f, name, what, *words, flock=None):
    n = f.join(name, flock=flock)
    code = None if wait_for(lambda: n.process.poll() is not None, 20 * SLOW) is None else n.process.returncode
    del f.ports[name]
    del f.nodes[name]
    line = n.text().strip()
    n.stop()
    tap.check(code == 1 and all(w in line for w in words), what, line[-170:])


def keys_of(f, name):
    return [(g["tenant"], g["epoch"], g["sound"]) for g in f.show(f.file(name))["grants"]]


def tenants(f):
    """Keys of tenants, as credentials have them: handed out, changed, refused when they are another's."""
    plain = f.show(f.issue("plain"))
    tap.check(plain["tenants"] == ["default"] and plain["grants"] == [] and
              "default, in clear" in f.ca("show", f.file("plain")).stdout, "no tenant named is the one in clear, not all")
    f.issue("t1", "--tenant", "shop", "--tenant", "bank")
    tap.check(keys_of(f, "t1") == [("shop", 1, True), ("bank", 1, True)], "a node gets the keys of its tenants")
    r = f.ca("rotate", "--tenant", "shop", "--flock", "prod", "--after", "2h", f.file("t1"))
    use_after = f.show(f.file("t1"))["grants"][1]["use_after"]
    tap.check(keys_of(f, "t1") == [("shop", 1, True), ("shop", 2, True), ("bank", 1, True)] and use_after in r.stdout
              and utc(7000) < use_after < utc(7300) and "every node that has this tenant" in r.stdout,
              "another key is handed out beside the old one, to be used in two hours", use_after)
    shown = f.ca("show", f.file("t1")).stdout
    grants = [line.split(" = ")[1] for line in open(f.file("t1")).read().splitlines() if line.startswith("grant =")]
    tap.check(f"shop, key 1, key 2 used from {use_after} on" in shown and "bank, key 1" in shown and len(grants) == 3
              and not any(g[72:136] in shown + json.dumps(f.show(f.file("t1"))) for g in grants), "show says so, and no key",
              next(line for line in shown.splitlines() if "shop" in line))
    r = f.ca("rotate", "--tenant", "shop", "--flock", "prod", status=None)
    tap.check(r.returncode == 2 and "not in use yet" in r.stderr, "a third one has to wait")
    f.ca("rotate", "--tenant", "shop", "--flock", "prod", "--after", "0", f.file("t1"))
    tap.check(keys_of(f, "t1") == [("shop", 1, True), ("shop", 3, True), ("bank", 1, True)],
              "unless it is used at once, in the place of the second")
    for wrong in (["--tenant", "shop"], ["--tenant", "default", "--flock", "prod"], ["--after", "1h"],
                  ["--tenant", "shop", "--flock", "prod", "--add"], ["--tenant", "shop", "--flock", "prod", "--after", "1y"]):
        r = f.ca("rotate", *wrong, status=None)
        tap.check(r.returncode == 2 and keys_of(f, "t1")[1][1] == 3, "refused: rotate " + " ".join(wrong), r.stderr.strip()[:100])
    f.issue("t2", "--tenant", "shop")
    tap.check(keys_of(f, "t2") == [("shop", 1, True), ("shop", 3, True)], "who comes later gets both")
    rotated = f.show(f.authority)["tenants"]
    tap.check([(t["flock"], t["tenant"], t["epoch"]) for t in rotated] == [("prod", "shop", 1), ("prod", "shop", 3)]
              and "shop of flock prod, key 3 used from" in f.ca("show").stdout, "the authority says which tenants were rotated")
    tap.check(os.stat(f.authority + ".tenants").st_mode & 0o777 == 0o600, "the list is for the owner alone")

    # Another node's grant, and the whole put together by hand.
    other = [line for line in open(f.file("t2")).read().splitlines() if line.startswith("grant =")]
    mixed = [line for line in open(f.file("t1")).read().splitlines() if not line.startswith(("grant", "check"))] + other[:1]
    with open(f.file("t1"), "w") as out:
        out.write("\n".join(mixed) + "\n")
    refuses_to_start(f, "t1", "a grant of another node is refused, with its line", f"line {len(mixed)}: the grant is for another")


def outlive(f):
    # Clocks may differ by ten minutes: this one gets in, and nobody new lets it in some seconds later.
    f.issue("ending", "--from", utc(-86400), "--days", str((86400 - 600 + 12 * SLOW) / 86400))
    ending = f.join("ending")
    tap.check(wait_for(lambda: f["n1"].sees("ending", "alive"), 10 * SLOW) is not None
              and told(ending, " error ", "has expired", '"ending"'),
              "a node whose certificate has expired says so in its log",
              next((line[25:] for line in ending.text().splitlines() if "has expired" in line), "")[:120])
    end = f.show(f.file("ending"))["not_after"]
    wait_for(lambda: utc(-602) > end, 30 * SLOW)
    f.issue("later")
    fresh = f.join("later")
    tap.check(told(fresh, " warning ", 'calls itself "ending"', "has expired"),
              "and who comes later refuses it, and says why")
    fresh.stop()
    ending.stop()
    f.nodes.pop("later")
    again = f.join("ending")
    tap.check(told(again, " error ", "has expired", "by those alone whose own has expired as well")
              and told(again, "refused our hello") and again.alive() == 1,
              "started again it is let in by nobody, and says so")
    again.stop()
    del f.nodes["ending"], f.ports["ending"], f.ports["later"]


with Closed("prod") as f:
    # ---- files ----------------------------------------------------------------------------------
    r = f.make()
    tap.check(r.returncode == 0 and fingerprints(f)[0] in r.stdout, "an authority is made, and its fingerprint told")
    before = open(f.authority, "rb").read()
    again = f.make()
    tap.check(again.returncode == 1 and "there already" in again.stderr and open(f.authority, "rb").read() == before
              and len(before) == 96, "a second one is never made in its place")

    f.issue("n1", "--tenant", "shop", "--service", "api-*", "--days", "30")
    said = f.show(f.file("n1"))
    tap.check(said["flock"] == "prod" and said["name"] == "n1" and said["tenants"] == ["shop"]
              and said["services"] == ["api-*"] and said["days_left"] in (29, 30) and said["state"] == "valid"
              and said["issuer"] == fingerprints(f)[0] and said["sound"], "credentials say what was asked for",
              str(said)[:140])
    text = f.ca("show", f.file("n1")).stdout
    secrets = [line.split(" = ")[1] for line in open(f.file("n1")).read().splitlines()
               if line.startswith(("key =", "door ="))]
    tap.check("api-*" in text and not any(s in text + json.dumps(said) for s in secrets) and len(secrets) == 2,
              "and nothing of what is secret")
    tap.check(all(os.stat(p).st_mode & 0o777 == 0o600 for p in (f.authority, f.file("n1"))), "files are for the owner alone")
    tap.check(f.ca("issue", "--flock", "prod", "--name", "n1", "--out", f.file("n1"), status=None).returncode == 1,
              "credentials are not written over what is there")
    os.chmod(f.authority, 0o644)
    r = f.ca("issue", "--flock", "prod", "--name", "n9", "--out", f.file("n9"), status=None)
    tap.check(r.returncode == 1 and "open to others" in r.stderr and not os.path.exists(f.file("n9")),
              "an authority that others can read issues nothing")
    os.chmod(f.authority, 0o600)
    link = os.path.join(f.dir, "link")
    os.symlink(f.authority, link)
    r = f.ca("issue", "--flock", "prod", "--name", "n9", "--out", f.file("n9"), authority=link, status=None)
    tap.check(r.returncode == 1 and "symbolic link" in r.stderr, "nor does one behind a symbolic link")
    r = f.ca("issue", "--flock", "prod", "--name", "n9", "--out", f.file("n9"), authority=link + "x", status=None)
    tap.check(r.returncode == 1 and "ca init" in r.stderr, "without an authority it is said how to make one")

    tenants(f)

    # ---- three nodes ------------------------------------------------------------------------------
    for name in ("n2", "n3"):
        f.issue(name)
    for name in ("n1", "n2", "n3"):
        f.join(name)
    tap.check(wait_for(lambda: f.all_see(3), 20 * SLOW) is not None, "three nodes with credentials see each other")
    tap.check(f["n1"].info().get("expires") == said["not_after"] and not os.path.exists(f.env("n1")["STARLING_CONFIG_DIR"]),
              "each says until when it may, and has made no authority")

    # ---- who does not belong ----------------------------------------------------------------------
    f.issue("late", "--from", utc(-3 * 86400), "--days", "1.5")
    refuses_to_start(f, "late", "one that expired more than a day ago is refused where it is", "has expired", "'late'", "clock")
    f.issue("early", "--from", utc(3600))
    refuses_to_start(f, "early", "one that is not valid yet likewise", "not valid yet", "'early'")
    f.issue("staging", flock="staging")
    refuses_to_start(f, "staging", "one of another flock likewise, and which", "another flock than 'prod': staging")
    stranger = f.join("staging", flock="staging")
    tap.check(wait_for(lambda: f["n1"].info().get("transport", {}).get("handshakes_failed", 0) > 0, 20 * SLOW) is not None,
              "in its own flock it cannot finish a handshake here")
    tap.check(stranger.alive() == 1, "and sees nobody")

    # With the flock's door, as somebody has it who was put out, and an authority of his own making.
    other = os.path.join(f.dir, "other")
    subprocess.run([program("starling"), "ca", "init", "--out", other], check=True, env=f.env("ca"), capture_output=True)
    f.issue("liar", authority=other)
    ours = open(f.file("n1")).read().splitlines()
    theirs = [line for line in open(f.file("liar")).read().splitlines() if not line.startswith(("door", "check"))]
    with open(f.file("liar"), "w") as out:
        out.write("\n".join(theirs + [line for line in ours if line.startswith("door")]) + "\n")
    liar = f.join("liar")
    refusing = [f[n] for n in ("n1", "n2", "n3")]
    tap.check(wait_for(lambda: any('calls itself "liar"' in n.text() and "not signed by an authority" in n.text()
                                   for n in refusing), 20 * SLOW) is not None,
              "who has the door and another authority is refused, and the log says why")
    tap.check(told(liar, "refused our hello", "certificate"), "and is told that it was its certificate")
    tap.check(liar.alive() == 1 and "n1" not in liar.statuses(), "its list of members is empty but for itself")

    for name in ("staging", "liar"):
        f.nodes.pop(name).kill()
        del f.ports[name]
    if not os.environ.get("STARLING_QUICK"):
        outlive(f)  # with nobody else to be warned of: warnings come once a minute
    tap.check(wait_for(lambda: all(sorted(k for k, s in n.statuses().items() if s == "alive") == ["n1", "n2", "n3"]
                                   for n in refusing), 20 * SLOW) is not None, "the three have stayed among themselves")

    f.issue("soon", "--from", utc(-7.5 * 86400), "--days", "10")
    soon = f.join("soon")
    tap.check(told(soon, "warning", "ends on", "in 2 days"), "from two thirds of a certificate's life there is a warning",
              f.show(f.file("soon"))["state"])
    soon.stop()
    del f.nodes["soon"]
    del f.ports["soon"]

    # ---- rotation ---------------------------------------------------------------------------------
    names = ["n1", "n2", "n3"]
    ids = {n: f[n].info()["id"] for n in names}
    old = fingerprints(f)[0]
    old_doors = f.show(f.authority)["doors"]

    def roll(step):
        """Every node gets its new file and starts again, one after the other."""
        f.ca("rotate", *[f.file(n) for n in names])
        good = True
        for name in names:
            f[name].stop()
            f.join(name)
            good = wait_for(lambda: f.all_see(3), 20 * SLOW) is not None and good
        return tap.check(good and f.blamed() == [] and {n: f[n].info().get("id") for n in names} == ids,
                         f"{step}: node by node, nobody is lost or blamed, and all are who they were")

    r = f.ca("rotate", "--add")
    tap.check("starling ca rotate --swap" in r.stdout and len(fingerprints(f)) == 2 and fingerprints(f)[0] == old,
              "a second authority is added, and what comes next is told")
    roll("two authorities")
    f.ca("rotate", "--swap")
    new = fingerprints(f)[0]
    tap.check(new != old and fingerprints(f)[1] == old, "the new one signs")
    f.ca("rotate", f.file("n1"))
    f["n1"].stop()
    f.join("n1")
    mixed = [f.show(f.file(n))["issuer"] for n in names]
    tap.check(mixed == [new, old, old] and wait_for(lambda: f.all_see(3), 20 * SLOW) is not None,
              "certificates of two authorities of one bundle are one flock")
    roll("the new authority")
    f.ca("rotate", "--retire")
    tap.check(fingerprints(f) == [new], "the old one goes")
    roll("the old authority gone")

    f.ca("rotate", "--door", "--add")
    roll("a second door")
    f.ca("rotate", "--door", "--swap")
    roll("the new door listened on")
    f.ca("rotate", "--door", "--retire")
    roll("the old door shut")
    tap.check(len(f.show(f.authority)["doors"]) == 1 and f.show(f.authority)["doors"] != old_doors, "it is another door")

    # ---- revocation -------------------------------------------------------------------------------
    f.issue("n4")
    f.join("n4")
    tap.check(wait_for(lambda: f.all_see(4), 20 * SLOW) is not None, "a fourth node comes")
    f["n2"].stop()  # away while it happens
    wait_for(lambda: f["n1"].sees("n2", "left") and f["n4"].sees("n2", "left"), 20 * SLOW)
    r = f.ca("revoke", "--file", f.file("n3"), "--reason", "key-lost")
    listed = f.show(f.authority + ".revoked")["revoked"]
    tap.check(len(listed) == 1 and listed[0]["serial"] == f.show(f.file("n3"))["serial"] and listed[0]["reason"] == "key-lost"
              and "CREDENTIALS.revoked" in r.stdout, "a revoked certificate is listed, and what comes next is told")
    r = f.ca("revoke", "--file", f.file("n3"), status=None)
    tap.check(r.returncode == 1 and "already" in r.stderr, "once is enough")

    with open(f.file("n1") + ".new", "wb", opener=lambda p, flags: os.open(p, flags, 0o600)) as out:
        out.write(open(f.authority + ".revoked", "rb").read())
    os.rename(f.file("n1") + ".new", f.file("n1") + ".revoked")
    took = wait_for(lambda: "n3" not in f["n1"].statuses() and "n3" not in f["n4"].statuses(), 20 * SLOW)
    tap.check(took is not None and took < 4 * SLOW, "laid beside one node's credentials it puts that node out everywhere",
              f"{took or 99:.2f} s, the second in which the file is looked at included")
    tap.check(told(f["n3"], "refused our hello"), "which sees that it is refused")
    f.join("n2")
    tap.check(wait_for(lambda: f["n2"].info().get("revoked") == 1 and f["n2"].sees("n1", "alive")
                       and "n3" not in f["n2"].statuses(), 20 * SLOW) is not None, "who was away learns it when it is back")
    f["n3"].stop()
    back = f.join("n3")
    tap.check(told(back, " warning ", "refused our hello") and "n3" not in f["n1"].statuses(), "started again the revoked one gets in nowhere")
    f.ca("rotate", f.file("n3"))
    took = wait_for(lambda: f.all_see(4), 20 * SLOW)
    tap.check(took is not None, "with a new certificate, taken while it runs, the same key is let in again", f"{took or 99:.2f} s")
tap.done()
