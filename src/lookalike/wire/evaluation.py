"""Evaluations as JSON documents. Their keys are stable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.evaluation.copy_retrieval import SelfTest
from lookalike.evaluation.evaluate import Evaluation
from lookalike.evaluation.ground_truth import Note
from lookalike.evaluation.metrics import LEVELS
from lookalike.evaluation.relevance_judgements import JudgementFile
from lookalike.evaluation.separation import Thresholds
from lookalike.evaluation.systems import Latency, System

DIGITS = 6


def evaluation_document(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation with labels, without the rankings."""
    return {
        "images": len(evaluation.collection),
        "queries": len(evaluation.truth),
        "truth": evaluation.truth.source,
        "notes": notes_document(evaluation.notes),
        "systems": [_system(one) for one in evaluation.systems],
        "comparisons": [
            {
                "first": one.first,
                "second": one.second,
                "metric": one.metric,
                "difference": rounded(one.difference.mean),
                "interval": [rounded(one.difference.low), rounded(one.difference.high)],
                "p": rounded(one.p),
            }
            for one in evaluation.comparisons
        ],
    }


def _system(one: System) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "extractor": one.extractor or None,
        "revision": one.revision or None,
        "dim": one.dim or None,
        "depth": one.depth,
        "metrics": {
            name: {
                "mean": rounded(found.mean),
                "interval": [rounded(found.low), rounded(found.high)],
            }
            for name, found in one.intervals.items()
        },
        "precision_recall": {
            "recall": [rounded(level) for level in LEVELS],
            "precision": [rounded(value) for value in one.metrics.curve],
        },
        "ann_recall_at_10": rounded(one.ann_recall),
        "auc": None if one.separation is None else rounded(one.separation.auc),
        "latency_ms": _latency(one.latency),
    }


def _latency(one: Latency | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "queries": one.queries,
        "p50": rounded(1e3 * one.median),
        "p95": rounded(1e3 * one.p95),
        "p99": rounded(1e3 * one.p99),
        "extract_p50": rounded(1e3 * one.extract),
        "search_p50": rounded(1e3 * one.search),
    }


def pairs_document(thresholds: Mapping[str, Thresholds], notes: Sequence[Note]) -> dict[str, Any]:
    """Return the thresholds over known pairs, one object per extractor."""
    return {
        "extractors": [
            {
                "extractor": name,
                "similar": one.similar,
                "dissimilar": one.dissimilar,
                "average_precision": rounded(one.average_precision),
                "best_threshold": rounded(one.threshold),
                "f1": rounded(one.f1),
                "precision": rounded(float(one.precision[one.best])),
                "recall": rounded(float(one.recall[one.best])),
                "held_out_f1": rounded(one.held_out_f1),
                "curve": {
                    "threshold": [rounded(value) for value in one.similarities],
                    "precision": [rounded(value) for value in one.precision],
                    "recall": [rounded(value) for value in one.recall],
                },
            }
            for name, one in thresholds.items()
        ],
        "notes": notes_document(notes),
    }


def self_test_document(result: SelfTest) -> dict[str, Any]:
    """Return a self-test."""
    return {
        "edited": result.edited,
        "searched": result.searched,
        "notes": notes_document(result.notes),
        "extractors": [
            {
                "extractor": one.extractor,
                "dim": one.dim,
                "edits": {
                    edit: {f"R@{k}": rounded(one.recall(edit, k)) for k in (1, 10)}
                    for edit in result.edits
                },
                "all": {f"R@{k}": rounded(one.overall(k)) for k in (1, 10)},
                "ann_recall_at_10": rounded(one.ann_recall),
            }
            for one in result.extractors
        ],
    }


def judgements_document(judgements: JudgementFile) -> dict[str, Any]:
    """Return how much people have judged, and how far they agree."""
    qrels, agreements, counts = judgements.results()
    return {
        "queries": len(qrels),
        "images": sum(map(len, qrels.values())),
        "relevant": sum(grade > 0 for grades in qrels.values() for grade in grades.values()),
        "judgements": counts,
        "agreement": [
            {
                "judges": [one.first, one.second],
                "images": one.images,
                "share": one.share,
                "kappa": one.kappa,
            }
            for one in agreements
        ],
    }


def notes_document(notes: Sequence[Note]) -> list[dict[str, Any]]:
    """Return the input that could not be used."""
    return [{"count": n.count, "what": n.what, "examples": list(n.examples)} for n in notes]


def rounded(value: float | None) -> float | None:
    """Return a rounded number, or None for NaN, which JSON lacks."""
    return None if value is None or value != value else round(float(value), DIGITS)
