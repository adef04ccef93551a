#!/usr/bin/env python3
"""Check a copied evidence root with nothing but Python's standard library and OpenSSH's `ssh-keygen`.

    python verify_evidence.py ROOT [--allowed-signers FILE] [--witness SEAL.json]

Prints each fault by name, with its place and what was expected there, and exits 1, also where there is no run to check;
without a fault it exits 0.
A second reading of the format, sharing no code with countersign: chains are whole, strictly written and never go back
in time; register, logs, findings, seals and files are what the others say; a configuration counts from its adoption by
two owners, an erasure by two as well; quotes stand in their evidence; gate, sign-offs and workpaper follow from what
was logged before; what was signed is what the log says, by somebody who could and a key that FILE knows for that person
and namespace, as of when the register saw it. Without FILE people's keys are those of the roster in force, and a seal
is only held to the key that it names. It does not judge what words mean, or whether two names are one person.
"""

import argparse
import base64
import functools
import hashlib
import itertools
import json
import re
import subprocess
import tempfile
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZERO, LONGEST = "0" * 64, 16 << 20  # a head before the first, and of how many bytes a line may be
INSTANT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z")
DATASETS = re.compile(r"(?a)datasets/([\w-]+/day=[\w-]+[.]parquet|clean_population_sample/month=[\d-]+(/\w[\w.-]*)+)")
PASSING = re.compile(r"(\..*)?\.(lock|tmp)")  # what a writer, or a crash, leaves among the datasets
OWN = ["prev", "seq", "ts", "event", "actor"]
KEYS, OWNERS = ("independent_review", "maker_checker"), {"control_owner", "process_owner"}
CITED, CLEAN = {"met", "exception"}, {"met", "not_applicable"}
# the steps of a run with what they decide, a letter each; the only orders of them; and what may stand between
STEPS = "ingested/True ingested/False out_of_scope/None model_asked/None assessed/None gated/passed gated/blocked "
STEPS += f"sign_off_requested/{KEYS[0]} sign_off_requested/{KEYS[1]} signed_off/approved signed_off/rejected "
STEPS = dict(zip(f"{STEPS}workpaper/None handed_off/None blocked/None".split(), "iIomagGrqsSwhb", strict=True))
COURSE = re.compile("(Io?|im?(a(Gb?|g(r(Sb?|s(q(Sb?|s(wh?)?)?)?)?)?)?)?)?")
ENDS, BETWEEN = {"h": "COMPLETED", "b": "BLOCKED", "o": "OUT_OF_SCOPE"}, ("failed", "recovered", "noticed", "breached")


class Fault(Exception):
    """A fault by name, where it is, and what was expected there."""


def expect(holds, name, where, expected):
    if not holds:
        raise Fault(name, where, expected)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


moment, read = datetime.fromisoformat, json.JSONDecoder(parse_constant=int).decode
written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def parse(raw):
    """A line's object; empty unless in the only bytes that can say it: no key twice, no white space, no NaN."""
    try:
        value = read(raw.decode())
        return value if isinstance(value, dict) and f"{written(value)}\n".encode() == raw else {}
    except (ValueError, RecursionError):
        return {}


def inside(folder, name):
    """The path of a file in a folder, by a name that leads nowhere else."""
    expect(not {"..", "/"} & {*Path(name).parts}, "malformed", folder, f"a name in it, not {name}")
    return folder / name


def words_in(raw, name, digest, erased):
    """The words in the line of a text, None in the mark of an erased one; nothing where it is neither."""
    line = parse(raw)
    if sha256(raw) == digest and line.get("text") == name and isinstance(line.get("value"), str):
        return [line["value"]]
    return [None] if digest in erased and line == {"text": name, "erased": digest} else []


def events(path, blobs, erased=()):
    """Events with their texts, None for an erased one. `recovered` stands for torn lines, or voids what lost texts."""
    event, head, seq, ts, size, awaited, damaged, where = None, ZERO, -1, "", 0, [], None, str(path)
    with path.open("rb") as file:
        for number, raw in enumerate(iter(functools.partial(file.readline, LONGEST), b""), start=1):
            where, line, size = f"{path}:{number}", parse(raw), size + len(raw)
            if "prev" in line:
                over, voids = (line.get("damaged"), line["voids"]) if line["event"] == "recovered" else (None, None)
                expect(over == (damaged and sha256(damaged)), "unreadable", where, "the lines before")
                own, follows = list(line)[:5] == OWN, (line["prev"], line["seq"]) == (head, seq + 1)
                expect(own and follows, "broken_chain", where, f"a writer's own after {head}, {seq + 1}")
                expect(INSTANT.fullmatch(line["ts"]) and ts <= line["ts"], "time_back", where, f"not before {ts}")
                expect(not awaited or voids == [seq], "text_missing", where, f"first {awaited}")
                if event and not awaited:
                    yield event
                head, seq, ts, damaged = sha256(raw), seq + 1, line["ts"], None
                event = argparse.Namespace(where=where, digest=head, name=line["event"], said=line, ts=ts, end=size)
                event.texts, awaited = {}, list(line.get("texts", {}).items())
                for name, blob in line.get("blobs", {}).items():
                    (event.texts[name],) = words_in(inside(blobs, blob).read_bytes(), name, blob, erased)
            elif awaited and damaged is None and (words := words_in(raw, *awaited[0], erased)):
                (event.texts[awaited.pop(0)[0]],), event.end = words, size
            else:
                expect(raw.endswith(b"\n"), "torn_tail", where, "a whole last line")
                damaged = (damaged or b"") + raw
    expect(event and not awaited and damaged is None, "torn_tail", where, "at its end, an event with all its texts")
    yield event


def placed(known, heads):
    """Where registered heads stand in a chain, 64 zeros first; None unless in order and up to its end."""
    order = {head: place for place, head in enumerate([ZERO, *heads], start=-1)}
    places = [order.get(head) for head in known]
    return places if None not in places and places == sorted(places) and places[-1] == len(heads) - 1 else None


def letters(text):
    """What quotes are compared by: letters and digits, whatever their form and case, and whatever stands between."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(part for part in plain if part.isalnum() and part not in "\u115f\u1160")


def holding(policy, person, roles, at):
    """For whom somebody holds one of these roles at an instant: by themself, else whoever lent it to them."""

    def within(since, until):
        day = str(moment(at).astimezone(ZoneInfo(policy["time_zone"])))[:10] if since or until else ""
        return (since or "") <= day <= (until or "~")

    there = {one["id"]: one for one in policy["people"] if within(one.get("valid_from"), one.get("valid_until"))}
    held = {name for name, one in there.items() if roles & {*one["roles"]}}
    lent = [(name, one) for name in held for one in there[name]["delegates"] if one["to"] == person in there]
    return {person} & held or {name for name, one in lent if within(one["from"], one["until"])}


class Run:
    """A run as the register knows it. Each method named after an event yields what has to be true of it."""

    def __init__(self, root, opened, in_force):
        self.root, self.id, self.digest, self.opened = root, opened["run_id"], opened["digest"], opened["configuration"]
        self.path = inside(root.path / "runs", f"{opened['day'].replace('-', '/')}/{self.id}/audit.jsonl")
        self.known = [(ZERO, "", in_force)]  # heads, each with when the register learnt it and what was in force then
        self.status, self.over, self.course, self.made, self.signers = "", False, "", {}, set()
        self.abandoned, self.opened_at = False, 0  # where in the register its line ends
        self.told, self.notices = [], {}  # what the register's lines say of it at a head, and what its log noticed when

    def learnt(self, event, said):
        """A head of it that the register came to know."""
        same = said["head"] == self.known[-1][0]  # two who come to the end together both say so
        yield same or not self.over, "register_order", "no other head of a run after it was closed"
        self.known.append((said["head"], event.ts, event.in_force))
        self.told += [said] if event.name != "breached" else []
        self.status, self.over = said.get("status", self.status), self.over or event.name == "run_closed"

    def check(self):
        """Read the log to its end. Raises Fault at the first event that does not follow from those before it."""
        there, erased = self.path.is_file(), self.root.erased.get(self.id, set())  # not begun, it has no log
        log = list(events(self.path, self.root.path / "blobs", erased)) if there else []
        places = placed([head for head, *_ in self.known], [event.digest for event in log])
        yield places, "head_differs" if there else "log_missing", f"the head {self.known[-1][0]} and those before it"
        for place, event in enumerate(log):
            learnt = zip(places, self.known, strict=True)
            event.seen, event.in_force = next(when for at, (_, *when) in learnt if at >= place)
            said, name = event.said, event.name
            self.root.gone |= erased & {*said.get("blobs", {}).values()}
            over = self.course[-1:] in ENDS or (name == "breached" and "workpaper" in self.made)
            turn = said.get("decision") or said.get("key") or said.get("classified", {}).get("in_scope")
            self.course += "" if name in BETWEEN else STEPS.get(f"{name}/{turn}", "?")
            may = COURSE.fullmatch(self.course) and (name == "recovered" or not over)
            expect(may, "inconsistent", event.where, "a step of a run, in its order, and nothing after its end")
            for holds, fault, expected in getattr(self, name, lambda *_: ())(event, said):
                expect(holds, fault, event.where, expected)
            self.made[name] = event
            self.notices = {said["about"]: event.ts} | self.notices if name == "noticed" else self.notices
            for line in (line for line in self.told if line["head"] == event.digest):
                expect(self.stood(event, line), "status_differs", event.where, "what the register says of it there")
        status = self.status if self.status in ENDS.values() else None
        yield ENDS.get(self.course[-1:]) == status, "status_differs", f"the status {self.status}"

    def stood(self, event, line):
        """Whether a line of the register says how the run stood after an event; it may say that it cannot go on."""
        if "status" not in line:
            return event.name == "signed_off" and all(line[name] == event.said[name] for name in ("key", "decision"))
        due = self.made["sign_off_requested"] if self.course[-1:] in {"r", "q"} else None
        clean = self.made["handed_off"].said["clean"] if "handed_off" in self.made else None
        told = line["pending"], line.get("asked_at"), line.get("noticed", {}), line.get("clean")
        unread = (line["status"], told) == ("FAILED", (None, None, {}, None))
        return unread or told == (due and due.said["key"], due and due.ts, self.notices, clean)

    def ingested(self, event, said):
        def revealed(part):  # its words back in their places, its keys in the order of RFC 8785
            if list(part) == ["$text"] and str(part["$text"]) in event.texts:  # an item of evidence may be called so
                return event.texts[part["$text"]]
            if list(part) == ["$blob"] and re.fullmatch("[0-9a-f]{64}", str(part["$blob"])):
                return base64.b64encode(inside(self.root.path / "blobs", part["$blob"]).read_bytes()).decode()
            return {key: part[key] for key in sorted(part, key=lambda key: key.encode("utf-16-be"))}

        self.payload = json.loads(written(said["change"]), object_hook=revealed)
        items = self.payload["evidence"].items()
        self.items = {name: item if isinstance(item, dict) else {"text": item} for name, item in items}
        gone = None in [words for name, words in event.texts.items() if name != "where"]
        digest = self.digest if gone else sha256(written({"payload": self.payload, "workflow": "change"}).encode())
        yield digest == said["digest"] == self.digest, "digest_differs", f"the payload {self.digest}"
        yield self.opened == self.known[0][2], "configuration_not_in_force", f"the configuration {self.known[0][2]}"
        yield self.root.named(self.opened, said), "configuration_differs", f"the configuration {self.opened}"

    def assessed(self, event, said):
        rows, brought = said["controls"], self.payload.get("assertions", [])
        every = [control["id"] for control in self.root.part(self.opened, "catalogue")["controls"]]
        yield [row["control"] for row in rows] == every, "controls_differ", "a result for every control, once"
        self.results = {row["control"]: row["result"] for row in rows}
        cited = [row for row in (*rows, *said.get("claims", [])) if row["result"] in CITED]
        self.claims = [(row["control"], row["result"], row["evidence"], self.quoted(row, event.texts)) for row in cited]
        self.claims += [(row["control"], "met", row["evidence"], row["quote"]) for row in brought]

    def quoted(self, row, texts):
        text, cited = self.items.get(row["evidence"], {"text": ""})["text"], row["quote"]
        return text and text[slice(*cited)] if isinstance(cited, list) else texts[cited]

    def gated(self, _, said):
        rows = said["assertions"]
        told = [(row["control"], row["result"], row["evidence"]) for row in rows]
        yield told == [claim[:3] for claim in self.claims], "gate_forged", "every assertion there is"
        pairs = zip(rows, self.claims, strict=True)
        stand = all(row["why"] or self.stands(*claim[2:], row["span"]) for row, claim in pairs)
        decision = "passed" if rows and not any(row["why"] for row in rows) else "blocked"
        yield stand and said["decision"] == decision, "gate_forged", "what follows from assertions that stand"

    def stands(self, evidence, quote, span):
        """Whether the quoted words stand in the evidence where they are said to, and are enough; erased, they did."""
        text = self.items.get(evidence, {"text": ""})["text"]
        if not (span and 0 <= span[0] < span[1]) or None in (text, quote):
            return bool(span)
        enough = len(" ".join(unicodedata.normalize("NFKC", quote).split())) >= 12
        return enough and letters(quote) in letters(text[slice(*span)])

    def signed_off(self, event, said):
        key, asked, holder = said["key"], self.made["sign_off_requested"], said.get("acting_for", said["actor"])
        due = (key, said["request"], said["log_head"]) == (asked.said["key"], asked.digest, said["prev"])
        yield due, "inconsistent", "a sign-off as it was asked for"
        since = ((one, moment(event.seen) - moment(at)) for one, at in self.root.replaced)
        near = [one for one, ago in since if timedelta() <= ago < timedelta(minutes=1)]
        yield said["configuration"] in [event.in_force, *near], "sign_off_void", f"the configuration {event.in_force}"
        event.in_force = said["configuration"]  # which was still read when it was just replaced
        policy, first = (self.root.part(one, "policy") for one in (event.in_force, self.opened))
        people = [one for one in policy["people"] + first["people"] if one["id"] in (said["actor"], holder)]
        names = {name.casefold() for one in people for name in (one["id"], *one["logins"], *one["emails"])}
        makers = [self.payload["author"], self.payload.get("deployed_by"), *self.payload.get("contributors", [])]
        makers += [item.get("by") for item in self.items.values() if item.get("kind") == "deployment"]
        free = not names & (self.signers | {maker.casefold() for maker in makers if maker})
        able = said["role"] == policy["sign_off"][key] and holding(policy, said["actor"], {said["role"]}, event.seen)
        may = free and able and holder in able
        yield may, "sign_off_void", "somebody with the role, who neither made it nor signed before"
        for row in said["determinations"]:
            is_open = key == KEYS[0] and self.results[row["control"]] == "abstained" and row["result"] in CITED
            yield is_open, "determination_forged", "an open control"
            self.results[row["control"]] = row["result"]
        optional = first["sign_off"]["signature"] == "optional"
        yield "signed" in said or optional, "sign_off_unsigned", f"a signature by {said['actor']}"
        given_on = said["register"]["size"], said["register"]["head"]
        yield given_on in self.root.ends, "sign_off_register", "what it once was"
        self.signers |= names
        if "signed" in said and event.texts[f"statement/{key}"] is not None:
            yield from self.attested(event, said, key, policy["sign_off"]["expires_after_hours"])

    def attested(self, event, said, key, hours):
        """What was signed is this sign-off of this run as it stood; of erased words it is all that there is."""
        raw, signature = event.texts[f"statement/{key}"].encode(), event.texts[f"signature/{key}"]
        signs, rows, asked = parse(raw + b"\n"), said["determinations"], self.made["sign_off_requested"]
        mine = [run for run in signs["runs"] if run["run_id"] == self.id]
        yield len(mine) == 1, "sign_off_statement", "a statement about this run"
        pairs = list(zip(rows, mine[0]["determinations"], strict=False))
        words = {f"reason/{key}": signs["reason"]} | {row["reason"]: one["reason"] for row, one in pairs}
        words = {name: words[name] if event.texts.get(name, "") is None else event.texts.get(name) for name in words}
        told = [{**row, "reason": words[row["reason"]], "quote": one["quote"]} for row, one in pairs]
        says = {"schema": "countersign/sign-off/1", "environment": self.root.environment, "checker": said["actor"]}
        says |= {name: said[name] for name in ("key", "decision", "role", "register")}
        about = {"run_id": self.id, "change_id": self.payload["id"], "maker": self.payload["author"]}
        about |= {"request": asked.digest, "requested_at": asked.ts, "log_head": said["prev"], "determinations": told}
        about |= {name: self.made[step].digest for name, step in (("assertions", "assessed"), ("gate", "gated"))}
        same = mine[0] == about | {"configuration": self.opened} and self.root.named(event.in_force, signs)
        same = same and signs == signs | says | {"reason": words[f"reason/{key}"]} and len(told) == len(rows)
        same = same and all(self.stands(row["evidence"], one["quote"], row["quote"]) for row, one in pairs)
        yield same, "sign_off_statement", "a statement that says what the log says"
        times = (signs["decided_at"], event.seen, signs["expires_at"])
        lasts = moment(times[2]) - moment(times[0]) <= timedelta(hours=hours) and all(map(INSTANT.fullmatch, times))
        clean = said["decision"] == "approved" and not rows and {*self.results.values()} <= CLEAN
        good = lasts and times[0] <= times[1] < times[2] and (clean or len(signs["runs"]) == 1)
        yield good, "sign_off_statement", "one in time, about many runs only where they are clean"
        who = (said["actor"], f"{key.replace('_', '-')}@countersign", said["signed"]["by_key"], event.seen[:19])
        good = signature is None or verified(raw, signature.encode(), *who, self.root.keys(event.in_force))
        yield good, "sign_off_signature", f"by {who[0]}"

    def workpaper(self, _, said):
        made, results = self.made, self.results
        versions = made["ingested"].said["configuration"] | {"mapper": made["assessed"].said["mapper"]}
        own = {"results": results, "versions": versions, "log_head": made["signed_off"].digest}
        for name, kind in (("exceptions", "exception"), ("abstentions", "abstained")):
            own[name] = [control for control in results if results[control] == kind]
        own["clean"] = {*results.values()} <= CLEAN and "breached" not in made
        yield said == said | own, "workpaper_differs", "what was logged before"

    def handed_off(self, _, said):
        paper, names = self.made["workpaper"], ("document", "clean", "conclusion")
        own = dict(zip(("workpaper", *names[1:]), (paper.said[name] for name in names), strict=True))
        yield said == said | own | {"log_head": paper.digest}, "handoff_differs", "what the paper says"


@functools.cache  # one statement may be about many runs
def verified(content, signature, who, namespace, key, at, signers):
    """Whether ssh-keygen verifies a signature as of a second: by a key of somebody, or, without FILE, by its own."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "signature").write_bytes(signature)
        if isinstance(signers, bytes):
            signers = Path(folder, "signers").write_bytes(signers) and f"{folder}/signers"
        command = ["ssh-keygen", "-Y", *(["verify", "-I", who, "-f", signers] if signers else ["check-novalidate"])]
        command += ["-O", f"verify-time={moment(at):%Y%m%d%H%M%SZ}", "-n", namespace, "-s", f"{folder}/signature"]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
    return done.returncode == 0 and key in done.stdout.decode()


def node(right, left):
    """The hash of an inner node of a Merkle tree (RFC 6962)."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Root:
    """What lies in a folder. What yields, yields whether something holds, the fault if not, and what was expected."""

    def __init__(self, root, allowed_signers=None, witness=None):
        self.path, self.signers, self.runs, self.notes, self.erased = root, allowed_signers, {}, {}, {}
        self.faults = [("symlink", path, "no link") for path in root.rglob("*") if path.is_symlink()]
        special = [path for path in root.rglob("*") if not (path.is_file() or path.is_dir()) and path.exists()]
        self.faults += [("special_file", path, "a file or a folder") for path in special]
        if self.faults:  # a link leads anywhere, and whoever opens a FIFO waits for ever: nothing is read
            return
        self.attempt(root / "register.jsonl", self.read_register)
        for run in self.runs.values():
            self.attempt(run.path, run.check)
        self.attempt(root, self.check_files)
        self.attempt(root / "findings.jsonl", self.check_findings)
        self.attempt(root / "seals", self.check_seals, witness)

    def attempt(self, where, what, *arguments):
        """Note the first thing that does not hold. A file may hold anything, and what comes of it is a fault."""
        try:
            for holds, name, expected in what(*arguments) or ():
                expect(holds, name, where, expected)
        except Exception as error:
            self.faults.append(error.args if isinstance(error, Fault) else ("malformed", where, f"no {error!r}"[:200]))

    def part(self, configuration, name):
        return self.version(self.version(configuration)[name])

    def named(self, configuration, said):
        """Whether somebody names a configuration with all its parts."""
        return {**self.version(configuration), "digest": configuration}.items() <= said["configuration"].items()

    def keys(self, configuration):
        """Who may sign as whom: FILE, or without one what the roster of a configuration says, in its form."""
        people, demo = self.part(configuration, "policy")["people"], self.version(configuration).get("demo_signers")
        people = [*people, *({**one, "id": one["person"]} for one in (self.version(demo)["signers"] if demo else ()))]
        lines = ""
        for person, key in ((one["id"], key) for one in people for key in one["keys"]):
            since, until = moment(key["valid_after"]), moment(key.get("valid_before") or "9999-12-31")
            times = f'valid-after="{since:%Y%m%d%H%M%SZ}",valid-before="{until:%Y%m%d%H%M%SZ}"'
            lines += f'{person} namespaces="{key["namespace"]}",{times} {key["key"]}\n'
        return self.signers or lines.encode()

    def read_register(self):
        versions = self.path / "policies"
        self.version = functools.cache(lambda name: json.loads(inside(versions, f"{name}.json").read_bytes()))
        self.runs, self.files, self.notes, self.findings, self.in_force, self.approvals = {}, {}, {}, [ZERO], None, []
        self.ends, self.found = {(0, ZERO): ""}, {(0, ZERO)}  # sizes and heads that register and findings had
        self.replaced = []  # configurations, each with when the next one came
        self.erased, self.gone = {}, set()  # digests of erased texts by run, and those of them among the blobs
        with (self.path / "register.jsonl").open("rb") as file:
            self.environment = sha256(file.readline(LONGEST))
        for event in events(self.path / "register.jsonl", self.path / "blobs"):
            self.ends[event.end, event.digest], event.in_force = event.ts, self.in_force
            self.attempt(event.where, self.take, event, event.said)

    def take(self, event, said):
        """One line of the register."""
        seal = f"seals/{said.get('number', 0):06}.json"
        match event.name:
            case "run_opened":
                run = self.runs.setdefault(said["run_id"], opened := Run(self, said, self.in_force))
                run.opened_at = run.opened_at or event.end
                yield run is opened, "register_order", "each run opened once"
                yield run.id == f"change-{run.digest[:16]}", "digest_differs", f"a run id of the digest {run.digest}"
            case "run_head" | "run_closed" | "signed_off" | "breached" if "head" in said:
                yield from self.runs[said["run_id"]].learnt(event, said)
            case "abandoned":
                self.runs[said["run_id"]].abandoned = True
            case "findings_head":
                self.findings.append(said["head"])
            case "root_opened" | "configuration_adopted":
                self.replaced.append((self.in_force, event.ts))
                self.in_force, names = said["configuration"], ("policy", "catalogue", "calendar", "demo_signers")
                parts = [self.in_force, *(self.version(self.in_force).get(name) for name in names)]
                self.files |= {f"policies/{part}.json": part for part in parts if part}
                about = {"configuration": self.in_force, "previous": event.in_force}
                good = about.items() <= said.items() and self.agreed("configuration", about, self.adopted)
                yield good or not event.in_force, "adoption_void", f"the consent of two owners by {event.in_force}"
                self.adopted = moment(event.ts)
                self.approvals = [one for one in self.approvals if one.name != "configuration_consented"]
            case "configuration_consented" | "retention_approved":
                self.approvals.append(event)
            case "erased":
                about = {"act": "erased", "on": {name: said[name] for name in ("run_id", "text", "digests")}}
                since, erased = moment(event.ts) - timedelta(days=30), self.erased.setdefault(said["run_id"], set())
                known = erased >= {*said["digests"]}  # said again, it is the same
                good = known or self.agreed("retention", about, since)
                erased.update(said["digests"] if good else ())
                yield good, "erasure_void", "two owners who approved of it in thirty days"
            case "population_frozen" | "sample_drawn" | "sample_observed":
                yield from self.take_files(f"/month={said['month']}/", said.get("files", {}).items())
            case "dataset":
                self.files[f"datasets/{said['asset']}/day={said['day']}.parquet"] = said["digest"]
            case "extract":
                self.files[f"extracts/{said['digest']}"] = said["digest"]
            case "sealed":
                yield seal not in self.notes, "seal_changed", "one line about each seal"
                self.notes[seal] = said
                self.files |= {seal: said["seal"], f"{seal}.sig": said["signature"]}
            case "witnessed" | "timestamped":
                self.files.setdefault(f"seals/{said['file']}", said["sha256"])
                if event.name == "witnessed":
                    paths = self.path / seal, inside(self.path / "seals", said["file"])
                    yield from self.check_signature("witness", *paths, said["by"], said["ts"]) or ()

    def take_files(self, month, files):
        """A file of a month lies in its folder, and has one digest for ever."""
        for name, digest in files:
            good = DATASETS.fullmatch(name) and month in name and digest == self.files.setdefault(name, digest)
            yield good, "register_order", f"files of {month}, each by one digest"

    def agreed(self, kind, about, since):
        """Whether two owners by the configuration of then have since said so, and signed it; one, if nobody has to."""
        stand, least, words = set(), 2, {"schema": "countersign/retention/1", "environment": self.environment} | about
        if kind == "configuration":
            words |= {"schema": "countersign/adoption/1", "manifest": self.version(about["configuration"])}
        for one in (one for one in self.approvals if about.items() <= one.said.items()):
            actor, texts, policy, decided = one.said["actor"], one.texts, self.part(one.in_force, "policy"), one.ts
            good = policy["sign_off"]["signature"] == "optional"
            least -= good and kind == "configuration"
            if {"statement", "signature"} <= texts.keys():
                raw, signature = texts["statement"].encode(), texts["signature"].encode()
                signs, who = parse(raw + b"\n"), (actor, f"{kind}@countersign", "", one.ts, self.keys(one.in_force))
                decided = signs.get("decided_at")
                due = words | {"by": actor, "reason": texts.get("reason", ""), "decided_at": decided}
                good = signs == due and verified(raw, signature, *who)
            good = good and since <= moment(decided) <= moment(one.ts)
            stand |= {actor} & holding(policy, actor, OWNERS, one.ts) if good else set()
        return len(stand) >= max(least, 1)

    def check_files(self):
        runs = {*self.path.glob("runs/*/*/*/*/audit.jsonl")} - {run.path for run in self.runs.values()}
        self.faults += [("unregistered", path, "a register that opens such a run there") for path in runs]
        kept = [path for at in ("policies/*.json", "blobs/[0-9a-f]*", "extracts/[!.]*") for path in self.path.glob(at)]
        due = self.files | {str(path.relative_to(self.path)): path.name.removesuffix(".json") for path in kept}
        lie = [path for path in self.path.glob("datasets/**/*") if path.is_file() and not PASSING.fullmatch(path.name)]
        known = {self.path / name for name in due if DATASETS.fullmatch(name)}
        self.faults += [("dataset_unregistered", path, "a line that names it") for path in lie if path not in known]
        for name in due.keys() - {f"blobs/{digest}" for digest in self.gone}:
            path, out = self.path / name, {"..", "/"} & {*Path(name).parts}
            if out or not path.is_file() or sha256(path.read_bytes()) != due[name]:
                self.faults.append(("content_differs", path, f"the SHA-256 {due[name]}"))

    def check_findings(self):
        path = self.path / "findings.jsonl"
        ends = {event.digest: event.end for event in events(path, self.path / "blobs")} if path.exists() else {}
        self.found |= {(end, head) for head, end in ends.items()}
        yield placed(self.findings, ends), "findings_cut", f"the head {self.findings[-1]} and those before it"

    def check_seals(self, witness):
        """Seals in the order of their numbers, with one pass over the register's lines; and the one that was kept."""
        paths, self.before, self.tree, self.sealed = [*self.path.glob("seals/*.json")], (ZERO, ""), [], 0
        names = {f"seals/{path.name}" for path in paths} | self.notes.keys()
        with (self.path / "register.jsonl").open("rb") as lines:
            for number, name in enumerate(sorted(names), start=1):
                self.attempt(self.path / name, self.check_seal, self.path / name, number, lines, self.notes.get(name))
        for run in self.runs.values():
            begun = run.abandoned or run.opened_at > self.sealed or run.path.is_file() or len(run.known) > 1
            yield begun, "log_missing", f"the log of {run.id}, or a line that it was abandoned, before a seal"
        kept = [path.read_bytes() for path in paths if witness and path.is_file()]
        goes_on = not witness or Path(witness).read_bytes() in kept
        yield goes_on, "witness_differs", f"a root that goes on from the seal {witness}"

    def check_seal(self, path, number, lines, note):
        """A seal is signed, follows the one before, is known to the register, and is true of register and findings."""
        yield path.is_file() and path.name == f"{number:06}.json", "seal_missing", f"the seal {number}"
        raw, (before, earlier) = path.read_bytes(), self.before
        seal = parse(raw + b"\n")
        said, at = seal["register"], seal["at"]
        self.before, self.sealed = (sha256(raw), at), said["bytes"]
        for line in itertools.islice(lines, max(0, said["lines"] - sum(size for size, _ in self.tree))):
            self.tree.append((1, hashlib.sha256(b"\0" + line).digest()))
            while len(self.tree) > 1 and self.tree[-1][0] == self.tree[-2][0]:  # two trees of one size are one of twice
                (size, right), (_, left) = self.tree.pop(), self.tree.pop()
                self.tree.append((2 * size, node(right, left)))
        yield (seal["previous"], seal["number"]) == (before, number), "seal_continuity", f"the one before, {before}"
        yield seal["environment"] == self.environment, "seal_environment", f"the environment {self.environment}"
        for name, ends in (("register", self.ends), ("findings", self.found)):
            yield (seal[name]["bytes"], seal[name]["head"]) in ends, f"seal_{name}", f"what was {seal[name]}"
        trees = [tree for _, tree in self.tree]
        state = (lines.tell(), [tree.hex() for tree in trees], functools.reduce(node, reversed(trees)).hex())
        yield state == (said["bytes"], said["range"], said["root"]), "seal_root", f"the root {state[2]}"
        last = max(earlier, self.ends[said["bytes"], said["head"]])
        yield INSTANT.fullmatch(at) and last <= at, "seal_time", f"an instant that is not before {last}"
        yield note, "seal_unfinished", "the register's line about it"
        yield "finished" in note or note["ts"] == at, "seal_changed", "a line of when it was made"
        yield from self.check_signature("seal", path, path.with_name(f"{path.name}.sig"), "countersign", at)

    def check_signature(self, role, seal, kept, by, at):
        who = (by, f"{role}@countersign", "", at[:19], self.signers)
        good = kept.is_file() and verified(seal.read_bytes(), kept.read_bytes(), *who)
        yield good, f"{role}_signature", f"{kept.name} by {by}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--allowed-signers", help="who may sign as whom; else what the rosters in force say")
    parser.add_argument("--witness", help="a seal of this root that was kept elsewhere")
    root = Root(**vars(parser.parse_args()))
    told = [f"{name}  {where}  expected: {expected}" for name, where, expected in root.faults]
    gone = [f"erased  {one}  texts of it, as the register says" for one, digests in root.erased.items() if digests]
    told += [*gone, f"{len(root.runs) or 'no'} runs, {len(root.notes)} seals: {len(told) or 'no'} faults"]
    print(*(line.encode("unicode_escape").decode() for line in told), sep="\n")  # whatever others wrote into it
    raise SystemExit(bool(root.faults) or not root.runs)


if __name__ == "__main__":
    main()
