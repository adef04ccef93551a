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
import os
import re
import subprocess
import tempfile
import unicodedata
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

ZERO = "0" * 64
INSTANT = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{6}Z")
KEYS, OWNERS = ("independent_review", "maker_checker"), {"control_owner", "process_owner"}
CITED, CLEAN = {"met", "exception"}, {"met", "not_applicable"}
ENDS = {"handed_off": "COMPLETED", "blocked": "BLOCKED", "out_of_scope": "OUT_OF_SCOPE"}
# what a step comes after, and which of them may come again
AFTER = {"ingested": "", "failed": "", "recovered": "", "gated": "assessed", "sign_off_requested": "gated"}
AFTER |= dict.fromkeys(("out_of_scope", "model_asked", "assessed", "breached"), "ingested")
AFTER |= {"signed_off": "sign_off_requested", "workpaper": "signed_off", "handed_off": "workpaper"}
AFTER |= {"noticed": "gated", "blocked": "gated"}
AGAIN = {"failed", "recovered", "noticed", "breached", "sign_off_requested", "signed_off"}


class Fault(Exception):
    """A fault by name, where it is, and what was expected there."""


def expect(holds, name, where, expected):
    if not holds:
        raise Fault(name, where, expected)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def compact(value):
    return written(value).encode()


def parse(raw):
    """A line's object; empty unless in the only bytes that can say it: no key twice, no white space, no NaN."""
    try:
        value = json.loads(raw, parse_constant=int)
        return value if isinstance(value, dict) and compact(value) + b"\n" == raw else {}
    except (ValueError, RecursionError):
        return {}


def moment(text):
    expect(INSTANT.fullmatch(text), "bad_instant", text, "an instant in UTC with six digits")
    return datetime.fromisoformat(f"{text[:-1]}+00:00")


def is_text(raw, line, name, digest, erased):
    """Whether a line is the text of this name and digest, or the mark in place of one that was erased."""
    whole = sha256(raw) == digest and line.get("text") == name and isinstance(line.get("value"), str)
    return whole or (digest in erased and line == {"text": name, "erased": digest})


def events(path, blobs, erased=()):
    """Events with their texts, None for an erased one. `recovered` stands for torn lines, or voids what lost texts."""
    event, head, seq, ts, size, awaited, damaged, where = None, ZERO, -1, "", 0, [], None, str(path)
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            where, line, size = f"{path}:{number}", parse(raw), size + len(raw)
            if "prev" in line:
                recovers = line["event"] == "recovered"
                lost = damaged and damaged.hexdigest()
                expect(lost == (line.get("damaged") if recovers else None), "unreadable", where, "the lines before")
                own = list(line)[:5] == ["prev", "seq", "ts", "event", "actor"] and type(line["seq"]) is int
                own = own and {type(line[name]) for name in ("ts", "event", "actor")} == {str}
                expect(own, "bad_event", where, "a writer's own")
                expect((line["prev"], line["seq"]) == (head, seq + 1), "broken_chain", where, f"{head}, {seq + 1}")
                later = INSTANT.fullmatch(line["ts"]) and ts <= line["ts"]
                expect(later, "time_back", where, f"an instant that is not before {ts}")
                expect(not awaited or (recovers and line["voids"] == [seq]), "text_missing", where, f"first {awaited}")
                if event and not awaited:
                    yield event
                head, seq, ts, damaged = sha256(raw), seq + 1, line["ts"], None
                event = argparse.Namespace(where=where, digest=head, name=line["event"], said=line, ts=ts, end=size)
                event.texts, awaited = {}, list(line.get("texts", {}).items())
                for name, digest in line.get("blobs", {}).items():
                    kept = (blobs / digest).read_bytes()
                    expect(is_text(kept, parse(kept), name, digest, erased), "text_changed", where, f"{name}, {digest}")
                    event.texts[name] = parse(kept).get("value")
            elif awaited and damaged is None and is_text(raw, line, *awaited[0], erased):
                event.texts[awaited.pop(0)[0]], event.end = line.get("value"), size
            else:
                expect(raw.endswith(b"\n"), "torn_tail", where, "a whole last line")
                damaged = damaged or hashlib.sha256()
                damaged.update(raw)
    expect(event and not awaited and damaged is None, "torn_tail", where, "at its end, an event with all its texts")
    yield event


def placed(known, heads):
    """Where heads stand that the register knows, -1 for 64 zeros; None unless in order, and the last is the last."""
    order = {head: place for place, head in enumerate([ZERO, *heads], start=-1)}
    places = [order.get(head) for head in known]
    last = places[-1] if places else -1
    return places if None not in places and places == sorted(places) and last == len(heads) - 1 else None


def letters(text):
    """What quotes are compared by: letters and digits, whatever their form and case, and whatever stands between."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(part for part in plain if part.isalnum() and part not in "\u115f\u1160")


def holding(policy, person, roles, at):
    """For whom somebody holds one of these roles at an instant: by themself, else whoever lent it to them."""

    def within(since, until):
        day = moment(at).astimezone(ZoneInfo(policy["time_zone"])).date().isoformat() if since or until else ""
        return (since or "") <= day <= (until or "~")

    there = {one["id"]: one for one in policy["people"] if within(one.get("valid_from"), one.get("valid_until"))}
    held = [name for name, one in there.items() if roles & {*one["roles"]}]
    lends = [(name, one) for name in held for one in there[name]["delegates"] if one["to"] == person in there]
    return [person] if person in held else [name for name, one in lends if within(one["from"], one["until"])]


class Run:
    """A run as the register knows it. Each method named after an event says what has to be true of it."""

    def __init__(self, root, opened, in_force):
        self.root, self.id, self.digest, self.opened = root, opened["run_id"], opened["digest"], opened["configuration"]
        self.path = root.path / "runs" / opened["day"].replace("-", "/") / self.id / "audit.jsonl"
        self.in_force, self.known, self.status, self.over = in_force, [], "", False
        self.made, self.asked, self.signed, self.closed = {}, {}, {}, None

    def check(self):
        """Read the log to its end. Raises Fault at the first event that does not follow from those before it."""
        there, erased = self.path.is_file(), self.root.erased.get(self.id, set())  # not begun, it has no log
        log = list(events(self.path, self.root.path / "blobs", erased)) if there else []
        places = placed([head for head, *_ in self.known], [event.digest for event in log])
        expected = f"in their order, and nothing after the last, the heads {[head for head, *_ in self.known]}"
        expect(places is not None, "head_differs" if there else "log_missing", self.path, expected)
        for place, event in enumerate(log):
            learnt = next(learnt for at, learnt in zip(places, self.known, strict=True) if at >= place)
            _, event.seen, event.in_force = learnt  # when the register first knew of it, and what was in force then
            self.root.gone |= erased & {*event.said.get("blobs", {}).values()}
            may = AFTER.get(event.name) in ("", *self.made) and (event.name in AGAIN or event.name not in self.made)
            may = may and (self.closed is None or event.name == "recovered")
            expect(may, "inconsistent", event.where, "a step of a run, in its order, and nothing after its end")
            getattr(self, event.name, lambda _: None)(event)
            self.made[event.name], self.closed = event, ENDS.get(event.name, self.closed)
        status = self.status if self.status in ENDS.values() else None
        expect(status == self.closed, "status_differs", self.path, f"the status {self.status}")

    def ingested(self, event):
        def revealed(part):  # its words back in their places, its keys in the order of RFC 8785
            if list(part) == ["$text"]:
                return event.texts[part["$text"]]
            if list(part) == ["$blob"]:
                return base64.b64encode((self.root.path / "blobs" / part["$blob"]).read_bytes()).decode()
            return {key: part[key] for key in sorted(part, key=lambda key: key.encode("utf-16-be"))}

        said, gone = event.said, [name for name, words in event.texts.items() if words is None and name != "where"]
        self.payload = json.loads(compact(said["change"]), object_hook=revealed)
        digest = said["digest"] if gone else sha256(compact({"payload": self.payload, "workflow": "change"}))
        expect(digest == said["digest"] == self.digest, "digest_differs", event.where, f"the payload {self.digest}")
        expect(self.opened == self.in_force, "configuration_not_in_force", event.where, self.in_force)
        self.settings = {**self.root.version(self.opened), "digest": self.opened}
        named = said["configuration"] | self.settings == said["configuration"]
        expect(named, "configuration_differs", event.where, f"the configuration {self.opened}")
        items = self.payload["evidence"].items()
        self.evidence = {name: item["text"] if isinstance(item, dict) else item for name, item in items}

    def out_of_scope(self, event):
        outside = self.made["ingested"].said["classified"]["in_scope"] is False and "assessed" not in self.made
        expect(outside, "inconsistent", event.where, "a change that was out of scope when it came")

    def model_asked(self, event):
        expect("assessed" not in self.made, "inconsistent", event.where, "nothing assessed yet")

    def assessed(self, event):
        inside = self.made["ingested"].said["classified"]["in_scope"] is True
        expect(inside, "inconsistent", event.where, "a change in scope")
        rows, brought = event.said["controls"], self.payload.get("assertions", [])
        every = [control["id"] for control in self.root.part(self.opened, "catalogue")["controls"]]
        expect(
            [row["control"] for row in rows] == every, "controls_differ", event.where, "each control of the catalogue"
        )
        self.results = {row["control"]: row["result"] for row in rows}
        made = [row for row in (*rows, *event.said.get("claims", [])) if row["result"] in CITED]
        self.claims = [self.claim(event, row) for row in made]
        self.claims += [(row["control"], "met", row["evidence"], row["quote"]) for row in brought]

    def claim(self, event, row):
        """An assertion: control, result, name of the evidence, and the quoted words."""
        cited, text = row["quote"], self.evidence.get(row["evidence"], "")
        quote = text and text[slice(*cited)] if isinstance(cited, list) else event.texts[cited]
        return row["control"], row["result"], row["evidence"], quote

    def gated(self, event):
        rows = event.said["assertions"]
        said = [(row["control"], row["result"], row["evidence"]) for row in rows]
        expect(said == [claim[:3] for claim in self.claims], "gate_forged", event.where, "every assertion there is")
        for row, claim in zip(rows, self.claims, strict=True):
            expect(row["why"] or self.stands(*claim[2:], row["span"]), "gate_forged", event.where, "words that stand")
        decision = "passed" if rows and not any(row["why"] for row in rows) else "blocked"
        expect(event.said["decision"] == decision, "gate_forged", event.where, "what follows from the assertions")

    def stands(self, evidence, quote, span):
        """Whether the quoted words stand in the evidence where they are said to, and are enough; erased, they did."""
        if None in (quote, text := self.evidence.get(evidence, "")):
            return bool(span)
        there = text[slice(*span)] if span and 0 <= span[0] < span[1] else ""
        return len(" ".join(unicodedata.normalize("NFKC", quote).split())) >= 12 and letters(quote) in letters(there)

    def decisions(self):
        """The gate's, then those of the sign-offs."""
        return [self.made["gated"].said["decision"], *(one.said["decision"] for one in self.signed.values())]

    def sign_off_requested(self, event):
        open_yet = {*self.decisions()} <= {"passed", "approved"} and self.asked.keys() == self.signed.keys()
        due = KEYS[len(self.signed) : len(self.signed) + 1] if open_yet else ()
        expect(
            due == (event.said["key"],), "inconsistent", event.where, "the next sign-off, after all that it waits for"
        )
        self.asked[event.said["key"]] = event

    def signed_off(self, event):
        said, key, where = event.said, event.said["key"], event.where
        due = key in self.asked.keys() - self.signed.keys() and said["decision"] in ("approved", "rejected")
        due = due and (said["request"], said["log_head"]) == (self.asked[key].digest, said["prev"])
        expect(due, "inconsistent", where, "a sign-off as it was asked for")
        expect(said["configuration"] == event.in_force, "sign_off_void", where, f"the configuration {event.in_force}")
        policy, first = (self.root.part(one, "policy") for one in (event.in_force, self.opened))
        signer, holder, role = said["actor"], said.get("acting_for", said["actor"]), policy["sign_off"][key]
        people = [one for one in policy["people"] + first["people"] if one["id"] in (signer, holder)]
        names = {name.casefold() for one in people for name in (one["id"], *one["logins"], *one["emails"])}
        items = [item for item in self.payload["evidence"].values() if isinstance(item, dict)]
        makers = [self.payload["author"], self.payload.get("deployed_by"), *self.payload.get("contributors", [])]
        makers += [item.get("by") for item in items if item.get("kind") == "deployment"]
        makers += [one.said.get(part) for one in self.signed.values() for part in ("actor", "acting_for")]
        free = holder in holding(policy, signer, {role}, event.seen) and said["role"] == role
        free = free and not names & {maker.casefold() for maker in makers if maker}
        expect(free, "sign_off_void", where, "somebody with the role, who neither made it nor signed before")
        for row in said["determinations"]:
            is_open = key == KEYS[0] and self.results[row["control"]] == "abstained" and row["result"] in CITED
            expect(is_open, "determination_forged", where, "an open control, by the reviewer")
            self.results[row["control"]] = row["result"]
        optional = first["sign_off"]["signature"] == "optional"
        expect("signed" in said or optional, "sign_off_unsigned", where, f"a signature by {said['actor']}")
        expect(tuple(said["register"].values()) in self.root.ends, "sign_off_register", where, "what it once was")
        self.signed[key] = event
        if "signed" in said and event.texts[f"statement/{key}"] is not None:
            self.attested(event, event.texts[f"statement/{key}"].encode(), policy["sign_off"]["expires_after_hours"])

    def attested(self, event, raw, hours):
        """What was signed is this sign-off of this run as it stood."""
        said, key, texts, rows = event.said, event.said["key"], event.texts, event.said["determinations"]
        signs, asked, seen, where = parse(raw + b"\n"), self.asked[key], event.seen, event.where

        def words(name, told):  # those of the log; where they were erased, what was signed is all that there is
            return told if name in texts and texts[name] is None else texts.get(name)

        says = {name: said[name] for name in ("key", "decision", "role", "register")}
        says |= {"environment": self.root.environment, "checker": said["actor"], "schema": "countersign/sign-off/1"}
        says |= {"reason": words(f"reason/{key}", signs["reason"])}
        settings = {**self.root.version(event.in_force), "digest": event.in_force}
        about = {"run_id": self.id, "change_id": self.payload["id"], "maker": self.payload["author"]}
        about |= {"request": asked.digest, "requested_at": asked.ts, "log_head": said["prev"]}
        about |= {"assertions": self.made["assessed"].digest, "gate": self.made["gated"].digest}
        mine = [run for run in signs["runs"] if run["run_id"] == self.id]
        expect(len(mine) == 1, "sign_off_statement", where, "a statement about this run")
        pairs = list(zip(rows, mine[0]["determinations"], strict=False))
        told = [{**row, "reason": words(row["reason"], one["reason"]), "quote": one["quote"]} for row, one in pairs]
        about |= {"configuration": self.opened, "determinations": told + rows[len(told) :]}
        same = (
            signs | says == signs and mine[0] == about and signs["configuration"] | settings == signs["configuration"]
        )
        same = same and all(self.stands(row["evidence"], one["quote"], row["quote"]) for row, one in pairs)
        expect(same, "sign_off_statement", where, "a statement that says what the log says")
        lasts = moment(signs["expires_at"]) - moment(signs["decided_at"]) <= timedelta(hours=hours)
        clean = said["decision"] == "approved" and not rows and {*self.results.values()} <= CLEAN
        holds = lasts and signs["decided_at"] <= seen < signs["expires_at"] and (clean or len(signs["runs"]) == 1)
        expect(holds, "sign_off_statement", where, "one in time, about many runs only where they are clean")
        if (signature := texts[f"signature/{key}"]) is not None:
            who = (said["actor"], f"{key.replace('_', '-')}@countersign", said["signed"]["by_key"], seen[:19])
            good = verified(raw, signature.encode(), *who, self.root.keys(event.in_force))
            expect(good, "sign_off_signature", where, f"by {who[0]}")

    def workpaper(self, event):
        unmet = [control for control, result in self.results.items() if result == "exception"]
        untold = [control for control, result in self.results.items() if result == "abstained"]
        clean = {*self.results.values()} <= CLEAN and "breached" not in self.made
        own = {"results": self.results, "exceptions": unmet, "abstentions": untold, "clean": clean}
        own |= {"log_head": self.made["signed_off"].digest}
        versions = {**self.made["ingested"].said["configuration"], "mapper": self.made["assessed"].said["mapper"]}
        follows = self.decisions()[1:] == ["approved"] * 2 and event.said | own | {"versions": versions} == event.said
        expect(follows, "workpaper_differs", event.where, "what was logged before")

    def breached(self, event):
        expect("workpaper" not in self.made, "inconsistent", event.where, "a breach before the workpaper")

    def handed_off(self, event):
        paper, names = self.made["workpaper"], ("log_head", "workpaper", "clean", "conclusion")
        follows = [paper.digest, *(paper.said[name] for name in ("document", "clean", "conclusion"))]
        expect([event.said[name] for name in names] == follows, "handoff_differs", event.where, "what the paper says")

    def blocked(self, event):
        stops = self.decisions()[-1] in ("blocked", "rejected")
        expect(stops, "inconsistent", event.where, "a gate or a person that blocks")


def second(instant):
    """As `ssh-keygen` takes it."""
    return re.sub("[^0-9]", "", instant)[:14] + "Z"


@functools.cache  # one statement may be about many runs
def verified(content, signature, who, namespace, key, at, signers):
    """Whether ssh-keygen verifies a signature as of a second: by a key of somebody, or, without FILE, by its own.

    `signers` is FILE, or the bytes of one.
    """
    with tempfile.TemporaryDirectory() as folder:
        (signed := Path(folder, "signature")).write_bytes(signature)
        if isinstance(signers, bytes):
            (roster := Path(folder, "signers")).write_bytes(signers)
            signers = str(roster)
        command = ["ssh-keygen", "-Y", *(["verify", "-I", who, "-f", signers] if signers else ["check-novalidate"])]
        command += ["-O", f"verify-time={second(at)}", "-n", namespace, "-s", str(signed)]
        done = subprocess.run(command, input=content, capture_output=True, check=False)
    return done.returncode == 0 and key in done.stdout.decode()


class Root:
    def __init__(self, root, allowed_signers=None, witness=None):
        self.path, self.signers, self.faults = root, allowed_signers, []
        self.attempt(root / "register.jsonl", self.read_register)
        for run in self.runs.values():
            self.attempt(run.path, run.check)
        self.attempt(root, self.check_files)
        self.attempt(root / "findings.jsonl", self.check_findings)
        self.attempt(root / "seals", self.check_seals)
        if witness:
            self.attempt(witness, self.check_witness, witness)

    def attempt(self, where, what, *arguments):
        """Do that much of the checking, and note what is wrong, however wrong it is."""
        try:
            what(*arguments)
        except Exception as error:  # a file may hold anything; whatever comes of it is a fault, and no end
            self.faults.append(error.args if isinstance(error, Fault) else ("malformed", where, f"no {error!r:.200}"))

    def note(self, holds, name, where, expected):
        """A fault that is no reason to stop."""
        self.attempt(where, expect, holds, name, where, expected)

    def version(self, digest):
        """A kept document, read once."""
        if digest not in self.versions:
            self.versions[digest] = json.loads((self.path / "policies" / f"{digest}.json").read_bytes())
        return self.versions[digest]

    def part(self, configuration, name):
        return self.version(self.version(configuration)[name])

    def keys(self, configuration):
        """Who may sign as whom: FILE, or without one what the roster of a configuration says, in its form."""
        if self.signers:
            return self.signers
        people = [(one["id"], one["keys"]) for one in self.part(configuration, "policy")["people"]]
        if "demo_signers" in self.version(configuration):
            demo = self.part(configuration, "demo_signers")["signers"]
            people += [(one["person"], one["keys"]) for one in demo]
        lines = []
        for person, key in ((person, key) for person, keys in people for key in keys):
            ends = f',valid-before="{second(key["valid_before"])}"' if key.get("valid_before") else ""
            lasts = f'valid-after="{second(key["valid_after"])}"{ends}'
            lines.append(f'{person} namespaces="{key["namespace"]}",{lasts} {key["key"]}\n')
        return "".join(lines).encode()

    def read_register(self):
        """What the register says, line by line; everything else is held against it."""
        self.runs, self.files, self.notes, self.findings, self.versions = {}, {}, {}, [], {}
        self.ends, self.found = {(0, ZERO): ""}, {(0, ZERO)}  # sizes and heads that register and findings had
        self.in_force, self.consents, self.approvals = None, [], {}
        self.erased, self.gone = {}, set()  # digests of erased texts by run, and those of them among the blobs
        with (self.path / "register.jsonl").open("rb") as file:
            self.environment = sha256(file.readline())
        for event in events(self.path / "register.jsonl", self.path / "blobs"):
            self.ends[event.end, event.digest] = event.ts
            self.attempt(event.where, self.take, event, event.said)

    def take(self, event, said):
        """One line of the register."""
        if isinstance(files := said.get("files"), dict):
            self.files |= {self.path / name: digest for name, digest in files.items()}
        match event.name:
            case "run_opened":
                own = said["run_id"] == f"change-{said['digest'][:16]}"
                self.note(own, "digest_differs", event.where, f"a run id that is of its digest, {said['digest']}")
                self.note(said["run_id"] not in self.runs, "register_order", event.where, "each run opened once")
                self.runs.setdefault(said["run_id"], Run(self, said, self.in_force))
            case "run_head" | "run_closed" | "signed_off" | "breached" if "head" in said:
                run = self.runs[said["run_id"]]
                self.note(not run.over, "register_order", event.where, "nothing of a run after it was closed")
                run.known.append((said["head"], event.ts, self.in_force))
                run.status, run.over = said.get("status", run.status), run.over or event.name == "run_closed"
            case "findings_head":
                self.findings.append(said["head"])
            case "root_opened" | "configuration_adopted":
                self.configured(event, said)
            case "configuration_consented":
                self.consents.append(event)
            case "retention_approved" if said["act"] == "erased":
                self.approvals.setdefault(json.dumps(said["on"], sort_keys=True), []).append((event, self.in_force))
            case "erased":
                self.take_erased(event, {name: said[name] for name in ("run_id", "text", "digests")})
            case "dataset":
                self.files[self.path / "datasets" / said["asset"] / f"day={said['day']}.parquet"] = said["digest"]
            case "extract":
                self.files[self.path / "extracts" / said["digest"]] = said["digest"]
            case "sealed" | "witnessed" | "timestamped":
                self.take_note(event, said, self.path / "seals" / f"{said['number']:06}.json")

    def take_note(self, event, said, seal):
        """What the register says of a seal."""
        if event.name == "sealed":
            self.note(seal not in self.notes, "seal_changed", event.where, "one line about each seal")
            self.notes[seal] = said
            self.files |= {seal: said["seal"], seal.with_name(f"{seal.name}.sig"): said["signature"]}
        else:
            self.files[(path := self.path / "seals" / said["file"])] = said["sha256"]
            if event.name == "witnessed":
                self.attempt(path, self.check_signature, "witness", seal, path, said["by"], said["ts"])

    def configured(self, event, said):
        """A configuration is in force from its line on, and every part of it is there."""
        if event.name == "configuration_adopted":
            self.attempt(event.where, self.check_adoption, event, said["configuration"], said["previous"])
        else:
            self.note(self.in_force is None, "register_order", event.where, "one genesis")
        self.in_force, self.consents = said["configuration"], []
        parts = [self.version(self.in_force).get(name) for name in ("policy", "catalogue", "calendar", "demo_signers")]
        self.files |= {self.path / "policies" / f"{part}.json": part for part in (self.in_force, *parts) if part}

    def check_adoption(self, event, configuration, previous):
        """Two owners by the version before consented to it in the register, or one where nobody has to sign."""
        about = {"configuration": configuration, "previous": previous}
        words = about | {"manifest": self.version(configuration)}
        agreed = [one for one in self.consents if about.items() <= one.said.items()]
        good = {one.said["actor"] for one in agreed if self.owner(one, self.in_force, "adoption", words)}
        optional = self.part(self.in_force, "policy")["sign_off"]["signature"] == "optional"
        enough = previous == self.in_force and len(good) >= (1 if optional else 2)
        expect(enough, "adoption_void", event.where, f"the consent of two owners by {self.in_force}")

    def owner(self, event, configuration, kind, words):
        """The owners for whom a register line speaks, none unless it is signed where that is asked for."""
        policy, actor, texts = self.part(configuration, "policy"), event.said["actor"], event.texts
        owners = holding(policy, actor, OWNERS, event.ts)
        if "statement" not in texts or "signature" not in texts:
            return owners if policy["sign_off"]["signature"] == "optional" else []
        raw = texts["statement"].encode()
        signs = parse(raw + b"\n")
        words = words | {"schema": f"countersign/{kind}/1", "environment": self.environment, "by": actor}
        words |= {"reason": texts.get("reason", ""), "decided_at": signs.get("decided_at")}
        namespace = {"adoption": "configuration@countersign"}.get(kind, f"{kind}@countersign")
        who = (actor, namespace, "", event.ts[:19], self.keys(configuration))
        good = signs == words and signs["decided_at"] <= event.ts and verified(raw, texts["signature"].encode(), *who)
        return owners if good else []

    def take_erased(self, event, on):
        """An erasure counts by the approvals of two owners, not older than thirty days; said again, it is the same."""
        approvals = self.approvals.get(name := json.dumps(on, sort_keys=True), [])
        self.approvals[name] = None
        if approvals is None:
            return
        recent = [one for one in approvals if moment(event.ts) - moment(one[0].ts) <= timedelta(days=30)]
        words = {"act": "erased", "on": on}
        actors = {
            one.said["actor"] for one, then in recent if one.said["actor"] in self.owner(one, then, "retention", words)
        }
        expect(len(actors) >= 2, "erasure_void", event.where, "the approvals of two owners")
        self.erased.setdefault(on["run_id"], set()).update(on["digests"])

    def check_files(self):
        for path in {*self.path.glob("runs/*/*/*/*/audit.jsonl")} - {run.path for run in self.runs.values()}:
            self.faults.append(("unregistered", path, "a register that opens such a run there"))
        for folder, folders, files in os.walk(self.path):
            for path in (Path(folder, name) for name in (*folders, *files)):
                self.note(not path.is_symlink(), "symlink", path, "a file or a folder of its own")
        kept = [path for at in ("policies/*.json", "blobs/[0-9a-f]*", "extracts/[!.]*") for path in self.path.glob(at)]
        due = {path: path.name.removesuffix(".json") for path in kept} | self.files
        for path in due.keys() - {self.path / "blobs" / digest for digest in self.gone}:
            same = path.is_file() and sha256(path.read_bytes()) == due[path]
            self.note(same, "content_differs", path, f"the SHA-256 {due[path]}")

    def check_findings(self):
        path = self.path / "findings.jsonl"
        there = [(event.end, event.digest) for event in events(path, self.path / "blobs")] if path.exists() else []
        self.found |= {*there}
        whole = ZERO not in self.findings and placed(self.findings, [head for _, head in there]) is not None
        expect(whole, "findings_cut", path, f"in their order, the heads {self.findings[-3:]}")

    def check_seals(self):
        """Seals in the order of their numbers, with one pass over the register's lines."""
        self.before, self.tree = (ZERO, ""), []
        with (self.path / "register.jsonl").open("rb") as lines:
            for number, path in enumerate(sorted({*self.path.glob("seals/*.json"), *self.notes}), start=1):
                self.attempt(path, self.check_seal, path, number, lines)

    def check_seal(self, path, number, lines):
        """A seal is signed, follows the one before, is known to the register, and is true of register and findings."""
        expect(path.is_file() and path.name == f"{number:06}.json", "seal_missing", path, f"the seal {number}")
        raw, note, signature = path.read_bytes(), self.notes.get(path), path.with_name(f"{path.name}.sig")
        seal, (before, earlier) = parse(raw + b"\n"), self.before
        said, at = seal["register"], seal["at"]
        self.before = sha256(raw), at
        for line in itertools.islice(lines, said["lines"] - sum(size for size, _ in self.tree)):
            self.tree.append((1, hashlib.sha256(b"\0" + line).digest()))
            while len(self.tree) > 1 and self.tree[-1][0] == self.tree[-2][0]:  # two trees of one size are one of twice
                (size, right), (_, left) = self.tree.pop(), self.tree.pop()
                self.tree.append((2 * size, node(right, left)))
        expect((seal["previous"], seal["number"]) == (before, number), "seal_continuity", path, f"after {before}")
        expect(seal["environment"] == self.environment, "seal_environment", path, f"of the root {self.environment}")
        for name, ends in (("register", self.ends), ("findings", self.found)):
            expect((seal[name]["bytes"], seal[name]["head"]) in ends, f"seal_{name}", path, f"what was {seal[name]}")
        trees = [tree for _, tree in self.tree]
        state = (lines.tell(), [tree.hex() for tree in trees], functools.reduce(node, reversed(trees)).hex())
        sealed = (said["bytes"], said["range"], said["root"])
        expect(state == sealed, "seal_root", path, f"{said['lines']} lines with the root {state[2]}")
        last = max(earlier, self.ends[said["bytes"], said["head"]])
        expect(INSTANT.fullmatch(at) and last <= at, "seal_time", path, f"an instant that is not before {last}")
        expect(note, "seal_unfinished", path, "the register's line about it")
        expect("finished" in note or note["ts"] == at, "seal_changed", path, "a line of when it was made")
        self.check_signature("seal", path, signature, "countersign", at)

    def check_signature(self, role, seal, kept, by, at):
        who = (by, f"{role}@countersign", "", at[:19], self.signers)
        expect(kept.is_file() and verified(seal.read_bytes(), kept.read_bytes(), *who), f"{role}_signature", kept, by)

    def check_witness(self, witness):
        held, kept = Path(witness).read_bytes(), [path for path in self.path.glob("seals/*.json") if path.is_file()]
        goes_on = held in [path.read_bytes() for path in kept]
        expect(goes_on, "witness_differs", witness, "a root that goes on from this seal")


def node(right, left):
    """The hash of an inner node of a Merkle tree (RFC 6962)."""
    return hashlib.sha256(b"\1" + left + right).digest()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--allowed-signers", help="who may sign as whom; else what the rosters in force say")
    parser.add_argument("--witness", help="a seal of this root that was kept elsewhere")
    root = Root(**vars(parser.parse_args()))
    told = [f"{name}  {where}  expected: {expected}" for name, where, expected in root.faults]
    told += [f"erased  {one}  texts of it, as the register says" for one in sorted(root.erased)]
    told += [f"{len(root.runs) or 'no'} runs, {len(root.notes)} seals: {len(root.faults) or 'no'} faults"]
    for line in told:  # what others wrote is shown, and does nothing to the screen
        print("".join(part if part.isprintable() else ascii(part)[1:-1] for part in line))
    raise SystemExit(bool(root.faults) or not root.runs)


if __name__ == "__main__":
    main()
