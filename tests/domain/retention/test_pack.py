"""A pack: the same bytes from the same evidence, open to a stock tar, and whole again when its halves are joined."""

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.errors import EvidenceError, TamperedError
from countersign.evidence import durable
from countersign.evidence.lines import ZERO, Draft
from countersign.evidence.register import Register
from countersign.retention import pack as pack_module
from countersign.retention.days import FinishedDay
from countersign.retention.halves import Parting, join
from countersign.retention.pack import Pack, pack
from countersign.retention.tar import TarWriter, members
from countersign.retention.unpack import TREE, unpack, unpacked
from tests.domain.evidence.conftest import chained
from tests.domain.retention.conftest import DAY, NEXT, Keeping


def packed(keeping: Keeping, folder: Path, day: int = 0) -> Pack:
    folder.mkdir()
    finished = list(keeping.archive.days(keeping.archive.ledger()))
    return pack(keeping.root, finished[day], folder)


def opened(made: Pack, folder: Path) -> dict[str, bytes]:
    """The files of a pack as they were in the root."""
    folder.mkdir()
    unpack(made.chain.path, made.texts.path, folder)
    return {file.name: (folder / TREE / file.name).read_bytes() for file in unpacked(folder)}


def test_the_same_evidence_gives_the_same_bytes(in_folder: Keeping, tmp_path: Path) -> None:
    one, other = packed(in_folder, tmp_path / "one"), packed(in_folder, tmp_path / "other")
    for first, second in ((one.chain, other.chain), (one.texts, other.texts)):
        assert first.path.read_bytes() == second.path.read_bytes()
        assert first.sha256 == hashlib.sha256(first.path.read_bytes()).hexdigest()
        assert first.bytes == first.path.stat().st_size


def test_a_pack_gives_back_every_file_of_its_day_byte_by_byte(in_folder: Keeping, tmp_path: Path) -> None:
    files = opened(packed(in_folder, tmp_path / "one"), tmp_path / "files")
    files.update(opened(packed(in_folder, tmp_path / "next", 1), tmp_path / "others"))
    root = in_folder.root
    parts = {"runs": 4, "seals": 6, "policies": 4, "blobs": 1, "keys": 2, "extracts": 2}
    assert {part: sum(name.startswith(f"{part}/") for name in files) for part in parts} == parts
    for name, content in files.items():
        if name != "register.jsonl" and not name.startswith("keys/"):
            assert (root.path / name).read_bytes() == content


@pytest.mark.parametrize("small", [0, 600, 5000])
def test_a_pack_of_files_that_do_not_fit_in_memory_gives_them_back_too(
    in_folder: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    made = packed(in_folder, tmp_path / "one", 1)
    expected = opened(made, tmp_path / "expected")
    monkeypatch.setattr("countersign.retention.unpack._SMALL", small)
    monkeypatch.setattr("countersign.retention.tar._PIECE", 700)
    monkeypatch.setattr("countersign.retention.unpack._MOST_BEGUN", 0)
    monkeypatch.setattr("countersign.retention.unpack._TOGETHER", 1)
    assert opened(made, tmp_path / "files") == expected


def test_a_file_that_no_root_has_is_not_unpacked(tmp_path: Path) -> None:
    for half in ("chain", "texts"):
        with (tmp_path / half).open("wb") as file:
            archive = TarWriter(file)
            archive.add("README.txt", b"")
            archive.add(".ssh/authorized_keys", b"")
            archive.close()
    with pytest.raises(TamperedError, match="which no evidence root has"):
        unpack(tmp_path / "chain", tmp_path / "texts", tmp_path)


def test_the_days_of_a_register_are_all_of_it(in_folder: Keeping, tmp_path: Path) -> None:
    days = [opened(packed(in_folder, tmp_path / f"pack{day}", day), tmp_path / f"files{day}") for day in range(2)]
    assert b"".join(files["register.jsonl"] for files in days) == in_folder.root.register.read_bytes()


def test_a_timestamp_goes_with_the_day_that_registered_it(in_folder: Keeping, tmp_path: Path) -> None:
    token = in_folder.root.seals / "000001.tsr"
    durable.create_file(token, b"a token")
    data = {"number": 1, "file": token.name, "sha256": durable.digest_of(b"a token"), "at": "2026-11-25T14:00:00Z"}
    Register(in_folder.root, clock=in_folder.clock).append("timestamped", "countersign", **data)
    in_folder.clock.move(days=2)
    assert opened(packed(in_folder, tmp_path / "one", 2), tmp_path / "files")["seals/000001.tsr"] == b"a token"


def test_no_word_from_outside_is_in_the_chain(in_folder: Keeping, tmp_path: Path) -> None:
    made = packed(in_folder, tmp_path / "one")
    words = b"approved for deployment."
    assert words in made.texts.path.read_bytes()
    assert words not in made.chain.path.read_bytes()


@pytest.mark.parametrize("half", ["chain", "texts"])
def test_two_other_programs_read_it(in_folder: Keeping, tmp_path: Path, half: str) -> None:
    made = getattr(packed(in_folder, tmp_path / "one"), half)
    with made.path.open("rb") as file:
        ours = {member.name: member.read() for member in members(file)}
    with tarfile.open(made.path) as archive:
        theirs = {each.name: archive.extractfile(each).read() for each in archive}  # type: ignore[union-attr]
        assert {(each.mode, each.uid, each.mtime, each.type) for each in archive} == {(0o400, 0, 0, b"0")}
    (tmp_path / "out").mkdir()
    subprocess.run(["tar", "-xf", made.path, "-C", tmp_path / "out"], check=True)
    stock = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert ours == theirs == stock


def test_an_auditor_joins_a_log_with_the_script_that_lies_in_the_pack(in_folder: Keeping, tmp_path: Path) -> None:
    made = packed(in_folder, tmp_path / "one")
    for half in (made.chain, made.texts):
        subprocess.run(["tar", "-xf", half.path, "-C", tmp_path], check=True)
    script = re.search(r"(?ms)^    import json.*?readline\(\)\)$", (tmp_path / "README.txt").read_text("utf-8"))
    assert script is not None
    program = re.sub("(?m)^    ", "", script[0])
    logs = sorted(tmp_path.glob("runs/*/*/*/*/audit.jsonl"))
    assert len(logs) == 2
    for log in logs:
        arguments = [str(log), f"{log}.texts", str(tmp_path / "whole")]
        subprocess.run([sys.executable, "-c", program, *arguments], check=True)
        assert (tmp_path / "whole").read_bytes() == (in_folder.root.path / log.relative_to(tmp_path)).read_bytes()


DAMAGE: dict[str, tuple[Callable[[bytes], bytes], str]] = {  # what is done to a run's log → what the pack says of it
    "cut": (lambda content: content[:-100], "head_differs"),
    "torn_within_its_texts": (lambda content: content[: content.rindex(b'{"text":') + 20], "head_differs"),
    "line_removed": (lambda content: b"".join(content.splitlines(keepends=True)[1:]), "broken_chain"),
    "line_added": (lambda content: content + content.splitlines(keepends=True)[0], "broken_chain"),
    "not_json": (lambda _: b'{"prev":"garbage\n\xff\n', "head_differs"),
    "emptied": (lambda _: b"", "head_differs"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_evidence_of_an_incident_is_packed_as_it_is_and_named(in_folder: Keeping, tmp_path: Path, case: str) -> None:
    damage, fault = DAMAGE[case]
    log = min(in_folder.root.path.glob("runs/*/*/23/*/audit.jsonl"))
    log.write_bytes(damage(log.read_bytes()))
    made = packed(in_folder, tmp_path / "one")
    name = str(log.relative_to(in_folder.root.path))
    assert dict(made.faults) == {name: fault}
    assert opened(made, tmp_path / "files")[name] == log.read_bytes()


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("runs/*/*/23/*/audit.jsonl", "missing"),
        ("seals/000001.json.sig", "missing"),
        ("policies/*", "missing"),
        ("seals/*observer*", "missing"),
        ("extracts/*", "missing"),
    ],
)
def test_what_is_gone_already_is_named_and_the_rest_is_packed(
    in_folder: Keeping, tmp_path: Path, pattern: str, fault: str
) -> None:
    for path in in_folder.root.path.glob(pattern):
        path.unlink()
    made = packed(in_folder, tmp_path / "one")
    assert {what for _, what in made.faults} == {fault}
    files = opened(made, tmp_path / "files")
    assert "register.jsonl" in files
    assert not any(name in files for name, _ in made.faults)


def test_files_that_a_register_line_names_are_packed_with_the_texts(in_folder: Keeping, tmp_path: Path) -> None:
    name = "datasets/clean_population_sample/month=2026-10/drawn.json"
    path = in_folder.root.path / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"{}")
    files = {name: hashlib.sha256(b"{}").hexdigest()}
    in_folder.archive.register.append("sample_drawn", "countersign", month="2026-10", files=files)
    in_folder.clock.move(days=1)
    made = packed(in_folder, tmp_path / "one", 2)
    assert opened(made, tmp_path / "files")[name] == b"{}"
    path.write_bytes(b"[]")
    assert packed(in_folder, tmp_path / "two", 2).faults == ((name, "content_differs"),)


def test_a_file_outside_of_the_root_is_never_packed(in_folder: Keeping, tmp_path: Path) -> None:
    day = FinishedDay(DAY, (0, 0), files={"datasets/../../secret": "0" * 64})
    with pytest.raises(EvidenceError, match="leads out of the root"):
        pack(in_folder.root, day, tmp_path)


@pytest.mark.parametrize("half", ["chain", "texts"])
def test_a_pack_that_was_changed_is_refused_whole(in_folder: Keeping, tmp_path: Path, half: str) -> None:
    made = packed(in_folder, tmp_path / "one")
    path = getattr(made, half).path
    content = path.read_bytes()
    where = content.index(b'"change_id":"CHG-230"') if half == "chain" else content.index(b"CHG-230 approved")
    path.write_bytes(content[:where] + content[where:].replace(b"CHG-230", b"CHG-999", 1))
    (tmp_path / "files").mkdir()
    with pytest.raises(TamperedError, match="is not what the manifest says"):
        unpack(made.chain.path, made.texts.path, tmp_path / "files")


def test_a_half_without_the_other_is_refused(in_folder: Keeping, tmp_path: Path) -> None:
    one, other = packed(in_folder, tmp_path / "one"), packed(in_folder, tmp_path / "two", 1)
    (tmp_path / "files").mkdir()
    with pytest.raises(TamperedError, match="manifest"):
        unpack(one.chain.path, other.texts.path, tmp_path / "files")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "ends before its end"), (b"x" * 512, "no file of a pack"), (bytes(100), "ends before its end")],
)
def test_what_is_no_pack_is_refused(content: bytes, says: str) -> None:
    with pytest.raises(EvidenceError, match=says):
        list(members(io.BytesIO(content)))


@pytest.mark.parametrize("name", ["../up", "/rooted", "a//b", "a/./b"])
def test_a_name_that_leads_out_of_a_pack_is_refused(name: str) -> None:
    file = io.BytesIO()
    TarWriter(file).add(name, b"x")
    file.seek(0)
    with pytest.raises(EvidenceError, match="leads out of it"):
        list(members(file))


def test_a_name_that_a_pack_cannot_hold_is_refused() -> None:
    with pytest.raises(EvidenceError, match="names up to 100"):
        TarWriter(io.BytesIO()).add("x" * 101, b"")


def test_a_file_that_shrinks_while_it_is_read_is_no_pack() -> None:
    with pytest.raises(EvidenceError, match="became shorter"):
        TarWriter(io.BytesIO()).add_file("x", io.BytesIO(b"abc"), 4)


def test_a_pack_of_another_format_is_refused(
    in_folder: Keeping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_module, "FORMAT", "countersign-pack/9")
    made = packed(in_folder, tmp_path / "one")
    (tmp_path / "files").mkdir()
    with pytest.raises(TamperedError, match="'countersign-pack/9' is not known"):
        unpack(made.chain.path, made.texts.path, tmp_path / "files")


_texts = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.text(max_size=20), max_size=3)


@given(st.lists(_texts, max_size=6), st.integers(0, 4000))
def test_the_halves_of_any_log_join_or_say_that_they_do_not(events: list[dict[str, str]], cut: int) -> None:
    content = chained(Draft(f"event{number}", "somebody", {}, texts) for number, texts in enumerate(events))
    for whole in (content, content[:cut]):
        parting = Parting(ZERO)
        halves: tuple[list[bytes], list[bytes]] = ([], [])
        for line in io.BytesIO(whole):
            halves[0 if parting.is_event(line) else 1].append(line)
        if parting.joins:
            assert b"".join(join(*halves)) == whole
        else:
            assert whole is not content
    assert parting.follows


def test_a_log_that_a_power_cut_has_torn_is_kept_whole(in_folder: Keeping, tmp_path: Path) -> None:
    """Its texts are not where the form of a log has them, so the halves alone would not give it back."""
    log = in_folder.root.log(DAY, "change-00000000000000aa")
    log.parent.mkdir()
    log.write_bytes(chained([Draft("assessed", "countersign", {}, {"a": "one", "b": "two"})]))
    whole = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(whole[:2]))
    in_folder.bench.run.engine.log_of(DAY, "change-00000000000000aa").append("noticed", "countersign")
    parting = Parting(ZERO)
    assert [parting.is_event(line) for line in io.BytesIO(log.read_bytes())] == [True, False, True, True]
    assert not parting.joins
    day = next(in_folder.archive.days(in_folder.archive.ledger()))
    run = next(iter(day.runs.values()))
    run.run_id, run.head = "change-00000000000000aa", parting.head or ""
    (tmp_path / "pack").mkdir()
    made = pack(in_folder.root, day, tmp_path / "pack")
    assert not made.faults
    name = str(log.relative_to(in_folder.root.path))
    assert opened(made, tmp_path / "files")[name] == log.read_bytes()


def test_the_manifest_says_which_bytes_of_the_register_it_has(in_folder: Keeping, tmp_path: Path) -> None:
    made = packed(in_folder, tmp_path / "one", 1)
    with made.chain.path.open("rb") as file:
        manifest = [member.read() for member in members(file)][-1]
    about = json.loads(manifest.splitlines()[0])
    size = in_folder.root.register.stat().st_size
    assert (about["day"], about["register"][1], about["findings"]) == (NEXT.isoformat(), size, [0, 0])
