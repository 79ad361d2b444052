"""People as judges: questions, the mixed hits of several systems, what was said of each, and how far
judges agree.

Everything is kept in one file of lines of JSON, which is only ever added to: what was asked, then one
line a judgement. So a kill loses nothing, judging goes on where it was left, and several judges may
use one file, one after the other or at once.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.collection import Collection, collect
from lookalike.evaluation.copy_retrieval import same_content
from lookalike.evaluation.open_or_build import Opened, spaces_of
from lookalike.evaluation.trec import Qrels
from lookalike.stores.interface import Snapshot, Space

FORMAT = 1
QUERIES, TOP = 100, 5

Said: TypeAlias = dict[str, dict[tuple[str, str], bool]]
"""Judge → (question, picture) → relevant."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A question, and the pictures to judge: the first hits of all systems, mixed by chance. Names of the
    library's pictures."""

    question: str
    pictures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two judges agree on the pictures that both judged.

    share  of the same judgements
    kappa  Cohen's: the share beyond what chance would give, 1 for full agreement, 0 for none; None
           where chance alone would agree fully (both always said the same one thing)
    """

    first: str
    second: str
    pictures: int
    share: float
    kappa: float | None


def draw(
    opened: Opened, *, by: Sequence[str] = (), queries: int = QUERIES, top: int = TOP, seed: int = 0
) -> tuple[tuple[str, ...], list[Pool]]:
    """Names of the systems, and questions with the first `top` hits of each system's own search.

    Neither the question nor a copy of its content is among them. `UsageError` where the library has
    fewer than two pictures.
    """
    with opened.library.snapshot() as snapshot:
        spaces = [space for space in spaces_of(snapshot, by) if space.boxes is None]
        if not spaces:
            raise UsageError("spaces of parts cannot be judged in this way: name others with --by")
        pictures, _ = collect(snapshot, spaces, folder=opened.within)
        rng = np.random.default_rng(seed)
        rows = rng.choice(len(pictures), min(queries, len(pictures)), replace=False)
        content = same_content(snapshot, pictures)
        pools = []
        for row in rows.tolist():
            found: list[int] = []
            for space in spaces:
                found += _first(snapshot, space, pictures, content, row, top)
            mixed = rng.permutation(np.unique(np.array(found, np.int64)))
            names = tuple(pictures.names[at] for at in mixed.tolist())
            pools.append(Pool(pictures.names[row], names))
    return tuple(space.name for space in spaces), pools


def _first(
    snapshot: Snapshot, space: Space, pictures: Collection, content: np.ndarray, row: int, top: int
) -> list[int]:
    among = None if len(pictures) == space.count else pictures.ids
    copies = int((content[:-2] == content[row]).sum())
    asked = snapshot.vectors(space.key, pictures.ids[row : row + 1])
    found = snapshot.search(space.key, asked, min(top + copies, len(pictures)), among=among)
    rows = pictures.rows(found.ids[0][found.ids[0] >= 0])
    return [at for at in rows.tolist() if at >= 0 and content[at] != content[row]][:top]


class Judging:
    """An open file of judgements. For any number of threads."""

    def __init__(self, file: Path, systems: tuple[str, ...], pools: list[Pool], said: Said) -> None:
        self.file, self.systems, self.pools = file, systems, pools
        self._said = said
        self._order: dict[str, list[tuple[str, str]]] = {j: list(own) for j, own in said.items()}
        self._known = {pool.question: frozenset(pool.pictures) for pool in pools}
        self._lock = threading.Lock()

    @classmethod
    def create(cls, file: Path, systems: tuple[str, ...], pools: list[Pool]) -> Judging:
        """A new file; `UsageError` where there is one, or it cannot be written."""
        head = {
            "lookalike-judging": FORMAT,
            "systems": list(systems),
            "questions": [{"question": p.question, "pictures": list(p.pictures)} for p in pools],
        }
        try:
            with file.open("x", encoding="utf-8", errors="surrogateescape") as out:
                out.write(json.dumps(head, ensure_ascii=False) + "\n")
        except OSError as error:
            raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
        return cls(file, systems, pools, {})

    @classmethod
    def open(cls, file: Path) -> Judging:
        """What was asked and said so far. A last line that was cut off by a kill does not count.
        `UsageError` where the file is none of these."""
        try:
            text = file.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise UsageError(f"cannot read {file}: {error.strerror or error}") from error
        lines = text.split("\n")[:-1]
        try:
            head = json.loads(lines[0])
            if head["lookalike-judging"] != FORMAT:
                raise UsageError(f"{file} was written by another version of lookalike")
            pools = [Pool(q["question"], tuple(q["pictures"])) for q in head["questions"]]
            said: Said = {}
            for line in filter(None, lines[1:]):
                _take(said, json.loads(line))
            return cls(file, tuple(head["systems"]), pools, said)
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise UsageError(f"{file} is no file of judgements: name another") from error

    def next(self, judge: str) -> int | None:
        """The number of the first question that this judge has not finished; None: all are done."""
        with self._lock:
            own = self._said.get(judge, {})
            for number, pool in enumerate(self.pools):
                if any((pool.question, picture) not in own for picture in pool.pictures):
                    return number
        return None

    def said(self, judge: str, number: int) -> dict[str, bool]:
        """What this judge said of the pictures of a question."""
        pool = self.pools[number]
        with self._lock:
            own = self._said.get(judge, {})
            keys = ((picture, (pool.question, picture)) for picture in pool.pictures)
            return {picture: own[key] for picture, key in keys if key in own}

    def judge(self, judge: str, question: str, picture: str, relevant: bool | None) -> None:
        """Remember a judgement; a later one replaces it, None takes it back. `UsageError` for a picture
        that was not asked about."""
        if picture not in self._known.get(question, ()):
            raise UsageError(f"{picture} was not asked about for {question}")
        record = {
            "judge": judge,
            "question": question,
            "picture": picture,
            "relevant": relevant,
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with self._lock:
            try:
                with self.file.open("a", encoding="utf-8", errors="surrogateescape") as out:
                    out.write(json.dumps(record, ensure_ascii=False) + "\n")
            except OSError as error:
                raise UsageError(f"cannot write {self.file}: {error.strerror or error}") from error
            _take(self._said, record)
            order = self._order.setdefault(judge, [])
            if (question, picture) in order:
                order.remove((question, picture))
            if relevant is not None:
                order.append((question, picture))

    def undo(self, judge: str) -> int | None:
        """Take back this judge's last judgement; the number of its question, None if there is none."""
        with self._lock:
            order = self._order.get(judge, [])
            last = order[-1] if order else None
        if last is None:
            return None
        self.judge(judge, *last, None)
        return next(at for at, pool in enumerate(self.pools) if pool.question == last[0])

    def results(self) -> tuple[Qrels, list[Agreement], dict[str, int]]:
        """Judgements as qrels (the majority; where judges are divided equally, not relevant), how far each
        two judges agree, and how many judgements each made."""
        with self._lock:
            said = {judge: dict(own) for judge, own in self._said.items() if own}
        return majority(said), agreements(said), {judge: len(own) for judge, own in said.items()}


def _take(said: Said, record: Mapping[str, Any]) -> None:
    own = said.setdefault(str(record["judge"]), {})
    key = (str(record["question"]), str(record["picture"]))
    own.pop(key, None)  # the last judgement is the last in order
    if record["relevant"] is not None:
        own[key] = bool(record["relevant"])


def majority(said: Said) -> Qrels:
    """One grade for each picture that anybody judged."""
    votes: dict[tuple[str, str], list[bool]] = {}
    for own in said.values():
        for key, relevant in own.items():
            votes.setdefault(key, []).append(relevant)
    found: Qrels = {}
    for (question, picture), each in sorted(votes.items()):
        found.setdefault(question, {})[picture] = int(sum(each) * 2 > len(each))
    return found


def agreements(said: Said) -> list[Agreement]:
    """Every two judges who judged a picture in common."""
    found = []
    for first, second in combinations(sorted(said), 2):
        both = sorted(said[first].keys() & said[second].keys())
        if both:
            pairs = [(said[first][key], said[second][key]) for key in both]
            share = sum(a == b for a, b in pairs) / len(pairs)
            found.append(Agreement(first, second, len(pairs), share, cohens_kappa(pairs)))
    return found


def cohens_kappa(pairs: Sequence[tuple[bool, bool]]) -> float | None:
    """(observed − expected) / (1 − expected) agreement of two judges; None where 1 is expected.

    (Cohen: A Coefficient of Agreement for Nominal Scales, 1960.)
    """
    count = len(pairs)
    observed = sum(a == b for a, b in pairs) / count
    yes = (sum(a for a, _ in pairs) / count, sum(b for _, b in pairs) / count)
    expected = yes[0] * yes[1] + (1 - yes[0]) * (1 - yes[1])
    return None if expected == 1 else (observed - expected) / (1 - expected)
