"""The bundle, and what the observer's script finds in it, in a folder that has nothing of ours but that script."""

import csv
import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import SampleRefused, SamplingError
from countersign.evidence.keyring import KeyRing
from countersign.evidence.sealing import Sealer
from countersign.evidence.signature import sign
from countersign.evidence.witnessing import countersign
from countersign.policy import Policy
from countersign.runs.sign_offs import SignOffDesk
from countersign.sampling import frozen
from countersign.sampling.bundle import export
from countersign.sampling.figures import figures
from countersign.sampling.ledger import read_months
from countersign.sampling.page import page
from tests.conftest import StepClock, payload_with
from tests.domain.retention.conftest import attachment
from tests.domain.runs.conftest import Line, chain, read_lines
from tests.domain.sampling.observing import MONTH, NONCE, Observing, a_finding, as_csv, with_sample
from tests.domain.sampling.populations import a_row
from tests.keys import make_key, signed_policy
from tests.sample_script import SAMPLE_SCRIPT, bundle_faults

Rows = list[dict[str, Any]]
WITHIN = "datasets/clean_population_sample/month=2026-10"
TWO_OF_SIX = {"confidence": 0.6, "tolerable": 0.4}
ALONE = [sys.executable, "-E", "-s", "-S"]  # no variable, and no package, is looked at


def deployed(number: int, at: str = "2026-10-14T10:00:00Z", **changes: Any) -> dict[str, Any]:
    """A clean change that was deployed at an instant."""
    change_id = f"CHG-{number}"
    payload = payload_with(id=change_id, requested_at="2026-10-01T09:00:00Z", deployed_at=at)
    payload["evidence"]["approval"] |= {"text": f"{change_id} approved for deployment.", "at": "2026-10-13T09:00:00Z"}
    payload["evidence"]["tests"]["at"] = "2026-10-13T08:00:00Z"
    payload["evidence"]["tests"]["attachments"] = [attachment(f"protocol {number}".encode())]
    payload["evidence"]["deployment"]["at"] = at
    return {**payload, **changes}


@dataclass(frozen=True)
class Worked:
    """Where a root lies on which everybody has worked, and when they were done; each test works on in a copy of it."""

    root: Path
    keys: Path
    policy: Policy
    now: datetime

    def copy(self, to: Path, **sample: Any) -> Observing:
        shutil.copytree(self.root, to / "evidence")
        bench = Observing(to / "evidence", self.policy, StepClock(self.now), self.keys)
        if sample:
            bench.fresh(policy=with_sample(self.policy, **sample))
        return bench


@pytest.fixture(scope="module")
def worked(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Worked:
    """Six clean changes of October, a blocked one, one that waits, and a clean one of November."""
    folder, clock = tmp_path_factory.mktemp("worked"), StepClock(datetime(2026, 11, 23, 14, 0, tzinfo=UTC))
    bench = Observing(folder / "evidence", policy, clock, folder / "keys", **TWO_OF_SIX)
    for number in range(6):
        bench.complete(deployed(number))
    bench.execute(deployed(7, evidence={"note": "nothing that says anything"}))
    bench.execute(deployed(8))
    bench.complete(deployed(9, "2026-11-02T10:00:00Z"))
    return Worked(bench.root, bench.folder, bench.policy, clock.now)


@pytest.fixture
def bench(worked: Worked, tmp_path: Path) -> Observing:
    return worked.copy(tmp_path)


def of_the_month(bench: Observing) -> Rows:
    return [row for row in bench.rows() if row["deployed_at"] < datetime(2026, 11, 1, 4, tzinfo=UTC)]


def bundled(bench: Observing, to: Path, rows: Rows | None = None, **how: Any) -> Path:
    """Frozen, sealed, seeded, drawn, sealed again, and exported."""
    bench.freeze(of_the_month(bench) if rows is None else rows, **how)
    bench.seal()
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.draw()
    bench.seal()
    return export(bench.evidence, MONTH, to).folder


def check(folder: Path, *arguments: object) -> tuple[int, list[str]]:
    """What the script in a bundle says, in a Python that has nothing but its standard library."""
    command = [*ALONE, str(folder / "verify_sample.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


@pytest.fixture(scope="module")
def good(worked: Worked, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle as it should be."""
    folder = tmp_path_factory.mktemp("good")
    return bundled(worked.copy(folder), folder / "bundle")


def test_a_bundle_verifies_with_nothing_of_ours(good: Path) -> None:
    said = "2026-10: emergency 0 of 0, standard 2 of 6, late 0 of 0; seeded by the observer"
    assert check(good) == (0, [said, "no faults"])


def test_a_seal_that_an_observer_counter_signed_is_no_fault_of_a_bundle(bench: Observing, tmp_path: Path) -> None:
    """The counter-signature stays with the root and its observer: a bundle holds none, and needs none."""
    bench.freeze(of_the_month(bench))
    number = bench.seal().number
    key = make_key(tmp_path / "witness")
    countersign(bench.evidence, number, witness="observer", key=key, held=None, allowed_signers=None, clock=bench.clock)
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.draw()
    bench.seal()
    assert bundle_faults(export(bench.evidence, MONTH, tmp_path / "bundle").folder) == set()


def test_a_bundle_has_every_key_that_sealed_its_root(bench: Observing, tmp_path: Path) -> None:
    """One that was replaced for good signed the seals before, and the manifest."""
    bench.freeze(of_the_month(bench))
    bench.seal()
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.draw()
    Sealer(bench.evidence, make_key(tmp_path / "other"), clock=bench.clock, new_key=True).seal("c" * 64)
    assert check(export(bench.evidence, MONTH, tmp_path / "bundle").folder)[1][-1] == "no faults"


def without(number: int) -> Callable[[Rows], Rows]:
    return lambda rows: [row for row in rows if row["change_id"] != f"CHG-{number}"]


def called(number: int, outcome: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{**row, "outcome": outcome} if row["change_id"] == f"CHG-{number}" else row for row in rows]


def in_stratum(number: int, stratum: str) -> Callable[[Rows], Rows]:
    return lambda rows: [{**row, "stratum": stratum} if row["change_id"] == f"CHG-{number}" else row for row in rows]


def with_one_of_nobody(rows: Rows) -> Rows:
    return [*rows, a_row("CHG-666", "blocked")]


# what whoever holds every key freezes, seals and draws from: what the script says of it, and of which change
FROZEN_WRONG: dict[str, tuple[Callable[[Rows], Rows], str, str]] = {
    "a_run_removed": (without(3), "population_lacks", "CHG-3"),
    "a_blocked_run_removed": (without(7), "population_lacks", "CHG-7"),
    "a_run_added": (with_one_of_nobody, "population_adds", "CHG-666"),
    "an_exception_made_of_a_clean_run": (called(2, "exception"), "population_differs", "CHG-2"),
    "a_waiting_run_called_superseded": (called(8, "superseded"), "population_differs", "CHG-8"),
    "a_run_moved_to_another_stratum": (in_stratum(4, "emergency"), "population_differs", "CHG-4"),
}


@pytest.mark.parametrize("case", FROZEN_WRONG)
def test_a_population_that_was_frozen_wrong_is_named(bench: Observing, tmp_path: Path, case: str) -> None:
    """Every signature and digest is right, and what the register says of the runs is not what was frozen."""
    change, name, about = FROZEN_WRONG[case]
    folder = bundled(bench, tmp_path / "bundle", change(of_the_month(bench)))
    assert {(name, about)} == {(kind, where.split(" ")[0]) for kind, where in bundle_faults(folder)}


def test_a_run_moved_over_the_months_end_is_named(bench: Observing, tmp_path: Path) -> None:
    rows = bench.rows()
    assert len(rows) == len(of_the_month(bench)) + 1
    folder = bundled(bench, tmp_path / "bundle", without(1)(rows))
    assert {(kind, where.split(" ")[0]) for kind, where in bundle_faults(folder)} == {
        ("population_moved", "CHG-9"), ("population_lacks", "CHG-1"),
    }  # fmt: skip
    _, said = check(folder)
    assert any("another month: the register has it deployed at 2026-11-02T10:00:00.000000Z" in line for line in said)


def altered(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


def last_line(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """What is done to the last line of the list, which is that of CHG-8."""

    def alter(folder: Path) -> None:
        path = folder / WITHIN / "population.txt"
        *lines, last = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join([*lines, change(last)]))

    return alter


def edit_a_row(folder: Path) -> None:
    path = folder / WITHIN / "population.jsonl.gz"
    rows = gzip.decompress(path.read_bytes()).replace(b'"change_id":"CHG-4"', b'"change_id":"CHG-4","x":1')
    path.write_bytes(gzip.compress(rows))


def drop_a_row(folder: Path) -> None:
    path = folder / WITHIN / "population.jsonl.gz"
    rows = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    path.write_bytes(gzip.compress(b"".join(row for row in rows if b'"CHG-4"' not in row)))


def drawn_ids(folder: Path) -> list[str]:
    return [json.loads(row)["change_id"] for row in (folder / WITHIN / "sample.jsonl").read_bytes().splitlines()]


def swap_in_the_sample(folder: Path) -> None:
    """One of those drawn is exchanged for one that was not, with the row that is really its."""
    rows = gzip.decompress((folder / WITHIN / "population.jsonl.gz").read_bytes()).splitlines(keepends=True)
    drawn = drawn_ids(folder)
    other = next(row for row in rows if json.loads(row)["change_id"] not in drawn and b'"clean"' in row)
    path = folder / WITHIN / "sample.jsonl"
    path.write_bytes(b"".join([*path.read_bytes().splitlines(keepends=True)[:-1], other]))


def lines_without(folder: Path, change_id: str) -> list[Line]:
    lines = read_lines(folder / "register.jsonl")
    run = next(line.event["run_id"] for line in lines if line.event.get("change_id") == change_id)
    return [line for line in lines if line.event.get("run_id") != run]


def remove_from_the_register(folder: Path) -> None:
    raw = (folder / "register.jsonl").read_bytes().splitlines(keepends=True)
    run = next(json.loads(line)["run_id"] for line in raw if b'"change_id":"CHG-3"' in line)
    (folder / "register.jsonl").write_bytes(b"".join(line for line in raw if f'"run_id":"{run}"'.encode() not in line))


def remove_and_chain_anew(folder: Path) -> None:
    (folder / "register.jsonl").write_bytes(chain(lines_without(folder, "CHG-3"), {}))


def another_nonce(folder: Path) -> None:
    lines = read_lines(folder / "register.jsonl")
    next(line for line in lines if line.name == "sample_nonce").event["nonce"] = NONCE[::-1]
    (folder / "register.jsonl").write_bytes(chain(lines, {}))


def signed_by_another(name: str, namespace: str) -> Callable[[Path], None]:
    def sign_anew(folder: Path) -> None:
        path = folder / name
        key = make_key(folder.parent / "another")
        path.with_name(f"{path.name}.sig").write_bytes(sign(path.read_bytes(), key=key, namespace=namespace))

    return sign_anew


def edit_a_log(folder: Path) -> None:
    for path in folder.glob("runs/*/*/*/*/audit.jsonl"):
        altered(path, b'"author":"maker"', b'"author":"someone"')


def edit_an_attachment(folder: Path) -> None:
    path = next(folder.glob("blobs/*"))
    path.write_bytes(path.read_bytes() + b".")


def drop_a_log(folder: Path) -> None:
    next(folder.glob("runs/*/*/*/*/audit.jsonl")).unlink()


# what is done to a good bundle: a fault that it is, and words of what that is about
SPOILED: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "a_row_edited": (edit_a_row, "row_differs", "CHG-4"),
    "a_row_left_out": (drop_a_row, "row_missing", "CHG-4"),
    "a_line_of_the_list_edited": (
        last_line(lambda line: line.replace(b"awaiting", b"superseded")), "population_differs", "CHG-8",
    ),
    "a_line_of_the_list_removed": (last_line(lambda line: b""), "population_lacks", "CHG-8"),
    "a_digest_of_the_list_edited": (last_line(lambda line: line[:-9] + b"00000000\n"), "row_differs", "CHG-8"),
    "the_list_is_not_what_was_frozen": (last_line(lambda line: b""), "list_differs", "population.txt"),
    "another_one_in_the_sample": (swap_in_the_sample, "sample_adds", "CHG-"),
    "one_missing_in_the_sample": (swap_in_the_sample, "sample_lacks", "CHG-"),
    "a_run_removed_from_the_register": (remove_from_the_register, "population_adds", "CHG-3"),
    "a_run_removed_and_the_register_chained_anew": (remove_and_chain_anew, "population_adds", "CHG-3"),
    "the_register_is_not_what_was_sealed": (remove_and_chain_anew, "seal_register", "000001.json"),
    "the_register_goes_on": (
        lambda folder: altered(folder / "register.jsonl", b'{"prev":"', b'{}\n{"prev":"'),
        "register_end", "register.jsonl",
    ),
    "a_policy_edited": (
        lambda folder: altered(next(folder.glob("policies/*.json")), b":", b": "), "content_differs", "policies",
    ),
    "another_nonce": (another_nonce, "nonce_statement", "register.jsonl"),
    "another_seed": (another_nonce, "seed_differs", "register.jsonl"),
    "a_manifest_signed_by_another_key": (
        signed_by_another(f"{WITHIN}/manifest.json", "sample@countersign"), "manifest_signature", "manifest.json",
    ),
    "a_seal_signed_by_another_key": (
        signed_by_another("seals/000001.json", "seal@countersign"), "seal_signature", "000001.json",
    ),
    "a_seal_left_out": (lambda folder: (folder / "seals" / "000001.json").unlink(), "seal_continuity", "000002.json"),
    "the_population_file_exchanged": (
        lambda folder: altered(folder / WITHIN / "population.parquet", b"PAR1", b"PAR2"),
        "content_differs", "population.parquet",
    ),
    "a_log_edited": (edit_a_log, "broken_chain", "audit.jsonl"),
    "an_attachment_edited": (edit_an_attachment, "content_differs", "blobs"),
    "a_log_left_out": (drop_a_log, "log_missing", "audit.jsonl"),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
def test_a_bundle_that_was_spoiled_is_found_and_named(good: Path, tmp_path: Path, case: str) -> None:
    spoil, name, about = SPOILED[case]
    folder = Path(shutil.copytree(good, tmp_path / "bundle"))
    spoil(folder)
    assert [where for kind, where in bundle_faults(folder) if kind == name and about in where]


def test_signed_sign_offs_verify_with_the_keys_in_the_bundle(
    root: Path, policy: Policy, clock: StepClock, keys: Path, tmp_path: Path
) -> None:
    bench = Observing(root, signed_policy(policy, keys), clock, tmp_path / "keys")
    bench.desk = SignOffDesk(bench.run.engine, KeyRing(folder=keys))
    assert bench.complete(deployed(1)).status == "COMPLETED"
    folder = bundled(bench, tmp_path / "bundle")
    assert check(folder)[0] == 0
    signers = (folder / "allowed_signers").read_text().splitlines()
    assert signers[0].startswith('countersign namespaces="seal@countersign,sample@countersign" ssh-ed25519 ')
    assert {line.split(" ")[0] for line in signers} >= {"countersign", "observer", "reviewer", "checker"}


def test_a_seal_that_the_observer_holds_has_to_be_one_of_these(good: Path, tmp_path: Path) -> None:
    held = Path(shutil.copy(good / "seals" / "000001.json", tmp_path / "held.json"))
    signers = good / "allowed_signers"
    assert check(good, "--seal", held, "--allowed-signers", signers)[0] == 0
    altered(held, b'"number":1', b'"number":2')
    code, said = check(good, "--seal", held)
    assert (code, said[0].split("  ")[:2]) == (1, ["seal_differs", str(held)])
    nobody = tmp_path / "nobody"
    nobody.write_bytes(b"")
    code, said = check(good, "--allowed-signers", nobody)
    assert code == 1
    assert {line.split("  ")[0] for line in said[:-2]} >= {"seal_signature", "manifest_signature", "nonce_signature"}


def test_what_came_late_is_checked_with_the_rest(bench: Observing, tmp_path: Path) -> None:
    bundled(bench, tmp_path / "first")
    bench.complete(deployed(20))
    assert bench.complete(deployed(8)).status == "COMPLETED"  # it waited when the month was frozen
    finding = a_finding(bench)
    late = [row for row in bench.rows("late") if row["change_id"] in ("CHG-20", "CHG-8")]
    bench.freeze(late, complete=False, late=1)
    bench.seal()
    bench.draw(finding=finding)
    bench.seal()
    folder = export(bench.evidence, MONTH, tmp_path / "bundle").folder
    code, said = check(folder)
    assert (code, said[0]) == (0, "2026-10: emergency 0 of 0, standard 2 of 6, late 2 of 2; seeded by the observer")
    assert said[1].startswith("INCOMPLETE: ")
    page = (folder / "index.html").read_text()
    assert "INCOMPLETE: something is missing" in page
    assert f"drawn again because of <code>{finding}</code>" in page


def test_what_came_after_the_draw_is_in_no_bundle_of_it_but_said(bench: Observing, tmp_path: Path) -> None:
    bundled(bench, tmp_path / "first")
    bench.complete(deployed(20))
    bench.freeze([row for row in bench.rows("late") if row["change_id"] == "CHG-20"], complete=False, late=1)
    folder = export(bench.evidence, MONTH, tmp_path / "second").folder
    assert check(folder)[0] == 0
    assert not (folder / WITHIN / "late-1.txt").exists()
    assert "INCOMPLETE: something is missing" in (folder / "index.html").read_text()


def test_a_late_list_that_leaves_something_out_is_named(bench: Observing, tmp_path: Path) -> None:
    bundled(bench, tmp_path / "first")
    for number in (20, 21, 8):
        bench.complete(deployed(number))
    late = [row for row in bench.rows("late") if row["change_id"] == "CHG-20"]
    bench.freeze(late, complete=False, late=1)
    bench.seal()
    bench.draw(finding=a_finding(bench))
    bench.seal()
    folder = export(bench.evidence, MONTH, tmp_path / "bundle").folder
    assert {(kind, about.split(" ")[0]) for kind, about in bundle_faults(folder)} == {
        ("population_lacks", "CHG-21"), ("population_lacks", "CHG-8"),
    }  # fmt: skip


def test_a_draw_without_an_observer_says_so_everywhere(worked: Worked, tmp_path: Path) -> None:
    bench = worked.copy(tmp_path, nonce="optional")
    bench.freeze(of_the_month(bench), complete=False)
    bench.seal()
    bench.draw()
    bench.seal()
    folder = export(bench.evidence, MONTH, tmp_path / "bundle").folder
    code, said = check(folder)
    assert (code, said[0].endswith("; seeded by the producer"), said[1].startswith("INCOMPLETE")) == (0, True, True)
    assert json.loads((folder / WITHIN / "manifest.json").read_bytes())["seeded_by"] == "producer"
    page = (folder / "index.html").read_text()
    for words in ("INCOMPLETE: something is missing", "producer-seeded: nobody but the producer"):
        assert f'<p class="warning">{words}' in page


def test_the_page_loads_nothing_and_has_the_three_pictures(good: Path) -> None:
    page = (good / "index.html").read_text()
    assert page.count("<svg ") == 2  # no results came yet, so there is no third one
    assert "No results were recorded yet." in page
    assert 'warning">' not in page
    for word in ("<script", "href=", "src=", "http://", "https://", "@import", "url("):
        assert word not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "<title>2026-10-14: 6 clean</title>" in page
    assert "<title>billing, normal: 6 of 6</title>" in page


def test_results_make_the_third_picture(bench: Observing, tmp_path: Path) -> None:
    bundled(bench, tmp_path / "bundle")
    sample = bench.draw()
    bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(sample)))
    population = frozen.read(bench.evidence, MONTH)
    assert population is not None
    shown = figures(population, sample, read_months(bench.run.engine.register.records()))
    (limit,) = shown.limits
    assert (limit.month, limit.tolerable, 0 < limit.limit < 0.4) == ("2026-10", 0.4, True)
    written = page(population, sample, shown, complete=True)
    assert written.count("<svg ") == 3
    assert f"<title>2026-10: {100 * limit.limit:.1f} %, tolerable 40 %</title>" in written


def test_the_results_are_a_table_to_fill_in(good: Path) -> None:
    with (good / "results.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["change_id"] for row in rows] == drawn_ids(good)
    assert list(rows[0])[-4:] == ["attribute_ITGC_CM_03", "deviation", "tester", "examined_at"]
    assert (rows[0]["stratum"], rows[0]["rank"], rows[0]["deployed_at"]) == (
        "standard",
        "1",
        "2026-10-14T10:00:00.000000Z",
    )
    assert {row["tester"] for row in rows} == {""}


def test_a_bundle_is_of_a_sealed_draw_and_lands_where_nothing_is(bench: Observing, tmp_path: Path) -> None:
    to = tmp_path / "bundle"
    with pytest.raises(SampleRefused, match="nothing is drawn yet"):
        export(bench.evidence, MONTH, to)
    bench.freeze(of_the_month(bench))
    bench.seal()
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.draw()
    with pytest.raises(SampleRefused, match="no seal covers its sample_drawn line yet"):
        export(bench.evidence, MONTH, to)
    bench.seal()
    with pytest.raises(SamplingError, match="the observer's script is not there"):
        export(bench.evidence, MONTH, to, scripts=tmp_path)
    with pytest.raises(SamplingError, match="there is something already"):
        export(bench.evidence, MONTH, to)


def test_where_there_is_no_bundle_the_script_says_so(good: Path, tmp_path: Path) -> None:
    command = [*ALONE, str(good / "verify_sample.py"), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, f"{tmp_path}: no bundle; name the folder of one" in done.stderr) == (2, True)


def test_the_script_stays_short_and_uses_nothing_but_python_and_the_other_script() -> None:
    lines = SAMPLE_SCRIPT.read_text("utf-8").splitlines()
    code = [line for line in lines[lines.index('"""', 2) + 1 :] if line.strip() and not line.strip().startswith('"""')]
    assert len(code) <= 250
    imported = {line.split()[1] for line in code if line.startswith(("import ", "from "))}
    assert imported <= set(sys.stdlib_module_names) | {"verify_evidence"}
