#!/usr/bin/env python3
"""Check a proof of one run, as `countersign prove RUN_ID` prints it, with nothing but Python and OpenSSH.

    python verify_proof.py PROOF.json [--allowed-signers FILE]

Exits 0 and says what is shown, or 1 and what was expected. FILE says whose key seals; without it the seal is only held
to the key that it names. Shown is that these lines stood in the register when the seal was made, and not that the
register has no others of the run. Shares no code with countersign.
"""

import argparse
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path

METHOD = "RFC 9162, 2.1.3.2: each line, its newline included, is the leaf at `index` under register.root"


def require(holds, expected):
    if not holds:
        raise ValueError(f"expected {expected}")


def fields(document, *names):
    """The values of exactly these fields."""
    require(sorted(document) == sorted(names), f"the fields {', '.join(names)} and no others")
    return [document[name] for name in names]


def root_by(path, fn, sn, r):
    """The root that a path leads to from the hash of leaf `fn`, where `sn` is the last: RFC 9162, 2.1.3.2."""
    for p in path:
        require(sn > 0 and len(p) == 64 and bytes.fromhex(p).hex() == p, "as many digests as lead to the root")
        right = fn & 1 or fn == sn
        r = hashlib.sha256(b"\1" + (bytes.fromhex(p) + r if right else r + bytes.fromhex(p))).digest()
        while right and fn and not fn & 1:
            fn, sn = fn >> 1, sn >> 1
        fn, sn = fn >> 1, sn >> 1
    return r.hex() if sn == 0 else None


def check_line(document, run_id, register):
    """The number, instant and event of a line that stood in the register."""
    index, line, path = fields(document, "index", "line", "path")
    require(type(index) is int and 0 <= index < register["lines"], f"one of {register['lines']} lines, not {index!a}")
    root = root_by(path, index, register["lines"] - 1, hashlib.sha256(b"\0" + line.encode()).digest())
    said, whole = json.loads(line), line.find("\n") == len(line) - 1
    require(whole and (root, said["run_id"]) == (register["root"], run_id), f"line {index} to be one of {run_id!a}")
    return index, said["ts"], said["event"]


def check_signature(statement, signature, at, signers):
    """What ssh-keygen says of the seal's signature, by a key that was valid when it was made."""
    when = f"verify-time={''.join(filter(str.isdigit, at[:19]))}Z"
    how = ["verify", "-I", "countersign", "-O", when, "-f", signers] if signers else ["check-novalidate"]
    with tempfile.NamedTemporaryFile(suffix=".sig") as file:
        Path(file.name).write_text(signature, "ascii")
        command = ["ssh-keygen", "-Y", *how, "-n", "seal@countersign", "-s", file.name]
        done = subprocess.run(command, input=statement.encode(), capture_output=True, check=False)
    require(done.returncode == 0 and signature == signature.strip() + "\n", f"a good signature: {done.stderr!a}")
    return done.stdout.decode("ascii").strip()


def check(proof, signers):
    """What a proof shows, line by line."""
    run_id, final, sealed, lines, method = fields(proof, "run_id", "final", "seal", "lines", "check")
    statement, signature, digest = fields(sealed, "statement", "signature", "sha256")
    seal, sha256 = json.loads(statement), hashlib.sha256(statement.encode()).hexdigest()
    require((digest, seal["schema"], method) == (sha256, "countersign-seal/1", METHOD), f"a seal, {sha256}, {METHOD}")
    signed = check_signature(statement, signature, seal["at"], signers)
    found = [check_line(line, run_id, seal["register"]) for line in lines]
    indexes, _, events = zip(*found, strict=True)
    require(list(indexes) == sorted(set(indexes)) and events[0] == "run_opened", "lines in order, from its opening on")
    require(final is ("run_closed" in events), f"final to be {not final}, as the lines say")
    yield f"seal {seal['number']}, SHA-256 {digest}: {signed}{'' if signers else ' (whose key that is stays open)'}"
    yield from (f"line {index} of {at!a}: {event!a}" for index, at, event in found)
    yield f"PROVED: {run_id!a} had these lines at {seal['at']!a}, and {'had closed' if final else 'is not final'}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("proof", type=Path)
    parser.add_argument("--allowed-signers", help="who may seal, as ssh-keygen reads it")
    asked = parser.parse_args()
    try:
        print(*check(json.loads(asked.proof.read_text("utf-8")), asked.allowed_signers), sep="\n")
    except Exception as error:  # whatever lies there is no proof
        raise SystemExit(f"NOT PROVED: {type(error).__name__}: {error!s:.500}") from None
