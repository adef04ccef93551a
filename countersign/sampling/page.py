"""`index.html` of a bundle: what it holds, how to check it, and the three pictures.

What belongs here: HTML without script, links outside or anything to load, so that it opens where there is no network.
What does not: counting (`figures`), shapes (`pictures`), files (`bundle`).
"""

from collections.abc import Iterable, Sequence
from html import escape

from countersign.sampling.draw import SeededBy
from countersign.sampling.figures import Figures
from countersign.sampling.frozen import Frozen
from countersign.sampling.pictures import against, by_day, limits
from countersign.sampling.sample import Sample

_STYLE = (
    "body{font:15px/1.5 sans-serif;max-width:44em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:.5em 0}td,th{border:1px solid #ccc;padding:.15em .6em;text-align:left}"
    "code,pre{background:#f4f4f4}pre{padding:.6em;overflow-x:auto}svg{max-width:100%;height:auto}"
    ".warning{background:#b3372f;color:#fff;padding:.4em .8em;font-weight:bold;position:sticky;top:0}"
    "@media print{.warning{position:fixed;width:100%}}"  # on every page of paper
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def warnings(*, complete: bool, seeded_by: SeededBy | None) -> list[str]:
    """What has to stand on everything that shows this sample."""
    said = [] if complete else ["INCOMPLETE: something is missing from this population; see completeness.json"]
    if seeded_by == "producer":
        said.append("producer-seeded: nobody but the producer of this population had a part in its draw")
    return said


def page(population: Frozen, sample: Sample, shown: Figures, *, complete: bool) -> str:
    """The whole page; `complete` is what is known of the population now."""
    month = str(population.month)
    said = warnings(complete=complete and sample.complete, seeded_by=sample.seeded_by)
    counts = [(stratum, outcome, count) for (stratum, outcome), count in population.counts.items()]
    strata = [
        (name, one.population, one.n, sample.manifest["plan"][name]["formula"]) for name, one in sample.strata.items()
    ]
    days = [(day, outcome, count) for (day, outcome), count in sorted(shown.by_day.items())]
    parts = [(part, count, shown.sample.get(part, 0)) for part, count in sorted(shown.population.items())]
    months = [(one.month, f"{100 * one.limit:.2f} %", f"{100 * one.tolerable:g} %") for one in shown.limits]
    return _document(
        f"Sample of {month}",
        [
            *(f'<p class="warning">{escape(words)}</p>' for words in said),
            f"<h1>Sample of {month}</h1>",
            _table(("stratum", "clean changes", "drawn", "by"), strata),
            _names(population, sample),
            _how_to_check(month),
            "<h2>Population</h2>",
            _table(("stratum", "outcome", "changes"), counts),
            by_day(shown.by_day, shown.days),
            _details("figures by day", _table(("day", "outcome", "changes"), days)),
            "<h2>Sample against population</h2>",
            against(shown.population, shown.sample),
            _details("figures by system and type", _table(("system and type", "clean", "drawn"), parts)),
            "<h2>Upper limit against tolerable rate</h2>",
            limits(shown.limits) if shown.limits else "<p>No results were recorded yet.</p>",
            _table(("month", "highest upper limit", "tolerable"), months) if months else "",
        ],
    )


def _names(population: Frozen, sample: Sample) -> str:
    digests = f"Population digest <code>{population.digest}</code><br>manifest <code>{sample.digest}</code>"
    again = f"<br>drawn again because of <code>{escape(sample.finding)}</code>" if sample.finding else ""
    return f"<p>{digests}<br>seeded by the {sample.seeded_by}{again}</p>"


def _how_to_check(month: str) -> str:
    return (
        "<h2>How to check it</h2><p>With Python 3.11 or later and OpenSSH, and nothing else:</p>"
        "<pre>python verify_sample.py --allowed-signers FILE --seal SEAL.json</pre>"
        "<p>FILE is your own list of whose key signs what, SEAL a seal that you hold from before. Without them the"
        " bundle is only held against itself. It prints each fault by name, and ends with <code>no faults</code>.</p>"
        "<ul><li>the register, whole up to a seal, and what it says of every change of the month</li>"
        "<li>every row against its digest in <code>population.txt</code>, whose SHA-256 the register holds</li>"
        "<li>the draw, again, from that digest and the nonce</li><li>the log of every change that was drawn</li></ul>"
        "<p>Then examine each change of <code>results.csv</code>; its evidence is in <code>runs/…/audit.jsonl</code>."
        " For each control write <code>operated</code>, <code>deviation</code>, <code>not examinable</code> or"
        " <code>not applicable</code>; <code>deviation</code> is <code>true</code> or <code>false</code>,"
        " <code>tester</code> your roster id, <code>examined_at</code> a time with its zone. Hand it in with</p>"
        f"<pre>countersign observe sample {month} --results results.csv --as OBSERVER</pre>"
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _details(title: str, content: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{content}</details>"


def _document(title: str, parts: Iterable[str]) -> str:
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
    styled = f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    body = "\n".join(parts)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}{styled}</head><body>\n{body}\n</body></html>\n'
