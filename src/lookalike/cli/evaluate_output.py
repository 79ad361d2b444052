"""What `lookalike evaluate` prints and writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.cli import format, output
from lookalike.cli.progress import ProgressLine

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from lookalike.evaluation.copy_retrieval import SelfTest
    from lookalike.evaluation.evaluate import Evaluation, Plan
    from lookalike.evaluation.ground_truth import Note
    from lookalike.evaluation.open_or_build import Opened
    from lookalike.evaluation.systems import System
    from lookalike.evaluation.thresholds import Thresholds


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results go."""

    title: str
    format: str
    report: Path | None = None
    plot: Path | None = None
    runs: Path | None = None
    qrels: Path | None = None


def labelled(opened: Opened, plan: Plan, folder: Path, outputs: Outputs) -> None:
    """With labels."""
    from lookalike.evaluation.evaluate import evaluate

    with ProgressLine("Judging") as line:
        counted = replace(plan, asked=replace(plan.asked, advance=line.count))
        found = evaluate(opened, counted, folder=folder)
    _finish(found, outputs)


def runs_alone(labels: str, plan: Plan, outputs: Outputs) -> None:
    """Rankings and judgements, without pictures."""
    from lookalike.evaluation.evaluate import evaluate_runs
    from lookalike.evaluation.trec import read_qrels

    file = Path(labels)
    _finish(evaluate_runs(read_qrels(file), file, plan.runs or {}, plan.asked), outputs)


def _finish(found: Evaluation, outputs: Outputs) -> None:
    from lookalike.viz.reports.document import document

    record = document(found)
    if outputs.format == "json":
        output.put(output.as_json(record))
    else:
        _table(found)
    _notes(found.notes)
    if outputs.report is not None:
        from lookalike.viz.reports.labelled import report

        _report(outputs.report, report(found, outputs.title), record)
    if outputs.plot is not None:
        from lookalike.viz.reports.figures import whole

        _plot(outputs.plot, whole(found))
    if outputs.qrels is not None:
        from lookalike.evaluation.labels import as_qrels
        from lookalike.evaluation.trec import write_qrels

        write_qrels(outputs.qrels, as_qrels(found.truth, found.pictures))
        output.note(f"Written: {outputs.qrels}")
    if outputs.runs is not None:
        from lookalike.evaluation.write_runs import save_runs

        written = save_runs(found, outputs.runs)
        output.note(f"Written: {', '.join(map(str, written))}")


def _table(found: Evaluation) -> None:
    from lookalike.evaluation.evaluate import headline
    from lookalike.viz.charts import short

    names = headline(found)
    titles = {"AP": "mAP", "RR": "MRR"}
    timed = any(one.latency for one in found.systems)
    kept = any(one.kept is not None for one in found.systems)
    heads = ["system", "mAP", "95 %", *(titles.get(n, n) for n in names[1:])]
    rows = []
    for one in found.systems:
        mean = one.intervals["AP"]
        row = [short(one.name), _three(mean.mean), f"{_three(mean.low)}–{_three(mean.high)}"]
        row += [_three(one.intervals[name].mean) for name in names[1:]]
        if kept:
            row.append("–" if one.kept is None else _three(one.kept))
        rows.append(row + (_times(one) if timed else []))
    heads += ["kept@10"] if kept else []
    heads += ["ms p50", "p95"] if timed else []
    output.table(heads, rows, right="l" + "r" * 20, stretch=0)
    output.put()
    depths = {one.depth for one in found.systems} - {None}
    output.put(
        f"{format.counted(len(found.truth), 'question')} to "
        f"{format.counted(len(found.pictures), 'picture')}; {found.truth.source}."
        + (f" Rankings of at most {max(d for d in depths if d):,} hits." if depths else "")
    )
    for each in found.comparisons:
        by = each.difference
        output.put(
            f"{short(each.first)} − {short(each.second)}: {by.mean:+.3f} mAP "
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


def _notes(notes: Iterable[Note]) -> None:
    for one in notes:
        output.note(f"{one}.")


def known_pairs(opened: Opened, plan: Plan, file: Path, outputs: Outputs) -> None:
    """With pairs that are known to be alike or not."""
    from lookalike.evaluation.evaluate import judge_pairs
    from lookalike.evaluation.thresholds import read_pairs
    from lookalike.viz.reports import document

    counted = replace(plan, pairs=tuple(read_pairs(file)))
    found, notes = judge_pairs(opened, counted, folders=[file.parent.resolve(), Path.cwd()])
    record = {"extractors": document.pairs(found), "notes": document.notes(notes)}
    if outputs.format == "json":
        output.put(output.as_json(record))
    else:
        _thresholds(found)
    _notes(notes)
    if outputs.report is not None:
        from lookalike.viz.reports import others

        _report(outputs.report, others.pairs(found, notes, outputs.title), record)
    if outputs.plot is not None:
        from lookalike.viz.reports import figures

        _plot(outputs.plot, figures.pairs(found))


def _thresholds(found: Mapping[str, Thresholds]) -> None:
    heads = ["extractor", "AP", "best threshold", "precision", "recall", "F1", "F1 held out"]
    rows = [
        [
            name,
            _three(one.average),
            format.similarity(one.threshold),
            _three(float(one.precision[one.best])),
            _three(float(one.recall[one.best])),
            _three(one.f1),
            _three(one.held_out),
        ]
        for name, one in sorted(found.items(), key=lambda item: -item[1].average)
    ]
    output.table(heads, rows, right="lrrrrrr", stretch=0)
    output.put()
    any_ = next(iter(found.values()))
    output.put(
        f"{format.counted(any_.alike, 'pair')} alike, {any_.other:,} not. Held out: the threshold is "
        "chosen on one half of the pairs and tried on the other."
    )


def by_itself(opened: Opened, plan: Plan, outputs: Outputs) -> None:
    """Without labels."""
    from lookalike.evaluation.copy_retrieval import SAMPLE, self_test
    from lookalike.viz.reports import document

    with ProgressLine("Editing") as line:
        found = self_test(opened, by=plan.by, count=plan.queries or SAMPLE, advance=line.count)
    record = document.self_test(found)
    if outputs.format == "json":
        output.put(output.as_json(record))
    else:
        _recalls(found)
    _notes(found.notes)
    if outputs.report is not None:
        from lookalike.viz.reports import others

        _report(outputs.report, others.self_test(found, outputs.title), record)
    if outputs.plot is not None:
        from lookalike.viz.reports import figures

        _plot(outputs.plot, figures.self_test(found))


def _recalls(found: SelfTest) -> None:
    """Edits down, extractors across: the percentage found first / among the first ten."""
    from lookalike.viz.reports.figures import EDITS

    first = found.extractors
    rows = [
        [
            EDITS.get(edit, edit),
            *(f"{_percent(one.recall(edit, 1), one.recall(edit, 10))}" for one in first),
        ]
        for edit in found.edits
    ]
    rows.append(["all", *(_percent(one.overall(1), one.overall(10)) for one in first)])
    if any(one.kept is not None for one in first):
        kept = ["–" if one.kept is None else f"{100 * one.kept:.1f}" for one in first]
        rows.append(["index keeps of exact 10", *kept])
    output.table(["edit", *(one.extractor for one in first)], rows, right="l" + "r" * 20, stretch=0)
    output.put()
    output.put(
        f"Per cent of {format.counted(found.edited, 'edited picture')} whose original comes first / "
        f"is among the first 10 of {format.counted(found.searched, 'picture')}."
    )


def _percent(first: float, ten: float) -> str:
    return f"{100 * first:.1f} / {100 * ten:.1f}"


def _report(out: Path, page: str, record: dict[str, Any]) -> None:
    """The page, and the same as JSON beside it."""
    from lookalike.viz.reports.page import write

    write(out, page)
    write(out.with_suffix(".json"), output.as_json(record) + "\n")
    output.note(f"Written: {out} and {out.with_suffix('.json')}")


def _plot(out: Path, figure: Figure) -> None:
    from lookalike.viz.plots import save

    save(figure, out)
    output.note(f"Drawn: {out}")
