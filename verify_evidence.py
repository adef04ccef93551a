#!/usr/bin/env python3
"""Check a copied evidence root with nothing but Python's standard library and OpenSSH's `ssh-keygen`.

    python verify_evidence.py ROOT [--allowed-signers FILE] [--witness SEAL.json]

Prints each fault by name, with its place and what was expected there, and exits 1; without a fault it exits 0.
A second reading of the format, sharing no code with countersign: chains are whole and strictly written; register, logs,
seals and files are what the others say; quotes stand in their evidence; gate, sign-offs and workpaper follow from what
was logged before. It does not judge what words mean, or whether two names are one person.
"""

import argparse
import base64
import hashlib
import json
import re
import subprocess
import unicodedata
from pathlib import Path
from types import SimpleNamespace

ZERO = "0" * 64
KEYS = ("independent_review", "maker_checker")
ENDS = {"handed_off": "COMPLETED", "blocked": "BLOCKED", "out_of_scope": "OUT_OF_SCOPE"}
STEPS = {"ingested", "model_asked", "assessed", "gated", "sign_off_requested", "signed_off", "workpaper", *ENDS}
STEPS |= {"noticed", "breached", "failed"}


class Fault(Exception):
    """A fault by name, where it is, and what was expected there."""


def expect(holds, name, where, expected):
    if not holds:
        raise Fault(name, where, expected)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def lines_of(path):
    with path.open("rb") as file:
        yield from file


def parse(raw):
    """A line's object; empty unless in the only bytes that can say it: no key twice, no white space, no NaN."""
    try:
        value = json.loads(raw, parse_constant=int)
        return value if isinstance(value, dict) and compact(value) + b"\n" == raw else {}
    except (ValueError, RecursionError):
        return {}


def events(path, blobs, erased=()):
    """Events with their texts, None for an erased one. `recovered` stands for a torn line, or voids what lost texts."""
    event, head, seq, awaited, damaged, where = None, ZERO, -1, [], None, str(path)
    for number, raw in enumerate(lines_of(path), start=1):
        where, line = f"{path}:{number}", parse(raw)
        gone = line.get("erased") in erased
        if "prev" in line:
            recovers = line["event"] == "recovered"
            expect(damaged == (line.get("damaged") if recovers else None), "unreadable", where, "the line before it")
            expect(list(line)[:5] == ["prev", "seq", "ts", "event", "actor"], "bad_event", where, "the writer's fields")
            expect((line["prev"], line["seq"]) == (head, seq + 1), "broken_chain", where, f"prev {head}, seq {seq + 1}")
            expect(not awaited or (recovers and line["voids"] == [seq]), "text_missing", where, f"before it {awaited}")
            if event and not awaited:
                yield event
            head, seq, damaged = sha256(raw), seq + 1, None
            event = SimpleNamespace(where=where, digest=head, name=line["event"], said=line, texts={})
            awaited = list(line.get("texts", {}).items())
            for name, digest in line.get("blobs", {}).items():
                kept = (blobs / digest).read_bytes() if (blobs / digest).is_file() else b""
                event.texts[name] = None if digest in erased else parse(kept).get("value", "")
                awaited += [] if digest in erased or sha256(kept) == digest else [(name, digest)]
        elif awaited and damaged is None and (line.get("text"), line["erased"] if gone else sha256(raw)) == awaited[0]:
            event.texts[awaited.pop(0)[0]] = line.get("value")
        else:
            expect(raw.endswith(b"\n"), "torn_tail", where, "a whole last line")
            expect(damaged is None, "unreadable", where, "an event, or a text that the event before it names")
            damaged = sha256(raw)
    expect(event and not awaited and damaged is None, "torn_tail", where, "at its end, an event with all its texts")
    yield event


def letters(text):
    """What quotes are compared by: letters and digits, whatever their form and case, and whatever stands between."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(part for part in plain if part.isalnum() and part not in "\u115f\u1160")


class Run:
    """A run as the register knows it. Each method named after an event says what has to be true of it."""

    def __init__(self, root, opened):
        self.root, self.id, self.digest, self.opened = root, opened["run_id"], opened["digest"], opened["configuration"]
        self.path = root / "runs" / opened["day"].replace("-", "/") / self.id / "audit.jsonl"
        self.head, self.status, self.made, self.signed, self.closed, self.erased = ZERO, "", {}, {}, None, set()

    def version(self, digest):
        return json.loads((self.root / "policies" / f"{digest}.json").read_bytes())

    def check(self):
        """Read the log to its end. Raises Fault at the first event that does not follow from those before it."""
        head, there = ZERO, self.path.is_file()  # a run that was opened and not begun has no log
        for event in events(self.path, self.root / "blobs", self.erased) if there else ():
            may = event.name == "recovered" or (event.name in STEPS and not self.closed)
            expect(may, "inconsistent", event.where, "a step of a run, and nothing after its end")
            getattr(self, "" if self.erased else event.name, lambda _: None)(event)  # without its words only its order
            self.made[event.name], self.closed, head = event, ENDS.get(event.name, self.closed), event.digest
        expect(head == self.head, "head_differs" if there else "log_missing", self.path, f"the head {self.head}")
        expect(self.closed in (None, self.status), "status_differs", self.path, f"the status {self.status}")

    def ingested(self, event):
        def revealed(part):  # its words back in their places, its keys in the order of RFC 8785
            if list(part) == ["$text"]:
                return event.texts[part["$text"]]
            if list(part) == ["$blob"]:
                return base64.b64encode((self.root / "blobs" / part["$blob"]).read_bytes()).decode()
            return {key: part[key] for key in sorted(part, key=lambda key: key.encode("utf-16-be"))}

        self.payload = json.loads(compact(event.said["change"]), object_hook=revealed)
        digest = sha256(compact({"payload": self.payload, "workflow": "change"}))
        same = digest == self.digest == event.said["digest"] and self.id == f"change-{digest[:16]}"
        expect(same, "digest_differs", event.where, f"the payload {self.digest}")
        self.configuration = event.said["configuration"]
        expect(self.configuration["digest"] == self.opened, "configuration_differs", event.where, self.opened)
        items = self.payload["evidence"].items()
        self.evidence = {name: item if isinstance(item, str) else item["text"] for name, item in items}

    def assessed(self, event):
        every = [control["id"] for control in self.version(self.configuration["catalogue"])["controls"]]
        self.results = {row["control"]: row["result"] for row in event.said["controls"]}
        expect(list(self.results) == every, "controls_differ", event.where, "a result for every control, once")
        cited = [row for row in event.said["controls"] if row["result"] in ("met", "exception")]
        brought = [(row["control"], "met", row["evidence"], row["quote"]) for row in self.payload.get("assertions", [])]
        self.claims = [self.claim(event, row) for row in cited] + brought

    def claim(self, event, row):
        """An assertion: control, result, name of the evidence, and the quoted words."""
        cited, text = row["quote"], self.evidence.get(row["evidence"], "")
        quote = text[slice(*cited)] if isinstance(cited, list) else event.texts[cited]
        return row["control"], row["result"], row["evidence"], quote

    def gated(self, event):
        rows = event.said["assertions"]
        said = [(row["control"], row["result"], row["evidence"]) for row in rows]
        expect(said == [claim[:3] for claim in self.claims], "gate_forged", event.where, "every assertion there is")
        for row, claim in zip(rows, self.claims, strict=True):
            stands = row["why"] or self.stands(claim, row["span"])
            expect(stands, "gate_forged", event.where, f"words that stand in {row['evidence']}")
        decision = "passed" if rows and not any(row["why"] for row in rows) else "blocked"
        expect(event.said["decision"] == decision, "gate_forged", event.where, "what follows from the assertions")

    def stands(self, claim, span):
        """Whether the quoted words stand in the evidence where they are said to, and are enough of them."""
        there = self.evidence.get(claim[2], "")[slice(*span)] if span and 0 <= span[0] < span[1] else ""
        enough = len(" ".join(unicodedata.normalize("NFKC", claim[3]).split())) >= 12
        return enough and letters(claim[3]) in letters(there)

    def sign_off_requested(self, event):
        due = KEYS[len(self.signed)] if self.made["gated"].said["decision"] == "passed" else None
        expect(event.said["key"] == due, "inconsistent", event.where, f"the key {due}")

    def signed_off(self, event):
        said, asked = event.said, self.made["sign_off_requested"]
        policy = self.version(self.version(said["configuration"])["policy"])
        answers = (said["key"], said["request"], said["log_head"]) == (asked.said["key"], asked.digest, said["prev"])
        expect(answers and said["key"] not in self.signed, "inconsistent", event.where, "an answer to what was asked")
        nobody = {"id": None, "roles": [], "delegates": [], "logins": [], "emails": []}
        people = {one["id"]: one for one in policy["people"]}
        signer, holder = (people.get(said.get(part, said["actor"]), nobody) for part in ("actor", "acting_for"))
        lent = signer == holder or said["actor"] in [delegation["to"] for delegation in holder["delegates"]]
        names = {name for one in (signer, holder) for name in (one["id"], *one["logins"], *one["emails"])}
        makers = {self.payload["author"], self.payload.get("deployed_by"), *self.payload.get("contributors", [])}
        makers |= {other["actor"] for other in self.signed.values()}
        free = lent and policy["sign_off"][said["key"]] in holder["roles"] and not names & makers
        expect(free, "sign_off_void", event.where, "somebody with the role, who neither made it nor signed before")
        for claim, row in [(self.claim(event, row), row) for row in said["determinations"]]:
            good = self.results[claim[0]] == "abstained" and self.stands(claim, row["quote"])
            expect(good, "determination_forged", event.where, f"an open control, and words in {claim[2]}")
            self.results[claim[0]] = claim[1]
        self.signed[said["key"]] = said

    def workpaper(self, event):
        approved = [said["decision"] for said in self.signed.values()] == ["approved", "approved"]
        excepted = [control for control, result in self.results.items() if result == "exception"]
        clean = set(self.results.values()) <= {"met", "not_applicable"} and "breached" not in self.made
        follows = [self.results, excepted, clean, self.made["signed_off"].digest]
        follows = follows == [event.said[name] for name in ("results", "exceptions", "clean", "log_head")]
        expect(approved and follows, "workpaper_differs", event.where, "both approvals, and the logged results")

    def handed_off(self, event):
        paper = self.made["workpaper"]
        follows = [paper.digest, *(paper.said[name] for name in ("document", "clean", "conclusion"))]
        said = [event.said[name] for name in ("log_head", "workpaper", "clean", "conclusion")]
        expect(said == follows, "handoff_differs", event.where, "what the workpaper says")

    def blocked(self, event):
        stops = [self.made["gated"].said["decision"], *(said["decision"] for said in self.signed.values())]
        expect(stops[-1] in ("blocked", "rejected"), "inconsistent", event.where, "a gate or a person that blocks")


def states(path, sizes):
    """Head, lines and RFC 6962 root of a chained file as it was at each of these sizes in bytes."""
    head, size, lines, subtrees, found = ZERO, 0, 0, [], {0: (ZERO, 0, sha256(b""))}
    for raw in lines_of(path) if path.is_file() else []:
        head = sha256(raw) if raw.startswith(b'{"prev":') else head
        node, full = hashlib.sha256(b"\0" + raw).digest(), lines
        while full & 1:
            node, full = hashlib.sha256(b"\1" + subtrees.pop() + node).digest(), full >> 1
        subtrees.append(node)
        size, lines, root = size + len(raw), lines + 1, subtrees[-1]
        for left in subtrees[-2::-1] if size in sizes else []:
            root = hashlib.sha256(b"\1" + left + root).digest()
        found |= {size: (head, lines, root.hex())} if size in sizes else {}
    return found


def check_seal(path, before, note, register, findings, signers):
    """A seal is signed, follows the one before, is known to the register, and is true of register and findings."""
    seal, signature = json.loads(path.read_bytes()), path.with_name(path.name + ".sig")
    expect(seal["previous"] == (sha256(before.read_bytes()) if before else ZERO), "seal_continuity", path, "its digest")
    said, found = seal["register"], seal["findings"]
    held = register.get(said["bytes"]) == (said["head"], said["lines"], said["root"])
    expect(held, "seal_register", path, f"a register with the root {said['root']} over {said['lines']} lines")
    expect(findings.get(found["bytes"], ZERO)[0] == found["head"], "seal_findings", path, f"the head {found['head']}")
    expect(note and signature.is_file(), "seal_unfinished", path, "a signature, and the register's line about it")
    digests = [sha256(path.read_bytes()), sha256(signature.read_bytes())]
    same = digests == [note["seal"], note["signature"]] and ("finished" in note or note["ts"] == seal["at"])
    expect(same and note["actor"] == "countersign", "seal_changed", path, "what the register says of it")
    at = re.sub("[-:T]", "", seal["at"])[:14] + "Z"
    who = ["verify", "-I", "countersign", "-f", signers, "-O", f"verify-time={at}"] if signers else ["check-novalidate"]
    command = ["ssh-keygen", "-Y", *who, "-n", "seal@countersign", "-s", str(signature)]
    done = subprocess.run(command, input=path.read_bytes(), capture_output=True, check=False)
    expect(done.returncode == 0, "seal_signature", path, f"a good one; {done.stderr.decode(errors='replace').strip()}")


class Root:
    def __init__(self, root, allowed_signers=None, witness=None):
        self.path, self.found, self.signers, self.witness = root, root / "findings.jsonl", allowed_signers, witness
        self.faults, self.runs, self.files, self.notes, self.findings = [], {}, {}, {}, ZERO
        self.attempt(root / "register.jsonl", self.read_register)
        for run in self.runs.values():
            self.attempt(run.path, run.check)
        self.attempt(root, self.check_files)
        self.attempt(root / "seals", self.check_seals)

    def attempt(self, where, what, *arguments):
        try:
            what(*arguments)
        except Fault as fault:
            self.faults.append(fault.args)
        except (OSError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            self.faults.append(("malformed", where, f"the documented form, not {error!r}"))

    def read_register(self):
        for event in events(self.path / "register.jsonl", self.path / "blobs"):
            said = event.said
            self.findings = said["head"] if event.name == "findings_head" else self.findings
            if event.name == "run_opened":
                self.runs[said["run_id"]] = Run(self.path, said)
            elif event.name in ("run_head", "run_closed", "signed_off", "breached") and "head" in event.said:
                run = self.runs[said["run_id"]]
                run.head, run.status = said["head"], said.get("status", run.status)
            elif event.name == "erased" and len(set(said["by"])) == 2:
                self.runs[said["run_id"]].erased.update(said["digests"])
            elif event.name == "sealed":
                self.notes[self.path / "seals" / f"{said['number']:06}.json"] = said
            elif event.name == "dataset":
                self.files[self.path / "datasets" / said["asset"] / f"day={said['day']}.parquet"] = said["digest"]
            elif event.name in ("witnessed", "timestamped"):
                self.files[self.path / "seals" / said["file"]] = said["sha256"]

    def check_files(self):
        for path in set(self.path.glob("runs/*/*/*/*/audit.jsonl")) - {run.path for run in self.runs.values()}:
            self.faults.append(("unregistered", path, "a register that opens such a run there"))
        kept = [path for at in ("policies/*.json", "blobs/[0-9a-f]*", "extracts/[!.]*") for path in self.path.glob(at)]
        erased = {digest for run in self.runs.values() for digest in run.erased}
        for path, digest in [*self.files.items(), *((path, path.name.removesuffix(".json")) for path in kept)]:
            if digest not in erased and (not path.is_file() or sha256(path.read_bytes()) != digest):
                self.faults.append(("content_differs", path, f"the SHA-256 {digest}"))
        heads = [event.digest for event in events(self.found, self.path / "blobs")] if self.findings != ZERO else [ZERO]
        expect(heads[-1] == self.findings, "findings_cut", self.found, f"the head {self.findings}")

    def check_seals(self):
        given = [(said["register"], run.path) for run in self.runs.values() for said in run.signed.values()]
        paths = sorted(self.path.glob("seals/*.json"))
        seals = [json.loads(path.read_bytes()) for path in paths]
        sizes = {seal["register"]["bytes"] for seal in seals} | {said["size"] for said, _ in given}
        register = states(self.path / "register.jsonl", sizes)
        findings = states(self.found, {seal["findings"]["bytes"] for seal in seals})
        for said, path in given:
            if register.get(said["size"], ZERO)[0] != said["head"]:
                self.faults.append(("sign_off_register", path, f"a register that had the head {said['head']}"))
        for path, before in zip(paths, [None, *paths], strict=False):
            self.attempt(path, check_seal, path, before, self.notes.get(path), register, findings, self.signers)
        for path in set(self.notes) - set(paths):
            self.faults.append(("seal_missing", path, "the seal that the register names"))
        if self.witness and Path(self.witness).read_bytes() not in [path.read_bytes() for path in paths]:
            self.faults.append(("witness_differs", self.witness, "a root that goes on from this seal"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--allowed-signers", help="who may seal; without it a seal is only held to the key it names")
    parser.add_argument("--witness", help="a seal of this root that was kept elsewhere")
    root = Root(**vars(parser.parse_args()))
    for name, where, expected in root.faults:
        print(f"{name}  {where}  expected: {expected}")
    erased = sum(len(run.erased) for run in root.runs.values())
    print(f"{len(root.runs)} runs, {len(root.notes)} seals, {erased} erased texts: {len(root.faults) or 'no'} faults")
    raise SystemExit(bool(root.faults))


if __name__ == "__main__":
    main()
