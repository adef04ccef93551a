"""What the log costs, beside the bare operations that it cannot do without.

`lines hashed` and `lines as JSON` are those of reading line by line: the first hashes each line, the second also parses
it and writes it again, which is what a chain, and a strict chain, cannot do without in Python.

    python -m benchmarks.log [--records 1000000] [--json]

Reading is measured in processor time, so that neighbours on the machine do not count, writing in elapsed time against
the same writes without a log, taken turn by turn. Records are 240 bytes. A figure stands beside its target.
"""

import argparse
import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from countersign.evidence.chain import ChainFile
from countersign.evidence.lines import ZERO, Draft, Scan, encode
from countersign.evidence.merkle import CompactRange
from countersign.evidence.rawchain import follow
from countersign.evidence.seal import Extent, Seal, first_changed

RECORD = 240
SEGMENTS = 100  # seals over the register that is checked quickly
AT = datetime(2026, 11, 23, 14, tzinfo=UTC)


def chained(count: int) -> bytes:
    """A chain of so many records of 240 bytes."""
    prev, lines = ZERO, []
    for seq in range(count):
        bare = {
            "prev": prev,
            "seq": seq,
            "ts": "2026-11-23T14:00:00.000000Z",
            "event": "noticed",
            "actor": "a",
            "to": "",
        }
        filler = "x" * (RECORD - len(json.dumps(bare, separators=(",", ":"))) - 1)
        line = encode(Draft("noticed", "a", {"to": filler}), prev=prev, seq=seq, at=AT, entropy=os.urandom)
        prev = line.head
        lines.append(line.content)
    return b"".join(lines)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.process_time, rounds: int = 3) -> float:
    """The best of some rounds."""
    taken = []
    for _ in range(rounds):
        start = clock()
        work()
        taken.append(clock() - start)
    return min(taken)


def sealed(content: bytes) -> list[Seal]:
    """Seals over a register of these bytes, as daily sealing would have left them."""
    size = len(content) // RECORD // SEGMENTS * RECORD
    ends = [*range(size, size * SEGMENTS, size), len(content)]
    seals = []
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False), start=1):
        segment = hashlib.sha256(content[start:end]).hexdigest()
        seals.append(Seal(number, ZERO, ZERO, "", ZERO, Extent(end, ZERO), 0, (), segment, Extent()))
    return seals


def reading(count: int, folder: Path) -> dict[str, float]:
    """Records a second of each way to read a chain, and of SHA-256 over the same bytes at once."""
    path = folder / "register.jsonl"
    content = chained(count)
    path.write_bytes(content)
    seals = sealed(content)

    def raw() -> None:
        with path.open("rb") as file:
            hashlib.file_digest(file, "sha256").digest()

    def hashed() -> None:
        with path.open("rb") as file:
            for line in file:
                hashlib.sha256(line).hexdigest()

    def as_json() -> None:
        with path.open("rb") as file:
            for line in file:
                assert orjson.dumps(orjson.loads(line), option=orjson.OPT_APPEND_NEWLINE) == line
                hashlib.sha256(line).hexdigest()

    def quick() -> None:
        with path.open("rb") as file:
            assert follow(file) is not None

    def strict() -> None:
        with path.open("rb") as file:
            scan = Scan(file)
            scan.judge()
        assert (scan.fault, scan.count) == (None, count)

    def entries() -> None:
        with path.open("rb") as file:
            assert sum(1 for _ in Scan(file)) == count

    def leaves() -> None:
        tree = CompactRange()
        with path.open("rb") as file:
            for line in file:
                tree.append(line)

    def against_seals() -> None:
        assert first_changed(path, seals) is None

    ways = {
        "raw sha256": raw,
        "lines hashed": hashed,
        "verify": quick,
        "lines as JSON": as_json,
        "strict pass": strict,
        "entries": entries,
        "Merkle root": leaves,
        "sealed": against_seals,
    }
    return {name: count / seconds(work) for name, work in ways.items()}


def writing(folder: Path, rounds: int = 200) -> dict[str, float]:
    """Durable appends a second, one by one and in groups of 100, each beside a bare write and fsync of the same bytes.

    What a group costs over its bare bytes is processor time; the rest is the disk's, whatever writes to it.
    """
    chain = ChainFile(folder / "audit.jsonl")
    draft = Draft("noticed", "countersign", {"to": "x" * 60})
    chain.append_many([draft])
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    bare, one, bare_group, group = [], [], [], []
    with chain.writing() as writer:
        for _ in range(rounds):
            start = time.perf_counter()
            os.write(handle, b"x" * RECORD)
            os.fsync(handle)
            middle = time.perf_counter()
            writer.append([draft])
            end = time.perf_counter()
            bare.append(middle - start)
            one.append(end - middle)
        for _ in range(rounds // 4):
            start = time.perf_counter()
            os.write(handle, b"x" * RECORD * 100)
            os.fsync(handle)
            middle = time.perf_counter()
            writer.append([draft] * 100)
            bare_group.append(middle - start)
            group.append(time.perf_counter() - middle)
    os.close(handle)
    return {
        "bare write+fsync": 1 / statistics.median(bare),
        "single append": 1 / statistics.median(one),
        "bare group of 100": 100 / statistics.median(bare_group),
        "group of 100": 100 / statistics.median(group),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    sizes = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= given.records]
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        folder = Path(name)
        figures["read"] = {size: reading(size, folder) for size in sizes}
        figures["write"] = writing(folder)
    figures["load"] = os.getloadavg()[0]
    if given.json:
        print(json.dumps(figures))
        return
    print(f"records of {RECORD} bytes a second of processor time (load {figures['load']:.1f})")
    for size, ways in figures["read"].items():
        print(f"  {size:>9,}: " + "  ".join(f"{way} {rate / 1e6:.2f} M" for way, rate in ways.items()))
    most = figures["read"][sizes[-1]]
    write = figures["write"]
    share, single = most["sealed"] / most["raw sha256"], write["single append"] / write["bare write+fsync"]
    for what, value, target in (
        ("verify, M records/s", most["verify"] / 1e6, 1.0),
        ("strict pass, M records/s", most["strict pass"] / 1e6, 0.4),
        ("sealed part against raw sha256", share, 0.70),
        ("single durable append against bare write+fsync", single, 0.75),
        ("groups of 100, records/s", write["group of 100"], 100_000),
    ):
        print(f"  {what}: {value:,.2f} (target {target:,})")
    floors = (most["verify"] / most["lines hashed"], most["strict pass"] / most["lines as JSON"])
    print("  (of lines hashed, verify reaches {:.0%}; of lines as JSON, the strict pass {:.0%})".format(*floors))
    print(f"  (bare write+fsync of the bytes of 100: {write['bare group of 100']:,.0f} records/s)")


if __name__ == "__main__":
    main()
