#!/usr/bin/env python3
"""Check a copied evidence root with nothing but Python's standard library and OpenSSH's `ssh-keygen`.

    python verify_evidence.py ROOT [--allowed-signers FILE] [--witness SEAL.json]

Prints each fault by name, with its place and what was expected there, and exits 1, also where there is no run to check;
without a fault it exits 0.
A second reading of the format, sharing no code with countersign: chains are whole and strictly written; register, logs,
seals and files are what the others say; quotes stand in their evidence; gate, sign-offs and workpaper follow from what
was logged before; what was signed is what the log says, by a key that FILE knows for that person and namespace, as of
when the register saw it. Without FILE a signature is only held to the key that it names. It does not judge what words
mean, whether two names are one person, or the Merkle root in a seal: of a whole register the head says as much.
"""

import argparse
import base64
import functools
import hashlib
import json
import subprocess
import tempfile
import unicodedata
from pathlib import Path

ZERO = "0" * 64
KEYS, CLEAN = ("independent_review", "maker_checker"), {"met", "not_applicable"}
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


def parse(raw):
    """A line's object; empty unless in the only bytes that can say it: no key twice, no white space, no NaN."""
    try:
        value = json.loads(raw, parse_constant=int)
        return value if isinstance(value, dict) and compact(value) + b"\n" == raw else {}
    except (ValueError, RecursionError):
        return {}


def events(path, blobs, erased=()):
    """Events with their texts, None for an erased one. `recovered` stands for a torn line, or voids what lost texts."""
    event, head, seq, size, awaited, damaged, where = None, ZERO, -1, 0, [], None, str(path)
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            where, line, size = f"{path}:{number}", parse(raw), size + len(raw)
            proof = line["erased"] if line.get("erased") in erased else sha256(raw)
            if "prev" in line:
                recovers = line["event"] == "recovered"
                expect(damaged == (line.get("damaged") if recovers else None), "unreadable", where, "the line before")
                expect(list(line)[:5] == ["prev", "seq", "ts", "event", "actor"], "bad_event", where, "a writer's own")
                expect((line["prev"], line["seq"]) == (head, seq + 1), "broken_chain", where, f"{head}, {seq + 1}")
                expect(not awaited or (recovers and line["voids"] == [seq]), "text_missing", where, f"first {awaited}")
                if event and not awaited:
                    yield event
                head, seq, damaged = sha256(raw), seq + 1, None
                event = argparse.Namespace(where=where, digest=head, name=line["event"], said=line, texts={}, end=size)
                awaited = list(line.get("texts", {}).items())
                for name, blob in line.get("blobs", {}).items():
                    event.texts[name] = None if blob in erased else parse((blobs / blob).read_bytes()).get("value", "")
            elif awaited and damaged is None and (line.get("text"), proof) == awaited[0]:
                event.texts[awaited.pop(0)[0]], event.end = line.get("value"), size
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
        self.path = root.path / "runs" / opened["day"].replace("-", "/") / self.id / "audit.jsonl"
        self.head, self.status, self.made, self.signed, self.closed, self.seen = ZERO, "", {}, {}, None, {}

    def version(self, digest):
        return json.loads((self.root.path / "policies" / f"{digest}.json").read_bytes())

    def check(self):
        """Read the log to its end. Raises Fault at the first event that does not follow from those before it."""
        heads, there = [ZERO], self.path.is_file()  # a run that was opened and not begun has no log
        for event in events(self.path, self.root.path / "blobs", self.root.erased) if there else ():
            may = event.name == "recovered" or (event.name in STEPS and not self.closed)
            expect(may, "inconsistent", event.where, "a step of a run, and nothing after its end")
            getattr(self, "" if self.id in self.root.erased else event.name, lambda _: None)(event)
            self.made[event.name], self.closed = event, ENDS.get(event.name, self.closed)
            heads.append(event.digest)
        expect(heads[-1] == self.head, "head_differs" if there else "log_missing", self.path, f"the head {self.head}")
        expect(self.closed in (None, self.status), "status_differs", self.path, f"the status {self.status}")
        for event in (event for event in self.signed.values() if "signed" in event.said):
            self.attested(event, next(self.seen[head] for head in heads[event.said["seq"] + 1 :] if head in self.seen))

    def ingested(self, event):
        def revealed(part):  # its words back in their places, its keys in the order of RFC 8785
            if list(part) == ["$text"]:
                return event.texts[part["$text"]]
            if list(part) == ["$blob"]:
                return base64.b64encode((self.root.path / "blobs" / part["$blob"]).read_bytes()).decode()
            return {key: part[key] for key in sorted(part, key=lambda key: key.encode("utf-16-be"))}

        self.payload = json.loads(compact(event.said["change"]), object_hook=revealed)
        digest = sha256(compact({"payload": self.payload, "workflow": "change"}))
        same = digest == self.digest == event.said["digest"] and self.id == f"change-{digest[:16]}"
        expect(same, "digest_differs", event.where, f"the payload {self.digest}")
        expect(event.said["configuration"]["digest"] == self.opened, "configuration_differs", event.where, self.opened)
        items = self.payload["evidence"].items()
        self.evidence = {name: item if isinstance(item, str) else item["text"] for name, item in items}

    def assessed(self, event):
        every = [control["id"] for control in self.version(self.version(self.opened)["catalogue"])["controls"]]
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
            expect(row["why"] or self.stands(*claim[2:], row["span"]), "gate_forged", event.where, "words that stand")
        decision = "passed" if rows and not any(row["why"] for row in rows) else "blocked"
        expect(event.said["decision"] == decision, "gate_forged", event.where, "what follows from the assertions")

    def stands(self, evidence, quote, span):
        """Whether the quoted words stand in the evidence where they are said to, and are enough of them."""
        there = self.evidence.get(evidence, "")[slice(*span)] if span and 0 <= span[0] < span[1] else ""
        return len(" ".join(unicodedata.normalize("NFKC", quote).split())) >= 12 and letters(quote) in letters(there)

    def signed_off(self, event):
        said, asked = event.said, self.made["sign_off_requested"]
        due = KEYS[len(self.signed)] if self.made["gated"].said["decision"] == "passed" else None
        given = (said["key"], asked.said["key"], said["request"], said["log_head"])
        expect(given == (due, due, asked.digest, said["prev"]), "inconsistent", event.where, f"{due}, as asked for")
        policy = self.version(self.version(said["configuration"])["policy"])
        people = {one["id"]: one for one in policy["people"]}
        signer, holder = (people[said.get(part, said["actor"])] for part in ("actor", "acting_for"))
        lent = signer == holder or said["actor"] in [delegation["to"] for delegation in holder["delegates"]]
        names = {name for one in (signer, holder) for name in (one["id"], *one["logins"], *one["emails"])}
        makers = {self.payload["author"], self.payload.get("deployed_by"), *self.payload.get("contributors", [])}
        makers |= {other.said["actor"] for other in self.signed.values()}
        free = lent and policy["sign_off"][said["key"]] in holder["roles"] and not names & makers
        expect(free, "sign_off_void", event.where, "somebody with the role, who neither made it nor signed before")
        for row in said["determinations"]:
            expect(self.results[row["control"]] == "abstained", "determination_forged", event.where, "an open control")
            self.results[row["control"]] = row["result"]
        level = "signed" in said or self.version(self.version(self.opened)["policy"])["sign_off"]["signature"]
        expect(level in (True, "optional"), "sign_off_unsigned", event.where, f"a signature by {said['actor']}")
        expect(tuple(said["register"].values()) in self.root.ends, "sign_off_register", event.where, "what it once was")
        self.signed[said["key"]] = event

    def attested(self, event, seen):
        """What was signed is this sign-off of this run as it stood; `seen` is when the register first knew of it."""
        said, key, words, rows = event.said, event.said["key"], event.texts, event.said["determinations"]
        raw, signature = (words[f"{part}/{key}"].encode() for part in ("statement", "signature"))
        signs = parse(raw + b"\n")
        says = {name: said[name] for name in ("key", "decision", "role", "register")}
        says |= {"environment": self.root.environment, "checker": said["actor"], "reason": words.get(f"reason/{key}")}
        about = {"run_id": self.id, "change_id": self.payload["id"], "maker": self.payload["author"]}
        about |= {"request": said["request"], "log_head": said["prev"], "configuration": self.opened}
        (mine,) = [run for run in signs["runs"] if run["run_id"] == self.id] or [{}]
        pairs = list(zip(rows, mine.get("determinations", []), strict=False))
        told = [{**row, "reason": words[row["reason"]], "quote": one["quote"]} for row, one in pairs]
        quoted = all(self.stands(row["evidence"], one["quote"], row["quote"]) for row, one in pairs)
        same = signs | says == signs and quoted and mine | about | {"determinations": told + rows[len(told) :]} == mine
        expect(same, "sign_off_statement", event.where, "a statement that says what the log says")
        clean = said["decision"] == "approved" and not rows and set(self.results.values()) <= CLEAN
        holds = signs["decided_at"] <= seen < signs["expires_at"] and (clean or len(signs["runs"]) == 1)
        expect(holds, "sign_off_statement", event.where, "one in time, about many runs only where they are clean")
        who = (said["actor"], f"{key.replace('_', '-')}@countersign", said["signed"]["by_key"], seen[:19])
        expect(verified(raw, signature, *who, self.root.signers), "sign_off_signature", event.where, f"by {who[0]}")

    def workpaper(self, event):
        approved = [one.said["decision"] for one in self.signed.values()] == ["approved", "approved"]
        unmet = [control for control, result in self.results.items() if result == "exception"]
        clean = set(self.results.values()) <= CLEAN and "breached" not in self.made
        own = {"results": self.results, "exceptions": unmet, "clean": clean, "log_head": self.made["signed_off"].digest}
        expect(approved and event.said | own == event.said, "workpaper_differs", event.where, "what was logged before")

    def handed_off(self, event):
        paper, names = self.made["workpaper"], ("log_head", "workpaper", "clean", "conclusion")
        follows = [paper.digest, *(paper.said[name] for name in ("document", "clean", "conclusion"))]
        expect([event.said[name] for name in names] == follows, "handoff_differs", event.where, "what the paper says")

    def blocked(self, event):
        stops = [self.made["gated"].said["decision"], *(one.said["decision"] for one in self.signed.values())]
        expect(stops[-1] in ("blocked", "rejected"), "inconsistent", event.where, "a gate or a person that blocks")


@functools.cache  # one statement may be about many runs
def verified(content, signature, who, namespace, key, at, signers):
    """Whether ssh-keygen verifies a signature as of a second: by a key of somebody, or, without FILE, by its own."""
    command = ["ssh-keygen", "-Y", *(["verify", "-I", who, "-f", signers] if signers else ["check-novalidate"])]
    command += ["-O", f"verify-time={at.translate(dict.fromkeys(map(ord, '-:T')))}Z", "-n", namespace, "-s"]
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(signature)
        done = subprocess.run([*command, file.name], input=content, capture_output=True, check=False)
    return done.returncode == 0 and key in done.stdout.decode()


class Root:
    def __init__(self, root, allowed_signers=None, witness=None):
        self.faults, self.runs, self.files, self.notes, self.findings = [], {}, {}, {}, ZERO
        self.path, self.signers, self.erased = root, allowed_signers, set()  # runs, and digests of their erased texts
        self.ends, self.found = {(0, ZERO)}, {(0, ZERO)}  # sizes and heads that register and findings had
        self.attempt(root / "register.jsonl", self.read_register)
        for run in self.runs.values():
            self.attempt(run.path, run.check)
        self.attempt(root, self.check_files)
        paths = sorted(root.glob("seals/*.json"))
        for path, before in zip(paths, [ZERO, *(sha256(path.read_bytes()) for path in paths)], strict=False):
            self.attempt(path, self.check_seal, path, before)
        if witness and Path(witness).read_bytes() not in [path.read_bytes() for path in paths]:
            self.faults.append(("witness_differs", witness, "a root that goes on from this seal"))

    def attempt(self, where, what, *arguments):
        try:
            what(*arguments)
        except (Fault, OSError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            self.faults.append(error.args if isinstance(error, Fault) else ("malformed", where, f"no {error!r}"))

    def read_register(self):
        for event in events(self.path / "register.jsonl", self.path / "blobs"):
            said, seal = event.said, self.path / "seals" / f"{event.said.get('number', 0):06}.json"
            self.environment = getattr(self, "environment", event.digest)  # of the first line
            self.ends.add((event.end, event.digest))
            self.findings = said["head"] if event.name == "findings_head" else self.findings
            if event.name == "run_opened":
                self.runs[said["run_id"]] = Run(self, said)
            elif event.name in ("run_head", "run_closed", "signed_off", "breached") and "head" in event.said:
                run = self.runs[said["run_id"]]
                run.head, run.status = said["head"], said.get("status", run.status)
                run.seen.setdefault(run.head, said["ts"])
            elif event.name == "sealed":
                self.notes[seal] = said
                self.files |= {seal: said["seal"], seal.with_name(f"{seal.name}.sig"): said["signature"]}
            elif event.name == "erased" and len(set(said["by"])) == 2:
                self.erased |= {said["run_id"], *said["digests"]}
            elif event.name == "dataset":
                self.files[self.path / "datasets" / said["asset"] / f"day={said['day']}.parquet"] = said["digest"]
            elif event.name in ("witnessed", "timestamped"):
                self.files[(path := self.path / "seals" / said["file"])] = said["sha256"]
                if event.name == "witnessed":
                    self.attempt(path, self.check_signature, "witness", seal, path, said["by"], said["ts"])

    def check_files(self):
        for path in set(self.path.glob("runs/*/*/*/*/audit.jsonl")) - {run.path for run in self.runs.values()}:
            self.faults.append(("unregistered", path, "a register that opens such a run there"))
        kept = [path for at in ("policies/*.json", "blobs/[0-9a-f]*", "extracts/[!.]*") for path in self.path.glob(at)]
        for path, digest in [*self.files.items(), *((path, path.name.removesuffix(".json")) for path in kept)]:
            if digest not in self.erased and (not path.is_file() or sha256(path.read_bytes()) != digest):
                self.faults.append(("content_differs", path, f"the SHA-256 {digest}"))
        findings = self.path / "findings.jsonl"
        known = events(findings, self.path / "blobs") if self.findings != ZERO else ()
        self.found |= {(event.end, event.digest) for event in known}
        expect(max(self.found)[1] == self.findings, "findings_cut", findings, f"the head {self.findings}")

    def check_seal(self, path, before):
        """A seal is signed, follows the one before, is known to the register, and is true of register and findings."""
        seal, note, signature = json.loads(path.read_bytes()), self.notes.get(path), path.with_name(f"{path.name}.sig")
        expect(seal["previous"] == before, "seal_continuity", path, f"the digest of the one before, {before}")
        for name, ends in (("register", self.ends), ("findings", self.found)):
            expect((seal[name]["bytes"], seal[name]["head"]) in ends, f"seal_{name}", path, f"what was {seal[name]}")
        expect(note, "seal_unfinished", path, "the register's line about it")
        expect("finished" in note or note["ts"] == seal["at"], "seal_changed", path, "a line of when it was made")
        self.check_signature("seal", path, signature, "countersign", seal["at"])

    def check_signature(self, role, seal, kept, by, at):
        who = (by, f"{role}@countersign", "", at[:19], self.signers)
        expect(kept.is_file() and verified(seal.read_bytes(), kept.read_bytes(), *who), f"{role}_signature", kept, by)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path)
    parser.add_argument("--allowed-signers", help="who may sign as whom; else each signature's own key is believed")
    parser.add_argument("--witness", help="a seal of this root that was kept elsewhere")
    root = Root(**vars(parser.parse_args()))
    told = [f"{name}  {where}  expected: {expected}" for name, where, expected in root.faults]
    gone = [f"erased  {one}  texts of it, as the register says" for one in sorted(root.erased & {*root.runs})]
    print(*told, *gone, f"{len(root.runs) or 'no'} runs, {len(root.notes)} seals: {len(told) or 'no'} faults", sep="\n")
    raise SystemExit(bool(root.faults) or not root.runs)


if __name__ == "__main__":
    main()
