"""What the OpenAPI document says of answers. Answers are not checked against it while
they are given, which would cost more than finding them; tests check them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Error(BaseModel):
    """Why there is no answer, in one sentence."""

    error: str


class Hit(BaseModel):
    rank: int
    id: int
    path: str = Field(description="Relative to the root that the image lies under.")
    similarity: float = Field(description="Larger is closer.")
    relevance: str | None = Field(description="near-copy, strong, plausible or weak.")
    metadata: dict[str, Any]
    box: list[float] | None = Field(description="The part that matched: x, y, width, height.")
    orientation: str | None
    copies: int
    inliers: int
    scores_by_space: dict[str, float]
    width: int | None
    height: int | None


class Answer(BaseModel):
    query: dict[str, Any] = Field(description="The words of the question, without defaults.")
    ranked_by: str
    similarity: str | None
    exact: bool
    searched_count: int
    top_relevance: str | None = Field(description="Relevance of the best hit, shown or not.")
    seconds: dict[str, float]
    hits: list[Hit]
    next_offset: int | None
    failure: str | None = None
    uploads: list[str] | None = Field(None, description="Hashes of the pictures sent.")


class Answers(BaseModel):
    answers: list[Answer]


class Upload(BaseModel):
    upload: str
    width: int
    height: int
    format: str


class Index(BaseModel):
    recipe: str
    recall: float = Field(
        description="Of the true ten nearest, the share that it found when built."
    )
    target: float
    milliseconds: float
    bytes: int
    seconds: float
    rows: int = Field(description="Vectors that it covers.")
    nprobe: int
    candidates: int
    built: str
    unindexed: int = Field(description="Vectors that were added since it was built.")
    disabled_reason: str = Field(description="Why it is not used.")


class Check(BaseModel):
    recall: float
    milliseconds: float
    exact_milliseconds: float
    queries: int
    rows: int
    unindexed: int
    when: str


class Checks(BaseModel):
    checks: list[Check]


class Removed(BaseModel):
    removed: list[str] = Field(description="Whose index it was.")


class Space(BaseModel):
    name: str
    dim: int
    similarity: str
    count: int
    words: bool = Field(description="Understands words.")
    parts: bool = Field(description="Compares parts of pictures.")
    index: Index | None = Field(description="What makes it quick to search, where it is large.")


class Info(BaseModel):
    name: str
    version: str
    images: int
    outcomes: dict[str, int]
    roots: list[str]
    spaces: list[Space]
    captions: bool
    words: bool = Field(description="Words can be searched: in captions or in a space.")
    writable: bool
    allow_url: bool
    max_upload_bytes: int
    max_k: int


class OneField(BaseModel):
    name: str
    type: str = Field(description="number, text, date, mixed or none.")
    images: int
    low: float | str | None
    high: float | str | None
    values: list[float | str] = Field(description="The most frequent ones.")


class Fields(BaseModel):
    fields: list[OneField]


class Brief(BaseModel):
    id: int
    path: str
    width: int | None
    height: int | None
    format: str | None
    size: int
    metadata: dict[str, Any]


class Images(BaseModel):
    images: list[Brief]
    total: int
    next_offset: int | None


class Whole(Brief):
    root: str
    file: str | None
    mtime: str | None
    hash: str | None
    outcome: str
    reason: str
    facts: dict[str, Any]


class Failure(BaseModel):
    id: int
    path: str
    outcome: str
    reason: str
    size: int
    mtime: str | None


class Failures(BaseModel):
    counts: dict[str, int]
    failures: list[Failure]
    next_offset: int | None


class Member(Brief):
    kind: str
    similarity: float
    evidence: str
    keep: bool
    mtime: str | None


class Group(BaseModel):
    kind: str
    reclaimable_bytes: int
    members: list[Member]


class Duplicates(BaseModel):
    running: bool
    total: int
    searched: int
    compared: int
    unreadable: int
    hidden: int
    missing: str
    seconds: dict[str, float]
    groups: list[Group]
    next_offset: int | None


class Decision(BaseModel):
    kind: str
    images: list[int]
    others: list[int]
    first: str = Field(description="SHA-256 of the content that it is about.")
    second: str | None
    paths: list[str] = Field(description="Of `images`, below their roots.")
    other_paths: list[str]
    who: str
    when: str


class Decisions(BaseModel):
    decisions: list[Decision]


class Taken(BaseModel):
    new: int = Field(description="Decisions that were not there in the same words.")


class Forgotten(BaseModel):
    forgotten: int


class Change(BaseModel):
    running: bool
    kind: str = Field(
        description="indexing, import (of vectors), index (built) or check (of indexes)."
    )
    done: int
    total: int | None
    indexed: int
    failed: int
    rate: float = Field(description="Files a second.")
    stage: str = Field(description="Of an import, an index or a check: which part of it.")
    message: str
    number: int = Field(description="Of the run: how many this server has begun.")
    ticket: str = Field(description="Under which it was asked for, or is asked about.")
    result: dict[str, Any] | None = Field(description="What came of it, where it ended well.")
    error: str = Field(description="The kind of error it failed with.")


class IndexEstimate(BaseModel):
    running: bool
    files: int = Field(description="Found below the paths.")
    to_index: int
    sampled: int
    images_per_second: float
    seconds: float
    disk_bytes: int
    peak_memory_bytes: int | None


class Explained(BaseModel):
    frame: list[float] = Field(description="The part that the extractor saw: x, y, width, height.")
    heat: list[list[float]] = Field(description="How much each of 8 × 8 places adds.")
    marked: list[list[bool]]


class Explanation(BaseModel):
    by: str
    similarity: float
    kind: str
    method: str
    words: str
    pictures: list[Explained]
    links: list[dict[str, Any]]
    shares: dict[str, float]
    colours: list[dict[str, Any]]
    faithfulness: dict[str, Any]


class Map(BaseModel):
    running: bool
    by: str | None
    method: str | None
    color: str
    names: list[str]
    ids: list[int]
    x: list[float]
    y: list[float]
    groups: list[int]
    level: list[int] = Field(description="From which level of zoom on a thumbnail fits.")
    total: int
    kept: dict[str, float | None] | None = Field(description="How far neighbours stay neighbours.")


class Session(BaseModel):
    entered: bool


class Health(BaseModel):
    status: str
    version: str
