"""The report of an evaluation with labels."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from lookalike.evaluation.evaluate import COMPARED, Evaluation, headline
from lookalike.evaluation.systems import System
from lookalike.viz.charts import short
from lookalike.viz.plots import thumbnails
from lookalike.viz.reports import figures
from lookalike.viz.reports.page import Html, figure, hit, notes, page, paragraph, table

SHOWN = 6
"""Questions that are shown of the best and of the worst."""

HITS = 5
"""Hits that are shown of each."""

A_LABEL = 2
"""Of these, questions of one label at most: ten of a kind say no more than two."""


def report(found: Evaluation, title: str) -> Html:
    """The page."""
    best = found.systems[0]
    mean = best.intervals[COMPARED]
    lead = paragraph(
        f"{len(found.truth):,} questions to {len(found.pictures):,} pictures; {found.truth.source}. "
        f"Best: {short(best.name)}, mAP {mean.mean:.3f} ({mean.low:.3f} to {mean.high:.3f})."
    )
    sections = [("Metrics", _metrics(found)), ("Is the best one better?", _comparisons(found))]
    for number, (head, height, draw) in enumerate(figures.parts(found)):
        drawn = figures.figure_of(figures.WIDE, height)
        draw(drawn)
        sections.append((head, figure(figures.as_svg(drawn), number)))
    if found.pictures.files is not None and best.kind != "run":
        sections += _questions(found, best)
    sections.append(("What took no part", notes(found.notes)))
    sections.append(("How it was measured", _method(found)))
    return page(title, lead, sections)


def _metrics(found: Evaluation) -> Html:
    names = headline(found)
    heads = ["system", *(_title(name) for name in names), "p50 ms", "p95", "p99", "of it extractor"]
    most = {name: max(one.intervals[name].mean for one in found.systems) for name in names}
    rows = []
    for one in found.systems:
        row = [escape(short(one.name))]
        for name in names:
            interval = one.intervals[name]
            mark = "*" if interval.mean == most[name] and len(found.systems) > 1 else ""
            half = (interval.high - interval.low) / 2
            row.append(f"{mark}{interval.mean:.3f} <small class='below'>±{half:.3f}</small>")
        took = one.latency
        if took is None:
            row += ["–"] * 4
        else:
            seconds = (took.median, took.p95, took.p99, took.extract)
            row += [f"{1e3 * value:.1f}" for value in seconds]
        rows.append(row)
    after = [
        paragraph(
            f"{one.name}: the index finds {one.kept:.1%} of the exact search's first ten.",
            faint=True,
        )
        for one in found.systems
        if one.kept is not None
    ]
    more = paragraph(
        "± is half of the 95 % interval. All metrics at all cut-offs are in the JSON beside this page.",
        faint=True,
    )
    return table(heads, rows) + more + "".join(after)


def _title(name: str) -> str:
    return {"AP": "mAP", "RR": "MRR"}.get(name, name)


def _comparisons(found: Evaluation) -> Html:
    if not found.comparisons:
        return paragraph("There is only one system.")
    rows = [
        [
            f"{escape(short(one.first))} − {escape(short(one.second))}",
            f"{one.difference.mean:+.3f}",
            f"{one.difference.low:+.3f} to {one.difference.high:+.3f}",
            "&lt; 0.001" if one.p < 0.001 else f"{one.p:.3f}",
        ]
        for one in found.comparisons
    ]
    return table(["systems", "difference of mAP", "95 % interval", "p (Holm)"], rows)


def _method(found: Evaluation) -> Html:
    depths = [f"{s.name}: {s.depth:,}" for s in found.systems if s.depth is not None]
    deep = f" Rankings end somewhere: {'; '.join(depths)} hits." if depths else ""
    revisions = ", ".join(f"{s.extractor} {s.revision}" for s in found.systems if s.kind == "exact")
    texts = [
        "A question stands in no ranking of its own. AP is the step sum over the whole ranking, what was "
        f"not found counts 0; nDCG takes its ideal from the ground truth.{deep}",
        "Intervals: percentile bootstrap over the questions. p: paired randomisation test, two-sided, of "
        "the best system against each other one, adjusted by Holm. Both are seeded.",
        "Times are of single questions, from the bytes of the picture to its hits, on this machine.",
    ]
    if revisions:
        texts.append(f"Revisions: {revisions}.")
    return "".join(paragraph(text, faint=True) for text in texts)


def _questions(found: Evaluation, best: System) -> list[tuple[str, Html]]:
    values = best.judged.values[COMPARED]
    order = np.argsort(values, kind="stable")
    asks = np.flatnonzero(found.truth.rows >= 0)
    order = order[np.isin(order, asks)]
    worst = _some(found, order)
    good = [at for at in _some(found, order[::-1]) if at not in worst]
    sections = []
    for head, chosen in (("Best questions", good), ("Worst questions", worst)):
        if chosen:
            name = f"{head} of {short(best.name)}"
            sections.append((name, _strip(found, best, chosen)))
    if not sections:
        return []
    if found.truth.judged is not None:
        said = "Green: relevant. Red: judged, and not. Grey: nobody judged it."
    else:
        said = "Green: relevant. Red: not. Below each hit its rank and similarity."
    head, strips = sections[0]
    return [(head, paragraph(said, faint=True) + strips), *sections[1:]]


def _some(found: Evaluation, order: np.ndarray) -> list[int]:
    """The first few, not all of one label."""
    chosen: list[int] = []
    often: dict[int, int] = {}
    for at in order.tolist():
        group = int(found.truth.group[at])
        if often.get(group, 0) < A_LABEL:
            often[group] = often.get(group, 0) + 1
            chosen.append(at)
        if len(chosen) == SHOWN:
            break
    return chosen


def _strip(found: Evaluation, system: System, questions: Sequence[int]) -> Html:
    pictures, truth = found.pictures, found.truth
    assert pictures.files is not None
    rows = [
        [int(truth.rows[at]), *(r for r in system.judged.best[at, :HITS].tolist() if r >= 0)]
        for at in questions
    ]
    shown = iter(thumbnails([pictures.files[row] for line in rows for row in line]))
    lines = []
    for at, line in zip(questions, rows, strict=True):
        right = set(truth.relevant(at).rows.tolist())
        judged = None if truth.judged is None else set(truth.judged[at].tolist())
        value = system.judged.values[COMPARED][at]
        tiles = [hit(next(shown), f"AP {value:.3f}", pictures.names[line[0]], "asks")]
        for rank, row in enumerate(line[1:], 1):
            heading = f"{rank}   {system.judged.scores[at, rank - 1]:.3f}"
            known = judged is None or row in judged
            kind = "right" if row in right else "wrong" if known else "unjudged"
            tiles.append(hit(next(shown), heading, pictures.names[row], kind))
        lines.append(f'<div class="question">{"".join(tiles)}</div>')
    return "".join(lines)
