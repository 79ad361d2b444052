"""Evaluation with labels: all systems answer the same queries and are compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.evaluation.collection import (
    Collection,
    EvalLibrary,
    collect,
    named_collection,
    select_spaces,
)
from lookalike.evaluation.ground_truth import GroundTruth, Note, names_note
from lookalike.evaluation.labels import from_qrels, load_ground_truth
from lookalike.evaluation.separation import KnownPair, Thresholds, pair_similarities, thresholds
from lookalike.evaluation.statistics import Comparison, compare, holm
from lookalike.evaluation.systems import (
    TIMED_QUERIES,
    EvalContext,
    EvalOptions,
    System,
    exact_system,
    index_system,
    measure_latency,
    run_system,
)
from lookalike.evaluation.trec import Qrels, Run, write_run

# The metric that orders and compares systems.
PRIMARY_METRIC = "AP"


@dataclass(frozen=True, slots=True)
class EvalPlan:
    """Plan of an evaluation.

    labels      see `labels.load_ground_truth`; None: only pairs
    extractors  of the library; empty: all
    index       also evaluate the library's own search with its ANN index
    runs        further rankings to evaluate, by name
    pairs       known pairs, for thresholds
    queries     largest number of queries; None: all
    timed       number of queries whose latency is measured; 0: none
    """

    labels: str | None = None
    extractors: tuple[str, ...] = ()
    index: bool = False
    runs: Mapping[str, Run] | None = None
    pairs: Sequence[KnownPair] = ()
    queries: int | None = None
    timed: int = TIMED_QUERIES
    options: EvalOptions = field(default_factory=EvalOptions)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The result: systems ordered by mAP, and the best one compared with each other one.

    p values are adjusted by Holm's method; `notes` lists input that could not be used.
    """

    collection: Collection
    truth: GroundTruth
    systems: tuple[System, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[Note, ...]


def headline_metrics(evaluation: Evaluation) -> list[str]:
    """Return the metrics for a table: all P@k, and of the others with a cut-off the deepest one."""
    names = evaluation.systems[0].intervals
    cutoffs = sorted(int(name[2:]) for name in names if name.startswith("P@"))
    last = cutoffs[-1]
    shown = ["AP", *(f"P@{k}" for k in cutoffs), f"R@{last}", "RR", f"nDCG@{last}", f"hit@{last}"]
    return [*shown, *(name for name in [f"judged@{last}"] if name in names)]


def evaluate(opened: EvalLibrary, plan: EvalPlan, *, folder: Path) -> Evaluation:
    """Evaluate every system of the plan.

    folder  where label files and their paths are looked up, besides the working directory
    """
    assert plan.labels is not None
    with opened.library.snapshot() as snapshot:
        spaces = select_spaces(snapshot, plan.extractors)
        collection, notes = collect(snapshot, spaces, folder=opened.folder)
        truth = load_ground_truth(plan.labels, collection, folder=folder, snapshot=snapshot)
        if plan.queries is not None:
            truth = truth.subset(plan.queries)
        systems: list[System] = []
        for space in spaces:
            context = EvalContext(opened.library, snapshot, space, collection, truth, plan.options)
            found, more = _evaluate_space(context, plan)
            systems += found
            notes += more
    for name, run in (plan.runs or {}).items():
        systems.append(run_system(name, run, collection, truth, plan.options))
    notes = [*opened.notes, *notes, *truth.notes]
    return _compare_systems(collection, truth, systems, notes, plan.options)


def evaluate_runs(
    qrels: Qrels, file: Path, runs: Mapping[str, Run], options: EvalOptions
) -> Evaluation:
    """Evaluate runs without a library; documents are known by name only."""
    names = {document for grades in qrels.values() for document in grades}
    names |= {
        document for run in runs.values() for ranking in run.values() for document, _ in ranking
    }
    names |= set(qrels)
    collection = named_collection(sorted(names))
    truth = from_qrels(qrels, collection, file=file)
    systems = [run_system(name, run, collection, truth, options) for name, run in runs.items()]
    return _compare_systems(collection, truth, systems, list(truth.notes), options)


def evaluate_pairs(
    opened: EvalLibrary, plan: EvalPlan, *, folders: Sequence[Path]
) -> tuple[dict[str, Thresholds], list[Note]]:
    """Return the thresholds over the known pairs by extractor, and notes of unusable pairs.

    folders  where relative paths of the pairs are looked up
    """
    with opened.library.snapshot() as snapshot:
        spaces = select_spaces(snapshot, plan.extractors)
        collection, notes = collect(snapshot, spaces)
        rows = [
            (collection.row(p.first, folders), collection.row(p.second, folders))
            for p in plan.pairs
        ]
        known = [(a, b) for a, b in rows if a is not None and b is not None]
        similar = [p.similar for p, row in zip(plan.pairs, rows, strict=True) if None not in row]
        lost = [
            f"{p.first} and {p.second}"
            for p, row in zip(plan.pairs, rows, strict=True)
            if None in row
        ]
        if not known:
            raise UsageError("no pair names two indexed images")
        notes += names_note(
            lost,
            "pair names an image that is not indexed: left out",
            "pairs name an image that is not indexed: left out",
        )
        found = {}
        for space in spaces:
            if space.boxes is None:
                values = pair_similarities(snapshot, space, collection, known)
                found[space.name] = thresholds(values.astype(float), similar)
        return found, notes


def save_runs(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Write a TREC run per system, named after it, and return the files.

    Systems that were read from a run are not written. Raises UsageError if the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot create the folder {folder}: {error.strerror or error}") from error
    written = []
    for system in evaluation.systems:
        if system.kind != "run":
            tag = re.sub(r"[^\w.-]+", "-", system.name).strip("-")
            write_run(folder / f"{tag}.run", _rankings(evaluation, system), tag=tag)
            written.append(folder / f"{tag}.run")
    return written


def _rankings(
    evaluation: Evaluation, system: System
) -> Iterator[tuple[str, Iterator[tuple[str, float]]]]:
    names = evaluation.collection.names
    metrics = system.metrics
    for query, rows, scores in zip(
        evaluation.truth.names, metrics.best, metrics.scores, strict=True
    ):
        pairs = zip(rows.tolist(), scores.tolist(), strict=True)
        yield query, ((names[row], score) for row, score in pairs if row >= 0)


def _evaluate_space(context: EvalContext, plan: EvalPlan) -> tuple[list[System], list[Note]]:
    space = context.space
    found = [exact_system(context)]
    notes = []
    if plan.index and context.has_index():
        found.append(index_system(context, found[0]))
    elif plan.index:
        notes.append(Note(1, "space has no ANN index, so its search is exact", (space.name,)))
    for at, system in enumerate(found if plan.timed else ()):
        latency = measure_latency(
            context.library,
            context.collection,
            space.name,
            count=plan.timed,
            exact=system.kind == "exact",
        )
        if isinstance(latency, str):
            notes.append(Note(1, f"system could not be timed: {latency}", (system.name,)))
        else:
            found[at] = replace(system, latency=latency)
    return found, notes


def _compare_systems(
    collection: Collection,
    truth: GroundTruth,
    systems: list[System],
    notes: list[Note],
    options: EvalOptions,
) -> Evaluation:
    ordered = sorted(systems, key=lambda s: -s.intervals[PRIMARY_METRIC].mean)
    first = ordered[0]
    made = [
        compare(
            (first.name, first.metrics.values[PRIMARY_METRIC]),
            (other.name, other.metrics.values[PRIMARY_METRIC]),
            PRIMARY_METRIC,
            seed=options.seed,
        )
        for other in ordered[1:]
    ]
    adjusted = holm([one.p for one in made])
    comparisons = tuple(replace(one, p=p) for one, p in zip(made, adjusted, strict=True))
    return Evaluation(collection, truth, tuple(ordered), comparisons, tuple(notes))
