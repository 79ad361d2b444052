"""HTML reports of an evaluation with labels, of the self-test, and of thresholds over pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from lookalike.evaluation.copy_retrieval import SelfTest
from lookalike.evaluation.evaluate import PRIMARY_METRIC, Evaluation, headline_metrics
from lookalike.evaluation.ground_truth import Note
from lookalike.evaluation.separation import Thresholds
from lookalike.evaluation.systems import System
from lookalike.viz import evaluation_figures as figures
from lookalike.viz.html_page import Html, figure, hit, notes, page, paragraph, table
from lookalike.viz.result_grid import thumbnails
from lookalike.viz.style import short_name

# Queries shown of the best and of the worst, and the hits shown of each.
EXAMPLES = 6
HITS = 5

# Largest number of examples with the same label.
MAX_PER_LABEL = 2


def evaluation_page(evaluation: Evaluation, title: str) -> Html:
    """Return the report of an evaluation with labels."""
    best = evaluation.systems[0]
    mean = best.intervals[PRIMARY_METRIC]
    lead = paragraph(
        f"{len(evaluation.truth):,} queries on {len(evaluation.collection):,} images; "
        f"{evaluation.truth.source}. Best: {short_name(best.name)}, mAP {mean.mean:.3f} "
        f"({mean.low:.3f} to {mean.high:.3f})."
    )
    sections = [
        ("Metrics", _metrics(evaluation)),
        ("Is the best one better?", _comparisons(evaluation)),
    ]
    for number, (head, height, draw) in enumerate(figures.evaluation_panels(evaluation)):
        panel = figures.new_figure(figures.FIGURE_WIDTH, height)
        draw(panel)
        sections.append((head, figure(figures.as_svg(panel), number)))
    if evaluation.collection.files is not None and best.kind != "run":
        sections += _examples(evaluation, best)
    sections.append(("What was left out", notes(evaluation.notes)))
    sections.append(("Method", _method(evaluation)))
    return page(title, lead, sections)


def self_test_page(result: SelfTest, title: str) -> Html:
    """Return the report of a self-test."""
    best = result.extractors[0]
    lead = paragraph(
        f"{result.edited:,} images were edited in {len(result.edits)} ways; the results were queries for "
        f"their originals among {result.searched:,} images. Best: {best.extractor}, which finds "
        f"{best.overall(1):.1%} first."
    )
    heads = ["edit", *(short_name(one.extractor) for one in result.extractors)]
    rows = [
        [
            escape(figures.EDIT_NAMES.get(edit, edit)),
            *(
                f"{one.recall(edit, 1):.1%} <small>{one.recall(edit, 10):.1%}</small>"
                for one in result.extractors
            ),
        ]
        for edit in result.edits
    ]
    overall = (
        f"{one.overall(1):.1%} <small>{one.overall(10):.1%}</small>" for one in result.extractors
    )
    rows.append(["all", *overall])
    recalls = [one.ann_recall for one in result.extractors]
    if any(recall is not None for recall in recalls):
        cells = ["–" if recall is None else f"{recall:.1%}" for recall in recalls]
        rows.append(["recall@10 of the ANN index", *cells])
    legend = paragraph("Found first; in grey, among the first ten.", faint=True)
    sections = [
        ("Originals found", table(heads, rows) + legend),
        ("Overview", figure(figures.as_svg(figures.self_test_figure(result)), 0)),
        ("What was left out", notes(result.notes)),
    ]
    return page(title, lead, sections)


def pairs_page(thresholds: Mapping[str, Thresholds], left_out: Sequence[Note], title: str) -> Html:
    """Return the report of thresholds over known pairs."""
    any_ = next(iter(thresholds.values()))
    lead = paragraph(f"{any_.similar:,} pairs are similar, {any_.dissimilar:,} are not.")
    heads = ["extractor", "AP", "best threshold", "precision", "recall", "F1", "F1 held out"]
    rows = [
        [
            escape(short_name(name)),
            f"{one.average_precision:.3f}",
            f"{one.threshold:.4f}",
            f"{one.precision[one.best]:.3f}",
            f"{one.recall[one.best]:.3f}",
            f"{one.f1:.3f}",
            f"{one.held_out_f1:.3f}",
        ]
        for name, one in sorted(thresholds.items(), key=lambda item: -item[1].average_precision)
    ]
    legend = paragraph(
        "Held out: the threshold is chosen on one half of the pairs and tested on the other.",
        faint=True,
    )
    sections = [
        ("Thresholds", table(heads, rows) + legend),
        ("Curves", figure(figures.as_svg(figures.pairs_figure(thresholds)), 0)),
        ("What was left out", notes(left_out)),
    ]
    return page(title, lead, sections)


def _metrics(evaluation: Evaluation) -> Html:
    names = headline_metrics(evaluation)
    heads = ["system", *(_title(name) for name in names), "p50 ms", "p95", "p99", "of it extractor"]
    most = {name: max(one.intervals[name].mean for one in evaluation.systems) for name in names}
    rows = []
    for one in evaluation.systems:
        row = [escape(short_name(one.name))]
        for name in names:
            interval = one.intervals[name]
            mark = "*" if interval.mean == most[name] and len(evaluation.systems) > 1 else ""
            half = (interval.high - interval.low) / 2
            row.append(f"{mark}{interval.mean:.3f} <small class='below'>±{half:.3f}</small>")
        latency = one.latency
        if latency is None:
            row += ["–"] * 4
        else:
            seconds = (latency.median, latency.p95, latency.p99, latency.extract)
            row += [f"{1e3 * value:.1f}" for value in seconds]
        rows.append(row)
    recalls = [
        paragraph(
            f"{one.name}: the index finds {one.ann_recall:.1%} of the exact search's first ten.",
            faint=True,
        )
        for one in evaluation.systems
        if one.ann_recall is not None
    ]
    legend = paragraph(
        "± is half of the 95 % interval. The JSON file beside this page has all metrics at all cut-offs.",
        faint=True,
    )
    return table(heads, rows) + legend + "".join(recalls)


def _title(name: str) -> str:
    return {"AP": "mAP", "RR": "MRR"}.get(name, name)


def _comparisons(evaluation: Evaluation) -> Html:
    if not evaluation.comparisons:
        return paragraph("There is only one system.")
    rows = [
        [
            f"{escape(short_name(one.first))} − {escape(short_name(one.second))}",
            f"{one.difference.mean:+.3f}",
            f"{one.difference.low:+.3f} to {one.difference.high:+.3f}",
            "&lt; 0.001" if one.p < 0.001 else f"{one.p:.3f}",
        ]
        for one in evaluation.comparisons
    ]
    return table(["systems", "difference of mAP", "95 % interval", "p (Holm)"], rows)


def _method(evaluation: Evaluation) -> Html:
    systems = evaluation.systems
    depths = [f"{s.name}: {s.depth:,}" for s in systems if s.depth is not None]
    limited = f" Rankings of limited depth: {'; '.join(depths)} hits." if depths else ""
    revisions = ", ".join(f"{s.extractor} {s.revision}" for s in systems if s.kind == "exact")
    texts = [
        "A query is excluded from its own ranking. AP is the step sum over the whole ranking, and what was "
        f"not found counts as 0; nDCG takes its ideal from the ground truth.{limited}",
        "Intervals: percentile bootstrap over the queries. p: two-sided paired randomisation test of the "
        "best system against each other one, adjusted by Holm's method. Both are seeded.",
        "Times are of single queries, from the bytes of the image to its hits, on this machine.",
    ]
    if revisions:
        texts.append(f"Revisions: {revisions}.")
    return "".join(paragraph(text, faint=True) for text in texts)


def _examples(evaluation: Evaluation, best: System) -> list[tuple[str, Html]]:
    """Return sections with the best and the worst queries of a system."""
    order = np.argsort(best.metrics.values[PRIMARY_METRIC], kind="stable")
    inside = np.flatnonzero(evaluation.truth.rows >= 0)
    order = order[np.isin(order, inside)]
    worst = _varied(evaluation, order)
    good = [at for at in _varied(evaluation, order[::-1]) if at not in worst]
    sections = []
    for head, chosen in (("Best queries", good), ("Worst queries", worst)):
        if chosen:
            name = f"{head} of {short_name(best.name)}"
            sections.append((name, _example_rows(evaluation, best, chosen)))
    if not sections:
        return []
    if evaluation.truth.judged is not None:
        legend = "Green: relevant. Red: judged not relevant. Grey: not judged."
    else:
        legend = "Green: relevant. Red: not relevant. Each hit with its rank and similarity."
    head, first = sections[0]
    return [(head, paragraph(legend, faint=True) + first), *sections[1:]]


def _varied(evaluation: Evaluation, order: np.ndarray) -> list[int]:
    """Return the first few queries, at most `MAX_PER_LABEL` of each label."""
    chosen: list[int] = []
    counts: dict[int, int] = {}
    for at in order.tolist():
        group = int(evaluation.truth.group[at])
        if counts.get(group, 0) < MAX_PER_LABEL:
            counts[group] = counts.get(group, 0) + 1
            chosen.append(at)
        if len(chosen) == EXAMPLES:
            break
    return chosen


def _example_rows(evaluation: Evaluation, system: System, queries: Sequence[int]) -> Html:
    collection, truth = evaluation.collection, evaluation.truth
    assert collection.files is not None
    rows = [
        [int(truth.rows[at]), *(r for r in system.metrics.best[at, :HITS].tolist() if r >= 0)]
        for at in queries
    ]
    pixels = iter(thumbnails([collection.files[row] for line in rows for row in line]))
    lines = []
    for at, line in zip(queries, rows, strict=True):
        relevant = set(truth.relevant(at).rows.tolist())
        judged = None if truth.judged is None else set(truth.judged[at].tolist())
        value = system.metrics.values[PRIMARY_METRIC][at]
        tiles = [hit(next(pixels), f"AP {value:.3f}", collection.names[line[0]], "query")]
        for rank, row in enumerate(line[1:], 1):
            heading = f"{rank}   {system.metrics.scores[at, rank - 1]:.3f}"
            known = judged is None or row in judged
            kind = "relevant" if row in relevant else "wrong" if known else "unjudged"
            tiles.append(hit(next(pixels), heading, collection.names[row], kind))
        lines.append(f'<div class="example">{"".join(tiles)}</div>')
    return "".join(lines)
