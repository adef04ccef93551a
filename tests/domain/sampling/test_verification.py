"""What `verify` decides again of samples: who rewrites the register cannot sign, nor make another draw fit."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from countersign.policy import Policy
from countersign.sampling.draw import Draw, Seed, draw
from countersign.sampling.verification import check_samples
from tests.domain.runs.conftest import Line, chain, read_lines
from tests.domain.sampling.observing import MONTH, NONCE, Observing, a_finding, an_observing, as_csv
from tests.domain.sampling.populations import a_row

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
