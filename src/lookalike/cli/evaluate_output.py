"""Output of `lookalike evaluate`: tables, JSON, reports, figures and TREC files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli import format, output
from lookalike.cli.progress import ProgressBar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lookalike.evaluation.collection import EvalLibrary
    from lookalike.evaluation.copy_retrieval import SelfTest
    from lookalike.evaluation.evaluate import EvalPlan, Evaluation
    from lookalike.evaluation.ground_truth import Note
    from lookalike.evaluation.separation import Thresholds
    from lookalike.evaluation.systems import System


@dataclass(frozen=True, slots=True)
class Outputs:
    """The format on stdout, and the files to write."""

    title: str
    format: str
    report: Path | None = None
    plot: Path | None = None
    runs: Path | None = None
    qrels: Path | None = None


def run_evaluation(opened: EvalLibrary, plan: EvalPlan, folder: Path, outputs: Outputs) -> None:
    """Evaluate with labels."""
    from lookalike.evaluation.evaluate import evaluate

    with ProgressBar("Evaluating") as bar:
        counted = replace(plan, options=replace(plan.options, progress=bar.count))
        found = evaluate(opened, counted, folder=folder)
    _write_evaluation(found, outputs)


def run_rankings(labels: str, plan: EvalPlan, outputs: Outputs) -> None:
    """Evaluate rankings with judgements, without images."""
    from lookalike.evaluation.evaluate import evaluate_runs
    from lookalike.evaluation.trec import read_qrels

    file = Path(labels)
    found = evaluate_runs(read_qrels(file), file, plan.runs or {}, plan.options)
    _write_evaluation(found, outputs)


def _write_evaluation(found: Evaluation, outputs: Outputs) -> None:
    from lookalike.viz.evaluation_figures import evaluation_figure
    from lookalike.viz.evaluation_report import evaluation_page
    from lookalike.wire.evaluation import evaluation_document

    _write(
        outputs,
        evaluation_document(found),
        found.notes,
        table=lambda: _table(found),
        page=lambda: evaluation_page(found, outputs.title),
        figure=lambda: evaluation_figure(found),
    )
    if outputs.qrels is not None:
        from lookalike.evaluation.labels import to_qrels
        from lookalike.evaluation.trec import write_qrels

        write_qrels(outputs.qrels, to_qrels(found.truth, found.collection))
        output.note(f"Written: {outputs.qrels}")
    if outputs.runs is not None:
        from lookalike.evaluation.evaluate import save_runs

        written = save_runs(found, outputs.runs)
        output.note(f"Written: {', '.join(map(str, written))}")


def _table(found: Evaluation) -> None:
    from lookalike.evaluation.evaluate import headline_metrics
    from lookalike.viz.style import short_name

    names = headline_metrics(found)
    titles = {"AP": "mAP", "RR": "MRR"}
    timed = any(one.latency for one in found.systems)
    approximate = any(one.ann_recall is not None for one in found.systems)
    heads = ["system", "mAP", "95 %", *(titles.get(n, n) for n in names[1:])]
    rows = []
    for one in found.systems:
        mean = one.intervals["AP"]
        row = [short_name(one.name), _three(mean.mean), f"{_three(mean.low)}–{_three(mean.high)}"]
        row += [_three(one.intervals[name].mean) for name in names[1:]]
        if approximate:
            row.append("–" if one.ann_recall is None else _three(one.ann_recall))
        rows.append(row + (_times(one) if timed else []))
    heads += ["ANN recall@10"] if approximate else []
    heads += ["ms p50", "p95"] if timed else []
    output.table(heads, rows, right="l" + "r" * 20, stretch=0)
    output.put()
    depths = {one.depth for one in found.systems} - {None}
    output.put(
        f"{format.counted(len(found.truth), 'query', 'queries')} on "
        f"{format.counted(len(found.collection), 'image')}; {found.truth.source}."
        + (f" Rankings of at most {max(d for d in depths if d):,} hits." if depths else "")
    )
    for each in found.comparisons:
        by = each.difference
        output.put(
            f"{short_name(each.first)} − {short_name(each.second)}: {by.mean:+.3f} mAP "
            f"({by.low:+.3f} to {by.high:+.3f}), p {_p(each.p)}"
        )


def _times(one: System) -> list[str]:
    if one.latency is None:
        return ["–", "–"]
    return [f"{1e3 * seconds:.1f}" for seconds in (one.latency.median, one.latency.p95)]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"= {value:.3f}"


def _three(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if value < 1 else "1"


def run_pairs(opened: EvalLibrary, plan: EvalPlan, file: Path, outputs: Outputs) -> None:
    """Evaluate with pairs that are known to be similar or not."""
    from lookalike.evaluation.evaluate import evaluate_pairs
    from lookalike.evaluation.separation import read_pairs
    from lookalike.viz.evaluation_figures import pairs_figure
    from lookalike.viz.evaluation_report import pairs_page
    from lookalike.wire.evaluation import pairs_document

    plan = replace(plan, pairs=tuple(read_pairs(file)))
    found, notes = evaluate_pairs(opened, plan, folders=[file.parent.resolve(), Path.cwd()])
    _write(
        outputs,
        pairs_document(found, notes),
        notes,
        table=lambda: _thresholds(found),
        page=lambda: pairs_page(found, notes, outputs.title),
        figure=lambda: pairs_figure(found),
    )


def _thresholds(found: Mapping[str, Thresholds]) -> None:
    heads = ["extractor", "AP", "best threshold", "precision", "recall", "F1", "F1 held out"]
    rows = [
        [
            name,
            _three(one.average_precision),
            format.similarity(one.threshold),
            _three(float(one.precision[one.best])),
            _three(float(one.recall[one.best])),
            _three(one.f1),
            _three(one.held_out_f1),
        ]
        for name, one in sorted(found.items(), key=lambda item: -item[1].average_precision)
    ]
    output.table(heads, rows, right="lrrrrrr", stretch=0)
    output.put()
    any_ = next(iter(found.values()))
    output.put(
        f"{format.counted(any_.similar, 'similar pair')}, {any_.dissimilar:,} dissimilar. Held out: the "
        "threshold is chosen on one half of the pairs and tested on the other."
    )


def run_self_test(opened: EvalLibrary, plan: EvalPlan, outputs: Outputs) -> None:
    """Evaluate without labels."""
    from lookalike.evaluation.copy_retrieval import SAMPLE_SIZE, self_test
    from lookalike.viz.evaluation_figures import self_test_figure
    from lookalike.viz.evaluation_report import self_test_page
    from lookalike.wire.evaluation import self_test_document

    with ProgressBar("Editing") as bar:
        found = self_test(
            opened,
            extractors=plan.extractors,
            count=plan.queries or SAMPLE_SIZE,
            progress=bar.count,
        )
    _write(
        outputs,
        self_test_document(found),
        found.notes,
        table=lambda: _recalls(found),
        page=lambda: self_test_page(found, outputs.title),
        figure=lambda: self_test_figure(found),
    )


def _recalls(found: SelfTest) -> None:
    """Print edits as rows and extractors as columns: per cent found first / among the first ten."""
    from lookalike.viz.evaluation_figures import EDIT_NAMES

    extractors = found.extractors
    rows = [
        [
            EDIT_NAMES.get(edit, edit),
            *(f"{_percent(one.recall(edit, 1), one.recall(edit, 10))}" for one in extractors),
        ]
        for edit in found.edits
    ]
    rows.append(["all", *(_percent(one.overall(1), one.overall(10)) for one in extractors)])
    recalls = [one.ann_recall for one in extractors]
    if any(recall is not None for recall in recalls):
        cells = ["–" if recall is None else f"{100 * recall:.1f}" for recall in recalls]
        rows.append(["recall@10 of the ANN index", *cells])
    heads = ["edit", *(one.extractor for one in extractors)]
    output.table(heads, rows, right="l" + "r" * 20, stretch=0)
    output.put()
    output.put(
        f"Per cent of {format.counted(found.edited, 'edited image')} whose original comes first / "
        f"is among the first 10 of {format.counted(found.searched, 'image')}."
    )


def _percent(first: float, ten: float) -> str:
    return f"{100 * first:.1f} / {100 * ten:.1f}"


def _write(
    outputs: Outputs,
    document: dict[str, Any],
    notes: Iterable[Note],
    *,
    table: Callable[[], None],
    page: Callable[[], str],
    figure: Callable[[], Figure],
) -> None:
    """Print the result, and write the report and the figure that are wanted."""
    if outputs.format == "json":
        output.put(output.as_json(document))
    else:
        table()
    for one in notes:
        output.note(f"{one}.")
    if outputs.report is not None:
        from lookalike.viz.html_page import write_page

        data = outputs.report.with_suffix(".json")
        write_page(outputs.report, page())
        write_page(data, output.as_json(document) + "\n")
        output.note(f"Written: {outputs.report} and {data}")
    if outputs.plot is not None:
        from lookalike.viz.style import save_figure

        save_figure(figure(), outputs.plot)
        output.note(f"Drawn: {outputs.plot}")
