#!/usr/bin/env python3
"""Check the bundle of a month's sample with nothing but Python's standard library and OpenSSH's `ssh-keygen`.

    python verify_sample.py [BUNDLE] [--allowed-signers FILE] [--seal SEAL.json]

Prints each fault by name, with what it is about and what was expected there, and exits 1; without a fault it exits 0.
The bundle holds the whole register up to a seal, and of its runs those that were drawn. From that register follows
which changes were deployed in the month and what became of each: whatever the population lacks, adds, moved over the
month's end or says otherwise is named. Then the draw is done again, from digest and nonce, and the logs of what was
drawn are read by `verify_evidence.py`, which has to lie beside this file.

FILE says whose key signs in which namespace, as ssh-keygen reads it: use the one that you were given before, not the
bundle's own, which is taken where none is named. SEAL is one that you hold from before.
"""

import argparse
import gzip
import hashlib
import json
from pathlib import Path

import verify_evidence
from verify_evidence import ZERO, expect, sha256, verified

OUTCOMES = {"BLOCKED": "blocked", "FAILED": "failed", "OUT_OF_SCOPE": "out_of_scope"}


def told(path):
    """The events of a chain as they stand, each with its line from 0, its head, its texts, and the size at its end."""
    event, size = None, 0
    with path.open("rb") as lines:
        for number, raw in enumerate(lines):
            line, size = verify_evidence.parse(raw), size + len(raw)
            if "event" in line:
                if event:
                    yield event
                event = argparse.Namespace(line=number, head=sha256(raw), said=line, texts={}, size=size)
            elif event and "text" in line:
                event.texts[line["text"]], event.size = line["value"], size
    if event:
        yield event


class Standing:
    """A run as the register has it."""

    def __init__(self, opened):
        self.change, self.system, self.deployed_at = opened["change_id"], opened["system"], opened["deployed_at"] or ""
        self.stratum = "emergency" if opened["tier"] == "emergency" else "standard"
        self.status, self.clean, self.late, self.superseded = "", False, False, False

    def take(self, said):
        """A later line about it."""
        self.status = "FAILED" if said["event"] == "run_held" else said.get("status", self.status)
        self.clean, self.late = said.get("clean", self.clean), self.late or said["event"] == "breached"

    def row(self):
        """Its change, and what became of it."""
        outcome = OUTCOMES.get(self.status, "awaiting")
        if self.status == "COMPLETED":
            outcome = "clean" if self.clean and not self.late else "exception"
        return self.stratum, "superseded" if self.superseded else outcome, self.change, self.system


class List:
    """`population.txt`, or what came late to it: a header, and by the id of its run a line for each change."""

    def __init__(self, path):
        self.path, self.content = path, path.read_bytes()
        head, _, body = self.content.decode("ascii").partition("\n\n")
        self.said = dict(line.split("\t") for line in head.split("\n"))
        lines = [line.split("\t") for line in body.splitlines()]
        self.lines = {run: (stratum, outcome, json.loads(change), row) for stratum, outcome, run, change, row in lines}
        expect(len(lines) == len(self.lines), "list_malformed", path, "each run once")

    def holds(self, deployed_at):
        """Whether an instant lies in the month."""
        return self.said["from"] <= deployed_at < self.said["until"]


class Bundle(verify_evidence.Root):
    """No evidence root, and not read as one: a bundle holds a part of one, which is checked in an order of its own."""

    def __init__(self, path, allowed_signers=None, seal=None):
        self.path, self.signers, self.held = path, str(allowed_signers or path / "allowed_signers"), seal
        self.faults, self.runs, self.files, self.notes, self.findings = [], {}, {}, {}, ZERO
        self.ends, self.found, self.erased = {(0, ZERO)}, {(0, ZERO)}, set()
        self.register = path / "register.jsonl"
        self.heads, self.standing, self.snapshots, self.month, self.sealed = {}, {}, {}, [], {}
        self.lists, self.clean, self.rows = [], {}, {}
        (self.folder,) = path.glob("datasets/clean_population_sample/month=*")
        self.attempt(self.register, self.read_register)  # which judges its chain
        self.attempt(self.folder, self.read_lists)
        self.attempt(self.register, self.read_month)
        before = None
        for seal_path in sorted(path.glob("seals/*.json")):
            self.attempt(seal_path, self.check_seal, seal_path, before)
            before = seal_path
        self.attempt(self.register, self.check_ends)
        for number in range(len(self.lists)):
            self.attempt(self.lists[number].path, self.check_list, number)
        self.attempt(self.folder, self.check_rows)
        self.attempt(self.folder, self.check_drawn)
        self.attempt(self.folder, self.check_nonce)
        for kept in (*path.glob("policies/*.json"), *path.glob("blobs/*")):
            self.note(sha256(kept.read_bytes()) == kept.stem, "content_differs", kept, "the SHA-256 that is its name")
        for run in sorted(set(self.rows) & set(self.runs)):
            self.attempt(self.runs[run].path, self.runs[run].check)
        for run in sorted(set(self.rows) - set(self.runs)):
            self.faults.append(("log_unknown", run, "a register that opens such a run"))

    def note(self, holds, name, where, expected):
        """A fault that is no reason to stop, so that each change is named."""
        self.faults += [] if holds else [(name, where, expected)]

    def check_signature(self, *_):
        """A counter-signature stays with the root and its observer: the register's line is all that a bundle has."""

    def read_lists(self):
        self.lists = [List(path) for path in (self.folder / "population.txt", *sorted(self.folder.glob("late-*.txt")))]

    def read_month(self):
        """The register once more, whatever its chain: its heads, its runs, and the lines about this month."""
        cuts = {listed.said["register_head"]: listed for listed in self.lists}
        for event in told(self.register):
            said = event.said
            self.heads[event.size] = event.head
            if said["event"] == "run_opened":
                self.standing[said["run_id"]] = Standing(said)
                for old in (said["supersedes"], *(said["trace"] or {}).get("takes_over", ())):
                    if old in self.standing:
                        self.standing[old].superseded = True
            elif said.get("run_id") in self.standing:
                self.standing[said["run_id"]].take(said)
            elif said.get("month") == self.folder.name.removeprefix("month="):
                self.month.append(event)
            if event.head in cuts:  # what was known when a list was made
                self.snapshots[event.head] = self.known(cuts[event.head])

    def known(self, listed):
        """The runs of the month, as far as the register was read."""
        return {run: one.row() for run, one in self.standing.items() if listed.holds(one.deployed_at)}

    def of(self, name):
        return [event for event in self.month if event.said["event"] == name]

    def check_seal(self, path, before):
        """A seal is signed, follows the one before, and is true of the register."""
        seal, content = json.loads(path.read_bytes()), path.read_bytes()
        previous = sha256(before.read_bytes()) if before else ZERO
        expect(seal["previous"] == previous, "seal_continuity", path, f"the seal before it, {previous}")
        self.sealed[sha256(content)] = seal["register"] | {"number": seal["number"]}
        there = self.heads.get(seal["register"]["bytes"])
        expect(there == seal["register"]["head"], "seal_register", path, f"a register with that head, not {there}")
        signature = path.with_name(f"{path.name}.sig").read_bytes()
        good = verified(content, signature, "countersign", "seal@countersign", "", seal["at"][:19], self.signers)
        expect(good, "seal_signature", path, "a signature by countersign, for which --allowed-signers has the key")

    def check_ends(self):
        """The register ends with the last seal, which covers the draw; and the seal that was held is one of these."""
        last = max(self.sealed.values(), key=lambda said: said["number"])
        expect(last["bytes"] == self.register.stat().st_size, "register_end", self.register, "nothing after the seal")
        expect(self.of("sample_drawn"), "not_drawn", self.register, "a line that says what was drawn")
        held = self.held is None or sha256(Path(self.held).read_bytes()) in self.sealed
        expect(held, "seal_differs", self.held, "this root to go on from the seal that you hold")

    def check_list(self, number):
        """A list is what the register froze, and says of the month what follows from the register as it was then."""
        listed, frozen = self.lists[number], self.of("population_frozen")[number].said
        self.note(sha256(listed.content) == frozen["digest"], "list_differs", listed.path, f"{frozen['digest']}")
        known = self.snapshots.get(listed.said["register_head"])
        self.note(known is not None, "list_unknown", listed.path, "a register that had the head of its header")
        known = self.known(listed) if known is None else known
        before = {run: row for earlier in self.lists[:number] for run, row in earlier.lines.items()}
        due = {run: row for run, row in known.items() if run not in before}
        if number:  # what has become clean since is late too
            due |= {run: row for run, row in known.items() if row[1] == "clean" != before.get(run, row)[1]}
            due = {run: ("late", *row[1:]) for run, row in due.items()}
        for run in sorted(due.keys() - listed.lines.keys()):
            at = self.standing[run].deployed_at
            self.faults.append(("population_lacks", f"{due[run][2]} ({run})", f"a line of it, deployed at {at}"))
        for run in sorted(listed.lines.keys() - due.keys()):
            name, expected = "population_adds", "only runs that the register had opened, each in one list"
            if run in self.standing and run not in known:
                at = self.standing[run].deployed_at or "no time"
                name, expected = "population_moved", f"another month: the register has it deployed at {at}"
            self.faults.append((name, f"{listed.lines[run][2]} ({run})", expected))
        for run in sorted(due.keys() & listed.lines.keys()):
            stratum, outcome, change, system = due[run]
            said = listed.lines[run][:3]
            same = said in ((stratum, outcome, change), (stratum, outcome, f"{system}/{change}"))
            self.note(same, "population_differs", f"{change} ({run})", f"{stratum}, {outcome}, not {', '.join(said)}")
        for run, (stratum, outcome, change, _) in listed.lines.items():
            if outcome == "clean":
                self.clean.setdefault(stratum, []).append((change, run))

    def check_rows(self):
        """Every row is what its digest in a list is over; those of the sample are among them."""
        due = {(run, change, row) for listed in self.lists for run, (_, _, change, row) in listed.lines.items()}
        seen = set()
        with gzip.open(self.folder / "population.jsonl.gz") as every, self.drawn_rows().open("rb") as drawn:
            for rows in (every, drawn):
                for raw in rows:
                    row, digest = json.loads(raw), sha256(raw.removesuffix(b"\n"))
                    run, change = row["run_id"], row["change_id"]
                    self.note((run, change, digest) in due, "row_differs", f"{change} ({run})", "a row as it is listed")
                    seen |= {(run, change, digest)} if rows is every else set()
                    self.rows |= {run: row} if rows is drawn else {}
        for run, change, digest in sorted(due - seen):
            self.faults.append(("row_missing", f"{change} ({run})", f"a row with the SHA-256 {digest}"))

    def drawn_rows(self):
        """The sample's rows, of the last draw."""
        files = self.of("sample_drawn")[-1].said["files"]
        return next(self.path / name for name in files if name.endswith("sample.jsonl"))

    def check_drawn(self):
        """Files are those that the register names; and who draws again draws the same."""
        drawn, frozen = self.of("sample_drawn")[-1].said, self.of("population_frozen")
        for event in (*frozen, self.of("sample_drawn")[-1]):
            for name, digest in event.said["files"].items():
                same = (self.path / name).is_file() and sha256((self.path / name).read_bytes()) == digest
                self.note(same, "content_differs", self.path / name, f"the SHA-256 {digest}")
        manifest = self.drawn_rows().with_name("manifest.json")
        signed = (manifest.read_bytes(), manifest.with_name("manifest.json.sig").read_bytes())
        who = ("countersign", "sample@countersign", "", self.of("sample_drawn")[-1].said["ts"][:19], self.signers)
        good = verified(*signed, *who)
        self.note(good, "manifest_signature", manifest, "a signature by countersign")
        nonces = [event.said["nonce"].encode() for event in self.of("sample_nonce")]
        seed = hashlib.sha256(b"\x1f".join([bytes.fromhex(frozen[0].said["digest"]), *nonces])).digest()
        by = "observer" if nonces else "producer"
        same = (drawn["seed"], drawn["seeded_by"]) == (seed.hex(), by)
        self.note(same, "seed_differs", self.register, f"the seed {seed.hex()}, by the {by}")
        expected = []
        for stratum, size in drawn["strata"].items():
            ids = self.clean.get(stratum, [])
            tickets = sorted(
                (hashlib.sha256(seed + b"\x1f" + change.encode()).digest(), change, run) for change, run in ids
            )
            expected += [(change, run) for _, change, run in tickets[: size["n"]]]
            self.note(size["population"] == len(ids), "stratum_differs", stratum, f"{len(ids)} clean changes")
        there = [(row["change_id"], run) for run, row in self.rows.items()]
        for change, run in sorted(set(expected) - set(there)):
            self.faults.append(("sample_lacks", f"{change} ({run})", "it in the sample, by its ticket"))
        for change, run in sorted(set(there) - set(expected)):
            self.faults.append(("sample_adds", f"{change} ({run})", "only the lowest tickets of each stratum"))

    def check_nonce(self):
        """Frozen, then sealed, then seeded by an observer who saw that seal, then drawn."""
        frozen, drawn = self.of("population_frozen")[0], self.of("sample_drawn")[0]
        for event in self.of("sample_nonce"):
            where = f"{self.register}:{event.line + 1}"
            statement, signature = (event.texts[name] for name in ("statement", "signature"))
            signed, seal = json.loads(statement), self.sealed.get(json.loads(statement)["seal"])
            named = (signed["month"], signed["population"], signed["nonce"], signed["by"])
            said = (event.said["month"], frozen.said["digest"], event.said["nonce"], event.said["actor"])
            expect(named == said, "nonce_statement", where, "a statement that says what the register says")
            expect(seal and frozen.line < seal["lines"] <= event.line, "nonce_early", where, "a seal before it")
            expect(event.line < drawn.line, "nonce_late", where, "no draw before it")
            who = (signed["by"], "nonce@countersign", "", event.said["ts"][:19], self.signers)
            expect(verified(statement.encode(), signature.encode(), *who), "nonce_signature", where, f"by {who[0]}")
        expect(len(self.of("sample_nonce")) <= 1, "nonce_twice", self.register, "one nonce for a population")


def main():
    here = Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", type=Path, nargs="?", default=here)
    parser.add_argument("--allowed-signers", help="whose keys sign, as you were given it before")
    parser.add_argument("--seal", help="a seal of this root that you hold from before")
    options = parser.parse_args()
    if not (options.bundle / "register.jsonl").is_file():
        parser.error(f"{options.bundle}: no bundle; name the folder of one")
    bundle = Bundle(options.bundle, options.allowed_signers, options.seal)
    for name, where, expected in bundle.faults:
        print(f"{name}  {where}  expected: {expected}")
    for event in bundle.of("sample_drawn")[-1:]:
        sizes = ", ".join(f"{name} {size['n']} of {size['population']}" for name, size in event.said["strata"].items())
        print(f"{event.said['month']}: {sizes}; seeded by the {event.said['seeded_by']}")
        if not event.said["complete"]:
            print("INCOMPLETE: something is missing from this population; see completeness.json")
    print(f"{len(bundle.faults) or 'no'} faults")
    raise SystemExit(bool(bundle.faults))


if __name__ == "__main__":
    main()
