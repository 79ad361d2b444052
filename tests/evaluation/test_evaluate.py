"""Evaluations of whole libraries: by hand with the mean colour, and end to end against trec_eval."""

from __future__ import annotations

import csv
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import UsageError
from lookalike.evaluation.collection import EvalLibrary, open_or_build
from lookalike.evaluation.copy_retrieval import self_test
from lookalike.evaluation.evaluate import EvalPlan, Evaluation, evaluate, evaluate_pairs, save_runs
from lookalike.evaluation.rankings import leave_one_out
from lookalike.evaluation.separation import KnownPair
from lookalike.evaluation.systems import EvalOptions
from lookalike.evaluation.trec import read_run, write_qrels
from lookalike.extractors import load
from lookalike.extractors.interface import Extractor
from lookalike.images.decode import decode
from lookalike.images.resize import fit
from lookalike.library import Library
from lookalike.stores.interface import Neighbours

# Angles in the plane of red and green: 0° is red, 90° green.
ANGLES = {"red/a": 0, "red/b": 10, "green/a": 25, "green/b": 60, "lonely/a": 89, "top": 45}


def paint_images(folder: Path) -> Path:
    for name, degrees in ANGLES.items():
        file = folder / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        colour = 250 * np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0])
        Image.new("RGB", (64, 64), tuple(colour.round().astype(int).tolist())).save(file)
    return folder


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, toy_class: type[Extractor]) -> Any:
    folder = paint_images(tmp_path_factory.mktemp("painted"))
    with Library.create(folder) as made:
        made.add([folder], extractors=[toy_class(), "color"])
        yield made


def evaluated(library: Library, labels: str = "folders", **plan: Any) -> Evaluation:
    plan = {
        "extractors": ("mean-colour",),
        "timed": 0,
        "options": EvalOptions(cutoffs=(1,)),
        **plan,
    }
    return evaluate(
        EvalLibrary(library, None), EvalPlan(labels=labels, **plan), folder=library.folder.parent
    )


def test_every_image_is_a_query_for_the_others_of_its_folder(library: Library) -> None:
    found = evaluated(library)
    values = dict(zip(found.truth.names, found.systems[0].metrics.values["AP"], strict=True))
    # 0° meets 10° first, 10° meets 0° first. 25° meets 10° (15), 45° (20), 0° (25), 60° (35): fourth.
    # 60° meets 45° (15), 89° (29), 25° (35): third.
    assert values == pytest.approx(
        {"red/a.png": 1, "red/b.png": 1, "green/a.png": 1 / 4, "green/b.png": 1 / 3}
    )
    system = found.systems[0]
    assert system.intervals["AP"].mean == pytest.approx((1 + 1 + 1 / 4 + 1 / 3) / 4)
    assert system.depth is None
    assert [str(note) for note in found.notes] == [
        "1 image has no label: it is not a query, but may be retrieved: top.png",
        "1 image is the only one with its label: it is not a query, but may be retrieved: lonely/a.png",
    ]


def test_a_query_may_be_a_file_outside_the_library(library: Library, tmp_path: Path) -> None:
    outside = tmp_path / "dark red.png"
    Image.new("RGB", (64, 64), (120, 0, 0)).save(outside)  # 0°
    write_qrels(tmp_path / "q", {"dark red.png": {"red/b.png": 1, "gone.png": 1}})
    found = evaluated(library, str(tmp_path / "q"))
    # red/a is first, red/b second; the one that is not indexed counts as not found.
    assert found.systems[0].metrics.values["AP"].tolist() == pytest.approx([1 / 2 / 2])


def test_systems_are_ordered_and_the_best_is_compared_with_each_other_one(library: Library) -> None:
    found = evaluated(library, extractors=())
    assert {one.name for one in found.systems} == {"mean-colour", "color"}
    means = [one.intervals["AP"].mean for one in found.systems]
    assert means == sorted(means, reverse=True)
    (compared,) = found.comparisons
    assert compared.first == found.systems[0].name
    assert compared.difference.mean == pytest.approx(means[0] - means[1])


def test_rankings_by_the_stores_search_are_equal_up_to_their_depth(
    library: Library,
) -> None:
    whole = evaluated(library)
    deep = evaluated(library, options=EvalOptions(cutoffs=(1,), depth=5, memory=0))
    for name, values in whole.systems[0].metrics.values.items():
        assert deep.systems[0].metrics.values[name].tolist() == pytest.approx(values.tolist()), name
    shallow = evaluated(library, options=EvalOptions(cutoffs=(1,), depth=2, memory=0)).systems[0]
    assert shallow.depth == 2
    # 25° and 60° have the other image of their label at ranks 4 and 3.
    assert sorted(shallow.metrics.values["AP"].tolist()) == [0, 0, 1, 1]


def test_an_index_is_evaluated_beside_the_exact_search(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with library.snapshot() as snapshot:
        kind = type(snapshot)
    plain = kind.search

    def search_without_nearest(
        snapshot: Any, space: str, queries: Any, k: int, **options: Any
    ) -> Neighbours:
        """Search as an index that never finds the nearest image after the query itself."""
        found = plain(snapshot, space, queries, k + 1, **options)
        if options.get("exact"):
            return plain(snapshot, space, queries, k, **options)
        left = [0, *range(2, min(k + 1, found.ids.shape[1]))]
        return Neighbours(found.ids[:, left], found.similarities[:, left], False)

    monkeypatch.setattr(kind, "search", search_without_nearest)
    exact, index = evaluated(library, index=True).systems
    assert (exact.kind, index.kind) == ("exact", "index")
    # Of five others one is never found.
    assert index.ann_recall == pytest.approx(4 / 5)
    assert index.metrics.values["P@1"].sum() < exact.metrics.values["P@1"].sum()


def test_a_missing_index_is_noted(library: Library) -> None:
    found = evaluated(library, index=True)
    assert [one.kind for one in found.systems] == ["exact"]
    assert "has no ANN index" in str(found.notes[0])


def test_the_latency_includes_the_extraction(library: Library) -> None:
    latency = evaluated(library, extractors=("color",), timed=3).systems[0].latency
    assert latency is not None
    assert latency.queries == 3
    assert 0 < latency.extract < latency.median <= latency.p95 <= latency.p99


def test_a_note_says_why_no_query_could_be_timed(tmp_path: Path) -> None:
    folder = paint_images(tmp_path / "p")
    with open_or_build(folder, extractors=["color"]) as here:
        for file in folder.rglob("*.png"):
            file.unlink()
        found = evaluate(here, EvalPlan(labels="folders", timed=3), folder=folder)
    assert found.systems[0].latency is None
    assert str(found.notes[0]) == (
        "1 system could not be timed: the images cannot be read any more: color"
    )


def test_pairs_that_belong_together_are_more_similar_than_others(
    library: Library,
) -> None:
    separation = evaluated(library).systems[0].separation
    assert separation is not None
    # Together: 10° apart (two of the four queries) and 35°; others: anything.
    degrees = np.degrees(np.arccos(np.unique(separation.same.round(5))))
    assert degrees.tolist() == pytest.approx([35, 10], abs=1)  # colours are integers
    assert 0.5 < separation.auc < 1


def test_known_pairs_give_a_threshold(library: Library) -> None:
    pairs = (
        KnownPair("red/a.png", "red/b.png", True),
        KnownPair("green/a.png", "green/b.png", True),
        KnownPair("red/a.png", "green/b.png", False),
        KnownPair("red/a.png", "lonely/a.png", False),
        KnownPair("red/a.png", "gone.png", True),
    )
    found, notes = evaluate_pairs(
        EvalLibrary(library, None), EvalPlan(extractors=("mean-colour",), pairs=pairs), folders=[]
    )
    assert found["mean-colour"].threshold == pytest.approx(np.cos(np.radians(35)), abs=0.01)
    assert found["mean-colour"].f1 == 1
    assert str(notes[0]).startswith("1 pair names an image that is not indexed")


def test_trec_eval_gives_the_same_metrics_for_a_saved_run(library: Library, tmp_path: Path) -> None:
    try:
        ir_measures: Any = import_module("ir_measures")
    except ImportError:
        pytest.skip("trec_eval is not installed: pip install ir-measures")
    found = evaluated(library, extractors=("color",), options=EvalOptions(cutoffs=(1, 3), keep=10))
    (written,) = save_runs(found, tmp_path)
    run = read_run(written)
    docs = [ir_measures.ScoredDoc(q, d, s) for q, hits in run.items() for d, s in hits]
    qrels = [
        ir_measures.Qrel(name, found.collection.names[row], 1)
        for at, name in enumerate(found.truth.names)
        for row in found.truth.relevant(at).rows.tolist()
    ]
    measures = {"AP": ir_measures.AP, "nDCG@3": ir_measures.nDCG @ 3, "RR": ir_measures.RR}
    theirs = ir_measures.calc_aggregate(list(measures.values()), qrels, docs)
    for name, measure in measures.items():
        mean = found.systems[0].intervals[name].mean
        assert mean == pytest.approx(theirs[measure], abs=1e-9), name


def test_a_folder_is_indexed_for_the_evaluation_only(tmp_path: Path) -> None:
    folder = paint_images(tmp_path / "p")
    before = sorted(folder.rglob("*"))
    with open_or_build(folder, extractors=["color"]) as found:
        assert found.library.info().images == len(ANGLES)
    assert sorted(folder.rglob("*")) == before


def test_the_evaluation_is_restricted_to_the_given_folder(library: Library) -> None:
    with (
        open_or_build(library.folder.parent / "red") as found,
        pytest.raises(UsageError, match="no two"),
    ):
        evaluate(found, EvalPlan(labels="folders"), folder=library.folder.parent)


def test_a_missing_extractor_is_named_with_the_remedy(library: Library) -> None:
    with pytest.raises(
        UsageError, match="no vectors of shape, only of mean-colour, color; add them"
    ):
        evaluated(library, extractors=("shape",))


def test_edited_copies_find_their_originals(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((40, 40, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    # A copy under another name: whichever of the two is found counts as the original.
    (tmp_path / "again.png").write_bytes((tmp_path / "3.png").read_bytes())
    with open_or_build(tmp_path, extractors=["color", "pixels"]) as found:
        result = self_test(found, count=13)
    by = {one.extractor: one for one in result.extractors}
    assert (result.edited, result.searched) == (13, 13)
    for name in by:
        assert by[name].recall("png", 1) == 1
        assert by[name].recall("jpeg-30", 1) == 1
    assert by["color"].recall("mirrored", 1) == 1  # a colour histogram has no sides
    assert by["pixels"].recall("mirrored", 1) < 1
    assert by["color"].recall("grey", 1) < by["pixels"].recall("grey", 1)


def test_the_self_test_measures_the_recall_of_the_index(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    with library.snapshot() as snapshot:
        kind = type(snapshot)
    plain = kind.search

    def search_every_second(
        snapshot: Any, space: str, queries: Any, k: int, **options: Any
    ) -> Neighbours:
        """Search as an index that finds every second one of the nearest."""
        found = plain(snapshot, space, queries, k, **options)
        if options.get("exact"):
            return found
        return Neighbours(found.ids[:, ::2], found.similarities[:, ::2], False)

    monkeypatch.setattr(kind, "search", search_every_second)
    (found,) = self_test(EvalLibrary(library, None), extractors=["mean-colour"], count=6).extractors
    assert found.ann_recall == pytest.approx(3 / 6)
    assert found.recall("png", 1) == 1  # ranks are those of the exact search


def test_the_self_test_counts_missing_files(tmp_path: Path) -> None:
    folder = paint_images(tmp_path / "p")
    with open_or_build(folder, extractors=["color"]) as found:
        (folder / "red" / "a.png").unlink()
        result = self_test(found, count=6)
        assert result.edited == 5
        assert "1 image could not be read again" in str(result.notes[0])
        for file in folder.rglob("*.png"):
            file.unlink()
        with pytest.raises(UsageError, match="none of the images can be read"):
            self_test(found, count=6)


# Measured elsewhere with the plain formulas: pixels 64×64 grey and the 3×32 histogram, leave-one-out.
BASELINES = {
    "pixels": {"AP": 0.244, "P@1": 0.371, "P@5": 0.327, "P@10": 0.303, "RR": 0.451},
    "histogram": {"AP": 0.379, "P@1": 0.688, "P@5": 0.627, "P@10": 0.582, "RR": 0.770},
}


def test_the_baselines_of_corel1k_are_reproduced(shared_folder: Path) -> None:
    folder = shared_folder / "data" / "corel1k"
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    whole = [decode((folder / row["path"]).read_bytes(), specs=[]).pixels for row in rows]
    for name, expected in BASELINES.items():
        extractor = load(name)
        vectors = extractor.extract([fit(pixels, extractor.pixels) for pixels in whole])
        means = leave_one_out(vectors, [row["label"] for row in rows]).means()
        for metric, value in expected.items():
            # ±0.003, and no more than the rounding of a float64.
            assert means[metric] == pytest.approx(value, abs=0.003 + 1e-9), (name, metric)
