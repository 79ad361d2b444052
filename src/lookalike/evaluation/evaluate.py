"""The evaluation with labels: every system judged on the same questions, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection, collect, named
from lookalike.evaluation.ground_truth import Note, Truth, note
from lookalike.evaluation.labels import from_qrels, truth
from lookalike.evaluation.latency import TIMED, latency
from lookalike.evaluation.open_or_build import Opened, spaces_of
from lookalike.evaluation.separation import pair_similarities
from lookalike.evaluation.statistics import Comparison, compare, holm
from lookalike.evaluation.systems import Asked, Ground, System, exact, from_run, indexed
from lookalike.evaluation.thresholds import Pair, Thresholds, thresholds
from lookalike.evaluation.trec import Qrels, Run
from lookalike.stores.interface import Snapshot, Space

COMPARED = "AP"
"""The metric by which systems are ordered and compared."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is evaluated.

    labels   see `labels.truth`; None: only pairs
    by       extractors of the library; none: all it has
    index    also as the library's search answers with its nearest-neighbour index
    runs     rankings to judge beside, by name
    pairs    known pairs, for thresholds
    queries  at most so many questions; None: all
    timed    questions whose time is taken; 0: none
    asked    how rankings are judged
    """

    labels: str | None = None
    by: tuple[str, ...] = ()
    index: bool = False
    runs: Mapping[str, Run] | None = None
    pairs: Sequence[Pair] = ()
    queries: int | None = None
    timed: int = TIMED
    asked: Asked = field(default_factory=Asked)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of it: systems in the order of their mAP, the best one compared with each other one (p
    adjusted by Holm), and what could not be used."""

    pictures: Collection
    truth: Truth
    systems: tuple[System, ...]
    comparisons: tuple[Comparison, ...]
    notes: tuple[Note, ...]


def headline(found: Evaluation) -> list[str]:
    """The metrics that a table shows: of those with a cut-off, all of P@k and the deepest of the others."""
    names = found.systems[0].intervals
    cutoffs = sorted(int(name[2:]) for name in names if name.startswith("P@"))
    last = cutoffs[-1]
    shown = ["AP", *(f"P@{k}" for k in cutoffs), f"R@{last}", "RR", f"nDCG@{last}", f"hit@{last}"]
    return [*shown, *(name for name in [f"judged@{last}"] if name in names)]


def evaluate(opened: Opened, plan: Plan, *, folder: Path, say: Say | None = None) -> Evaluation:
    """Judge every system that the plan names.

    folder  where labels and their paths are looked for, beside here
    say     called with the name of each system before it is judged
    """
    assert plan.labels is not None
    with opened.library.snapshot() as snapshot:
        spaces = spaces_of(snapshot, plan.by)
        pictures, notes = collect(snapshot, spaces, folder=opened.within)
        whole = truth(plan.labels, pictures, folder=folder, snapshot=snapshot)
        asked = whole if plan.queries is None else whole.some(plan.queries)
        systems: list[System] = []
        for space in spaces:
            if say is not None:
                say(space.name)
            found, more = _of_space(opened, snapshot, space, pictures, asked, plan)
            systems += found
            notes += more
    for name, run in (plan.runs or {}).items():
        systems.append(from_run(name, run, pictures, asked, plan.asked))
    return _compared(pictures, asked, systems, [*opened.notes, *notes, *asked.notes], plan.asked)


def evaluate_runs(qrels: Qrels, file: Path, runs: Mapping[str, Run], asked: Asked) -> Evaluation:
    """Runs judged without any library: documents are names."""
    names = {document for grades in qrels.values() for document in grades}
    names |= {
        document for run in runs.values() for ranked in run.values() for document, _ in ranked
    }
    names |= set(qrels)
    pictures = named(sorted(names))
    judged = from_qrels(qrels, pictures, file=file)
    systems = [from_run(name, run, pictures, judged, asked) for name, run in runs.items()]
    return _compared(pictures, judged, systems, list(judged.notes), asked)


def judge_pairs(
    opened: Opened, plan: Plan, *, folders: Sequence[Path]
) -> tuple[dict[str, Thresholds], list[Note]]:
    """By extractor, the thresholds over the known pairs, and a note of those that cannot be used."""
    with opened.library.snapshot() as snapshot:
        spaces = spaces_of(snapshot, plan.by)
        pictures, notes = collect(snapshot, spaces)
        return _pairs(snapshot, spaces, pictures, plan.pairs, folders, notes)


def _pairs(
    snapshot: Snapshot,
    spaces: Sequence[Space],
    pictures: Collection,
    pairs: Sequence[Pair],
    folders: Sequence[Path],
    notes: list[Note],
) -> tuple[dict[str, Thresholds], list[Note]]:
    places = [(pictures.row(p.first, folders), pictures.row(p.second, folders)) for p in pairs]
    known = [(a, b) for a, b in places if a is not None and b is not None]
    alike = [p.alike for p, (a, b) in zip(pairs, places, strict=True) if None not in (a, b)]
    lost = [
        f"{p.first} and {p.second}"
        for p, (a, b) in zip(pairs, places, strict=True)
        if None in (a, b)
    ]
    if not known:
        raise UsageError("no pair names two indexed pictures")
    notes += note(
        lost,
        "pair names a picture that is not indexed: left out",
        "pairs name a picture that is not indexed: left out",
    )
    found = {}
    for space in spaces:
        if space.boxes is None:
            values = pair_similarities(snapshot, space, pictures, known)
            found[space.name] = thresholds(values.astype(float), alike)
    return found, notes


def _of_space(
    opened: Opened, snapshot: Snapshot, space: Space, pictures: Collection, asked: Truth, plan: Plan
) -> tuple[list[System], list[Note]]:
    ground = Ground(opened.library, snapshot, space, pictures, asked, plan.asked)
    found = [exact(ground)]
    notes = []
    if plan.index and ground.has_index():
        found.append(indexed(ground, found[0]))
    elif plan.index:
        notes.append(Note(1, "space has no index, so that its search is exact", (space.name,)))
    for at, system in enumerate(found if plan.timed else ()):
        took = latency(
            opened.library, pictures, space.name, count=plan.timed, exact=system.kind == "exact"
        )
        if isinstance(took, str):
            notes.append(Note(1, f"system could not be timed: {took}", (system.name,)))
        else:
            found[at] = replace(system, latency=took)
    return found, notes


def _compared(
    pictures: Collection, asked: Truth, systems: list[System], notes: list[Note], how: Asked
) -> Evaluation:
    ordered = sorted(systems, key=lambda s: -s.intervals[COMPARED].mean)
    first = ordered[0]
    made = [
        compare(
            (first.name, first.judged.values[COMPARED]),
            (other.name, other.judged.values[COMPARED]),
            COMPARED,
            seed=how.seed,
        )
        for other in ordered[1:]
    ]
    adjusted = holm([one.p for one in made])
    comparisons = tuple(replace(one, p=p) for one, p in zip(made, adjusted, strict=True))
    return Evaluation(pictures, asked, tuple(ordered), comparisons, tuple(notes))
