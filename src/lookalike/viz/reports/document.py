"""An evaluation as JSON; its keys are a promise to scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lookalike.evaluation.copy_retrieval import SelfTest
from lookalike.evaluation.evaluate import Evaluation
from lookalike.evaluation.ground_truth import Note
from lookalike.evaluation.latency import Latency
from lookalike.evaluation.metrics import LEVELS
from lookalike.evaluation.systems import System
from lookalike.evaluation.thresholds import Thresholds

DIGITS = 6


def document(evaluation: Evaluation) -> dict[str, Any]:
    """Everything but the rankings themselves."""
    return {
        "pictures": len(evaluation.pictures),
        "questions": len(evaluation.truth),
        "truth": evaluation.truth.source,
        "notes": notes(evaluation.notes),
        "systems": [system(one) for one in evaluation.systems],
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


def system(one: System) -> dict[str, Any]:
    """One of its systems."""
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
            "precision": [rounded(value) for value in one.judged.curve],
        },
        "exact_first_10_kept": rounded(one.kept),
        "same_above_other": None if one.spread is None else rounded(one.spread.above),
        "latency_ms": latency(one.latency),
    }


def latency(one: Latency | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return {
        "questions": one.questions,
        "p50": rounded(1e3 * one.median),
        "p95": rounded(1e3 * one.p95),
        "p99": rounded(1e3 * one.p99),
        "extract_p50": rounded(1e3 * one.extract),
        "search_p50": rounded(1e3 * one.search),
    }


def pairs(found: Mapping[str, Thresholds]) -> list[dict[str, Any]]:
    """Thresholds, an object an extractor."""
    return [
        {
            "extractor": name,
            "alike": one.alike,
            "other": one.other,
            "average_precision": rounded(one.average),
            "best_threshold": rounded(one.threshold),
            "f1": rounded(one.f1),
            "precision": rounded(float(one.precision[one.best])),
            "recall": rounded(float(one.recall[one.best])),
            "held_out_f1": rounded(one.held_out),
            "curve": {
                "threshold": [rounded(value) for value in one.similarities],
                "precision": [rounded(value) for value in one.precision],
                "recall": [rounded(value) for value in one.recall],
            },
        }
        for name, one in found.items()
    ]


def self_test(found: SelfTest) -> dict[str, Any]:
    """The evaluation without labels."""
    return {
        "edited": found.edited,
        "searched": found.searched,
        "notes": notes(found.notes),
        "extractors": [
            {
                "extractor": one.extractor,
                "dim": one.dim,
                "edits": {
                    edit: {f"R@{k}": rounded(one.recall(edit, k)) for k in (1, 10)}
                    for edit in found.edits
                },
                "all": {f"R@{k}": rounded(one.overall(k)) for k in (1, 10)},
                "exact_first_10_kept": rounded(one.kept),
            }
            for one in found.extractors
        ],
    }


def notes(found: Sequence[Note]) -> list[dict[str, Any]]:
    """What could not be used."""
    return [{"count": n.count, "what": n.what, "examples": list(n.examples)} for n in found]


def rounded(value: float | None) -> float | None:
    """For JSON, which knows no NaN."""
    return None if value is None or value != value else round(float(value), DIGITS)
