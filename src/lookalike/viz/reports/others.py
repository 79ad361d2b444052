"""The reports of the self test and of thresholds over pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from lookalike.evaluation.copy_retrieval import SelfTest
from lookalike.evaluation.ground_truth import Note
from lookalike.evaluation.thresholds import Thresholds
from lookalike.viz.charts import short
from lookalike.viz.reports import figures
from lookalike.viz.reports.page import Html, figure, notes, page, paragraph, table


def self_test(found: SelfTest, title: str) -> Html:
    """The page of the self test."""
    best = found.extractors[0]
    lead = paragraph(
        f"{found.edited:,} pictures, edited in {len(found.edits)} ways, asked for their originals among "
        f"{found.searched:,}. Best: {best.extractor}, which finds {best.overall(1):.1%} first."
    )
    heads = ["edit", *(short(one.extractor) for one in found.extractors)]
    rows = [
        [
            escape(figures.EDITS.get(edit, edit)),
            *(
                f"{one.recall(edit, 1):.1%} <small>{one.recall(edit, 10):.1%}</small>"
                for one in found.extractors
            ),
        ]
        for edit in found.edits
    ]
    rows.append(
        [
            "all",
            *(
                f"{one.overall(1):.1%} <small>{one.overall(10):.1%}</small>"
                for one in found.extractors
            ),
        ]
    )
    if any(one.kept is not None for one in found.extractors):
        kept = ["–" if one.kept is None else f"{one.kept:.1%}" for one in found.extractors]
        rows.append(["the index keeps of the exact first ten", *kept])
    said = paragraph("Found first; in grey, among the first ten.", faint=True)
    sections = [
        ("Originals found", table(heads, rows) + said),
        ("At a glance", figure(figures.as_svg(figures.self_test(found)), 0)),
        ("What took no part", notes(found.notes)),
    ]
    return page(title, lead, sections)


def pairs(found: Mapping[str, Thresholds], left_out: Sequence[Note], title: str) -> Html:
    """The page of thresholds over known pairs."""
    some = next(iter(found.values()))
    lead = paragraph(f"{some.alike:,} pairs that are alike, {some.other:,} that are not.")
    heads = ["extractor", "AP", "best threshold", "precision", "recall", "F1", "F1 held out"]
    rows = [
        [
            escape(short(name)),
            f"{one.average:.3f}",
            f"{one.threshold:.4f}",
            f"{one.precision[one.best]:.3f}",
            f"{one.recall[one.best]:.3f}",
            f"{one.f1:.3f}",
            f"{one.held_out:.3f}",
        ]
        for name, one in sorted(found.items(), key=lambda item: -item[1].average)
    ]
    said = paragraph(
        "Held out: the threshold is chosen on one half of the pairs and tried on the other.",
        faint=True,
    )
    sections = [
        ("Thresholds", table(heads, rows) + said),
        ("Curves", figure(figures.as_svg(figures.pairs(found)), 0)),
        ("What took no part", notes(left_out)),
    ]
    return page(title, lead, sections)
