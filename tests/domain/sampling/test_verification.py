"""What `verify` decides again of samples: who rewrites the register cannot sign, nor make another draw fit."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from countersign.errors import SampleRefused
from countersign.evidence.durable import digest_of
from countersign.evidence.seal import signature_path
from countersign.evidence.sealing import Sealer
from countersign.evidence.signature import sign
from countersign.policy import Policy
from countersign.sampling import drawing
from countersign.sampling.draw import Draw, Seed, draw
from countersign.sampling.drawing import draw_month, sizes_of
from countersign.sampling.review import NAMESPACE as RESULTS
from countersign.sampling.sample import NAMESPACE
from countersign.sampling.verification import check_samples
from tests.domain.runs.conftest import Line, chain, read_lines
from tests.domain.sampling.observing import MONTH, NONCE, Observing, a_finding, an_observing, as_csv
from tests.domain.sampling.populations import a_row
from tests.keys import make_key

ROWS = [a_row(f"CHG-{number:03}") for number in range(60)]


def worked(policy: Policy, folder: Path) -> Observing:
    """A month that was frozen, seeded, drawn and observed."""
    bench = an_observing(policy, folder)
    bench.published(ROWS)
    bench.nonces.record(MONTH, "observer", NONCE)
    bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(bench.draw())))
    return bench


@pytest.fixture
def bench(policy: Policy, tmp_path: Path) -> Observing:
    return worked(policy, tmp_path)


@pytest.fixture(scope="module")
def shared(policy: Policy, tmp_path_factory: pytest.TempPathFactory) -> Observing:
    return worked(policy, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def forged(shared: Observing) -> Iterator[Observing]:
    """A root whose register may be rewritten: the next test finds it as it was."""
    kept = shared.register.read_bytes()
    yield shared
    shared.register.write_bytes(kept)


def kinds(bench: Observing) -> list[str]:
    return [fault.kind for fault in check_samples(bench.evidence)]


def test_a_month_as_it_should_be_has_no_fault(bench: Observing) -> None:
    assert kinds(bench) == []
    bench.published([a_row("CHG-900", stratum="late")], late=1, complete=False)
    second = bench.draw(finding=a_finding(bench))
    bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(second)))
    assert kinds(bench) == []


def forge(bench: Observing, event: str, change: Callable[[Line], object]) -> None:
    """Rewrite a line of the register, and chain everything anew."""
    lines = read_lines(bench.register)
    change(next(line for line in lines if line.name == event))
    bench.register.write_bytes(chain(lines, {}))


FORGED: dict[str, tuple[str, Callable[[Line], object], str]] = {
    "another_nonce": ("sample_nonce", lambda line: line.event.update(nonce=NONCE[::-1]), "nonce_void"),
    "a_nonce_without_a_signature": ("sample_nonce", lambda line: line.texts.clear(), "nonce_void"),
    "a_draw_of_no_form": ("sample_drawn", lambda line: line.event.pop("strata"), "sample_unreadable"),
    "a_draw_of_a_list": ("sample_drawn", lambda line: line.event.update(strata=[1]), "sample_unreadable"),
    "another_seed": ("sample_drawn", lambda line: line.event.update(seed="0" * 64), "seed_differs"),
    "seeded_by_nobody": ("sample_drawn", lambda line: line.event.update(seeded_by="producer"), "seed_differs"),
    "another_conclusion": (
        "sample_observed", lambda line: line.event.update(conclusion="not supported"), "results_differ",
    ),
    "results_by_somebody_else": ("sample_observed", lambda line: line.event.update(actor="reviewer"), "results_void"),
    "results_of_another_draw": ("sample_observed", lambda line: line.event.update(manifest="0" * 64), "results_void"),
    "results_of_another_file": ("sample_observed", lambda line: line.event.update(results="0" * 64), "results_void"),
    "words_that_nobody_signed": (
        "sample_observed", lambda line: line.texts[0].update(value=line.texts[0]["value"].replace("T14", "T13")),
        "results_void",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGED)
def test_what_was_forged_in_the_register_is_found(forged: Observing, case: str) -> None:
    event, change, kind = FORGED[case]
    forge(forged, event, change)
    assert kinds(forged)[0] == kind


def test_files_of_a_sample_that_changed_are_found(bench: Observing) -> None:
    folder = bench.root / "datasets/clean_population_sample/month=2026-10"
    results = folder / "results-1.csv"
    kept = results.read_bytes()
    results.write_bytes(kept.replace(b"operated", b"deviation", 1))
    assert kinds(bench) == ["results_void"]
    results.unlink()
    assert kinds(bench) == ["results_void"]
    results.write_bytes(kept)
    (folder / "sample.parquet").write_bytes(b"")
    assert kinds(bench) == ["sample_unreadable", "results_void"]


def test_another_sample_under_a_right_seed_is_found(bench: Observing, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever draws can write what they like, and register it; who draws again sees it."""

    def chosen(ids: Iterable[str], n: int, seed: Seed) -> Draw:
        return draw(sorted(ids)[-n:], n, seed)

    monkeypatch.setattr("countersign.sampling.drawing.draw", chosen)
    bench.draw(expand={"standard": 50}, finding=a_finding(bench))
    monkeypatch.undo()
    assert kinds(bench) == ["sample_differs"]


def test_results_are_the_file_that_was_signed(bench: Observing) -> None:
    """The register names another one, with the same conclusion: one control's cell for another's."""
    path = bench.root / "datasets/clean_population_sample/month=2026-10/results-1.csv"
    signed = path.read_bytes()
    path.write_bytes(signed.replace(b"\r\n", b"\n"))
    assert path.read_bytes() != signed
    name, digest = str(path.relative_to(bench.root)), digest_of(path.read_bytes())
    forge(bench, "sample_observed", lambda line: line.event.update(files={name: digest}))
    assert kinds(bench) == ["results_void"]


@pytest.fixture
def seeded(policy: Policy, tmp_path: Path) -> Observing:
    """A month that is ready to be drawn."""
    bench = an_observing(policy, tmp_path)
    bench.published(ROWS)
    bench.nonces.record(MONTH, "observer", NONCE)
    return bench


def forged_draw(
    bench: Observing,
    patch: pytest.MonkeyPatch,
    key: Path | None = None,
    ids: Callable[[list[str]], list[str]] = list,
    sizes: Callable[[int, int], tuple[int, int]] = lambda population, n: (population, n),
    **how: Any,
) -> None:
    """A draw by whoever writes what they like, with the genuine key or another: of these ids, of these sizes."""

    def sizes_as_liked(*given: Any) -> dict[str, dict[str, int]]:
        true = {name: (size["population"], size["n"]) for name, size in sizes_of(*given).items()}
        liked = {name: sizes(*size) if size[0] else size for name, size in true.items()}
        return {name: {"population": population, "n": n} for name, (population, n) in liked.items()}

    def drawn(change_ids: Iterable[str], n: int, with_seed: Seed) -> Draw:
        there = ids(sorted(change_ids))
        return draw(there, min(n, len(there)), with_seed)

    def signed(_: object, manifest: bytes, seals: Path) -> bytes:
        return sign(manifest, key=key or seals, namespace=NAMESPACE)

    with patch.context() as patched:
        patched.setattr(drawing, "sizes_of", sizes_as_liked)
        patched.setattr(drawing, "draw", drawn)
        patched.setattr(drawing, "_signed", signed)
        bench.draw(**how)


def test_a_draw_that_the_pipeline_did_not_sign_is_found(seeded: Observing, monkeypatch: pytest.MonkeyPatch) -> None:
    forged_draw(seeded, monkeypatch, make_key(seeded.folder / "rogue"))
    assert kinds(seeded) == ["manifest_signature"]


CUT: dict[str, dict[str, Any]] = {
    "fewer than it says": {"ids": lambda ids: ids[:1]},
    "fewer than planned": {"sizes": lambda population, n: (population, 1)},
    "more than planned": {"sizes": lambda population, n: (population, n + 1)},
    "of fewer than there are": {"sizes": lambda population, n: (population - 1, n)},
    "of more than there are": {"sizes": lambda population, n: (population + 1, n), "ids": lambda ids: ids[:51]},
}


@pytest.mark.parametrize("cut", CUT)
def test_a_draw_of_other_sizes_is_found_whoever_signed(
    seeded: Observing, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    forged_draw(seeded, monkeypatch, **CUT[cut])
    assert kinds(seeded) == ["sample_differs"]


def test_a_second_draw_has_a_finding_that_is_on_record(bench: Observing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "refuse_unfounded", lambda *_: None)
    bench.draw(expand={"standard": 50}, finding="nobody-opened-it")
    assert kinds(bench) == ["sample_differs"]


def test_a_second_draw_is_not_smaller_than_the_first(seeded: Observing, monkeypatch: pytest.MonkeyPatch) -> None:
    seeded.draw()
    finding = a_finding(seeded)
    seeded.draw(expand={"standard": 50}, finding=finding)
    assert kinds(seeded) == []
    forged_draw(seeded, monkeypatch, sizes=lambda population, n: (population, 38), finding=finding)
    assert kinds(seeded) == ["sample_differs"]


@pytest.mark.parametrize(
    "change",
    [
        {"finding": "f" * 16},
        {"complete": False},
        {"digest": "0" * 64},
        {"strata": {"emergency": {"population": 0, "n": 0}, "standard": {"population": 60, "n": 1}}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_draw_is_what_its_manifest_says(forged: Observing, change: dict[str, Any]) -> None:
    forge(forged, "sample_drawn", lambda line: line.event.update(change))
    assert "sample_differs" in kinds(forged)


def test_samples_stand_though_the_key_that_seals_was_replaced(seeded: Observing) -> None:
    """Each by the key of its time; late changes that a draw did not have yet are not missing from it."""
    seeded.draw()
    later = make_key(seeded.folder / "later")
    seeded.published([a_row("CHG-900", stratum="late")], late=1, complete=False)
    finding = a_finding(seeded)
    seeded.draw(finding=finding)
    Sealer(seeded.evidence, later, clock=seeded.clock, new_key=True).seal("c" * 64)
    seeded.opened([a_row("CHG-901", stratum="late")])
    seeded.freeze([a_row("CHG-901", stratum="late")], late=2, complete=False)
    Sealer(seeded.evidence, later, clock=seeded.clock).seal("c" * 64)
    draw_month(seeded.evidence, MONTH, key=later, clock=seeded.clock, finding=finding)
    assert kinds(seeded) == []
    signature_path(seeded.evidence, 2).unlink()
    assert kinds(seeded) == []


def test_results_are_taken_once(bench: Observing) -> None:
    """Else what an observer corrected would count again; the same findings, signed anew, do lawfully."""
    sample = bench.draw()
    content = as_csv(bench.results(sample))
    statement = bench.reviews.request(MONTH, "observer", "r.csv", content)
    signed = (content, statement, bench.elsewhere(statement, RESULTS))
    bench.reviews.submit("r.csv", *signed)
    first = read_lines(bench.register)[-1]
    for found in ({"CHG000": "deviation", "CHG001": "deviation"}, {}):
        bench.clock.move(hours=1)
        bench.reviews.record(MONTH, "observer", "r.csv", as_csv(bench.results(sample, **found)))
    with pytest.raises(SampleRefused, match="sign them anew"):
        bench.reviews.submit("r.csv", *signed)
    assert kinds(bench) == []
    lines = read_lines(bench.register)
    first.event["ts"] = lines[-1].event["ts"]
    bench.register.write_bytes(chain([*lines, first], {}))
    assert kinds(bench) == ["results_void"]
