"""Documents that exist over HTTP only: responses, pages of lists, the state of a job.

docs/http.md explains the keys to people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from lookalike.duplicates.report import Duplicates, Kind
from lookalike.errors import Outcome
from lookalike.query import Hit, Hits
from lookalike.stores.ann_index import Index, IndexCheck
from lookalike.stores.filters import FieldStats
from lookalike.stores.records import DecisionKind, Image
from lookalike.vectors import Similarity
from lookalike.wire.codec import Document
from lookalike.wire.documents import DUPLICATES, RESPONSE_HEAD, WHOLE_IMAGE


@dataclass(frozen=True, slots=True)
class Error:
    """Why a request failed, in one sentence that names the remedy."""

    error: str


@dataclass(frozen=True, slots=True)
class SearchResponse:
    """One page of the hits of a query.

    query        its parameters, without those that have their default
    next_offset  `offset` of the next page; None at the end
    uploads      hashes of the images that were sent with the request
    """

    answer: Hits
    query: Mapping[str, Any]
    hits: tuple[Hit, ...]
    next_offset: int | None
    uploads: tuple[str, ...] = ()

    def to_hits(self) -> Hits:
        """Return the hits as `Library.search` does."""
        return replace(self.answer, hits=self.hits)


def failed_hits(reason: str) -> Hits:
    """Return the hits of a query that could not be answered."""
    return Hits(
        (), ranked_by="", similarity=None, exact=True, searched_count=0, seconds={}, failure=reason
    )


@dataclass(frozen=True, slots=True)
class EmbedResponse:
    """Vectors of unit length, in the order of the request; `dim` numbers each."""

    extractor: str
    revision: str
    similarity: Similarity
    dim: int
    images: tuple[tuple[float, ...], ...] = field(metadata={"digits": 7})
    texts: tuple[tuple[float, ...], ...] = field(metadata={"digits": 7})


@dataclass(frozen=True, slots=True)
class BatchResponse:
    """The responses to the queries of a batch, in their order."""

    results: tuple[SearchResponse, ...]


@dataclass(frozen=True, slots=True)
class Upload:
    """An image that was sent: the SHA-256 of its bytes in hex, its upright size and its format."""

    upload: str
    width: int
    height: int
    format: str


@dataclass(frozen=True, slots=True)
class ServedSpace:
    """All vectors of one extractor.

    dim           length of one vector
    count         vectors that a search sees
    text          the extractor understands text, any or the words of a classifier
    multi_vector  parts of images are compared, too
    index         its ANN index; None where searches compare every vector
    """

    name: str
    dim: int
    similarity: str
    count: int
    text: bool
    multi_vector: bool
    index: Index | None


@dataclass(frozen=True, slots=True)
class ServedInfo:
    """Facts about a served library and the server's permissions.

    `roots` are the names of its folders, without their location. `text`: text queries work, by captions or by
    a space.
    """

    name: str
    version: str
    images: int
    outcomes: Mapping[Outcome, int]
    roots: tuple[str, ...]
    spaces: tuple[ServedSpace, ...]
    captions: bool
    text: bool
    writable: bool
    allow_url: bool
    max_upload_bytes: int
    max_k: int


@dataclass(frozen=True, slots=True)
class SpaceDropped:
    """How many images went with a space: those known by name only that had no other vector."""

    images: int


@dataclass(frozen=True, slots=True)
class NamedField:
    """A field that can be filtered, and what the library has in it."""

    name: str
    facts: FieldStats


@dataclass(frozen=True, slots=True)
class FieldList:
    """All fields that can be filtered."""

    fields: tuple[NamedField, ...]


@dataclass(frozen=True, slots=True)
class ImageGroup:
    """Images that have a month, a folder, a place or a value in common.

    where                the filter that selects them, beside the one of the request
    covers               ids of some of them
    latitude, longitude  of the middle of a place
    """

    name: str
    images: int
    where: str
    covers: tuple[int, ...]
    latitude: float | None
    longitude: float | None


@dataclass(frozen=True, slots=True)
class ImageGroups:
    """Images in groups. `kind`: "date", "folder", "place" or "value". `total`: groups, of which `groups` may
    be the first; `others`: images that are in none."""

    by: str
    kind: str
    groups: tuple[ImageGroup, ...]
    total: int
    others: int


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, and how many images have it."""

    value: str | float
    images: int


@dataclass(frozen=True, slots=True)
class FacetRange:
    """A range of numbers or dates (`high` belongs to the next one), and how many images lie in it."""

    low: str | float
    high: str | float
    images: int


@dataclass(frozen=True, slots=True)
class Facet:
    """A field over the images that pass a filter. `images`: those that have a value.

    values  the most frequent ones, of a field with texts
    ranges  of a field with numbers or dates
    """

    field: str
    kind: str
    images: int
    values: tuple[FacetValue, ...]
    ranges: tuple[FacetRange, ...]


@dataclass(frozen=True, slots=True)
class ImagePage:
    """One page of a list of images. `total`: images on all pages."""

    images: tuple[Image, ...]
    total: int
    next_offset: int | None


@dataclass(frozen=True, slots=True)
class ImageDetails:
    """Everything known of one image.

    file        its absolute path; None if the server hides paths
    companions  names of the files that belong to it: the raw file of its moment, the video of a live photo
    """

    image: Image
    root: str
    file: str | None
    companions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailurePage:
    """One page of the files that could not be indexed. `counts`: of all files, by outcome."""

    counts: Mapping[Outcome, int]
    failures: tuple[Image, ...]
    next_offset: int | None


@dataclass(frozen=True, slots=True)
class DuplicatePage:
    """One page of the groups that were found. `total`: groups on all pages.

    done         ids of those on this page that people are done with
    done_count   how many of all pages these are
    acceptable   groups with spare files, without those done, by the loosest kind of these
    reclaimable  bytes that the spare files of all groups take, without those done
    """

    found: Duplicates
    total: int
    next_offset: int | None
    done: tuple[str, ...] = ()
    done_count: int = 0
    acceptable: Mapping[Kind, int] = field(default_factory=dict)
    reclaimable: int = 0


@dataclass(frozen=True, slots=True)
class GroupsDone:
    """How many groups of duplicates people are done with."""

    done: int


@dataclass(frozen=True, slots=True)
class Refused:
    """An image, by id and path below its root, that stayed where it was, and why. `id` 0: not known."""

    id: int
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Trashed:
    """The result of a job that moves images to the trash.

    moved    ids of those that are there now; the library has them no more
    bytes    that they take
    record   names the record with which they are put back; "" for none
    groups   ids of the groups of duplicates whose spare files they were
    changed  ids of groups that are others now, and were left alone
    """

    moved: tuple[int, ...]
    refused: tuple[Refused, ...]
    bytes: int
    record: str
    groups: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Restored:
    """Which files came back from the trash, by their path below their roots; the result of a job."""

    restored: tuple[str, ...]
    refused: tuple[Refused, ...]


@dataclass(frozen=True, slots=True)
class TrashRecord:
    """Files that were moved to the trash, or to a folder, at one time.

    record  names the record with which they are put back
    when    ISO 8601
    files   that can be put back still
    """

    record: str
    when: str
    files: int


@dataclass(frozen=True, slots=True)
class TrashRecords:
    """Moves to the trash, the newest first."""

    records: tuple[TrashRecord, ...]


@dataclass(frozen=True, slots=True)
class Changed:
    """How many images were changed."""

    images: int


@dataclass(frozen=True, slots=True)
class SavedSearch:
    """A search that somebody gave a name: parameters of the page's address, such as "text=red&where=…"."""

    name: str
    query: str


@dataclass(frozen=True, slots=True)
class SavedSearches:
    """The saved searches, by name."""

    searches: tuple[SavedSearch, ...]


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    """One decision of a person.

    images, others      ids of the images that have the contents it is about
    paths, other_paths  the same by their paths below their roots
    first, second       SHA-256 of the contents in hex
    when                ISO 8601
    """

    kind: DecisionKind
    images: tuple[int, ...]
    others: tuple[int, ...]
    first: str
    second: str | None
    paths: tuple[str, ...]
    other_paths: tuple[str, ...]
    who: str
    when: str


@dataclass(frozen=True, slots=True)
class FeedbackList:
    """Decisions of people."""

    decisions: tuple[FeedbackRecord, ...]


@dataclass(frozen=True, slots=True)
class FeedbackAdded:
    """How many decisions were added that were not known."""

    added: int


@dataclass(frozen=True, slots=True)
class Removed:
    """How many images or decisions were removed."""

    removed: int


@dataclass(frozen=True, slots=True)
class IndexesRemoved:
    """Names of the spaces whose ANN index was removed."""

    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckHistory:
    """All measurements of an ANN index that were kept, oldest first."""

    checks: tuple[IndexCheck, ...]


JobStatus = Literal["waiting", "running", "done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class JobState:
    """The state of a job: work that takes long and runs in a process of its own.

    id       names the job; "" for none
    kind     "index", "import-vectors", "build-ann", "check-ann", "trash", "trash-spare", "undo-trash",
             "duplicates", "similar-groups", "map", "estimate" or "export"
    run      number of the run that does the job; one run can do several jobs that were asked for alike
    done     of `total`, in files, vectors or pairs; `total` is None until it is known
    stage    which part of the work is under way
    seconds_left  of the stage, at the pace so far; None if that is not known
    indexed, failed, rate  when indexing: files, files, files per second
    message  what it is doing, or how it ended
    started  ISO 8601; "" while it waits
    result   the document of the result, once it is done
    error    name of the error it failed with
    """

    id: str = ""
    kind: str = ""
    state: JobStatus = "waiting"
    run: int = 0
    done: int = 0
    total: int | None = None
    stage: str = ""
    seconds_left: float | None = None
    indexed: int = 0
    failed: int = 0
    rate: float = 0.0
    message: str = ""
    started: str = ""
    result: Mapping[str, Any] | None = field(default=None)
    error: str = ""

    @property
    def running(self) -> bool:
        """Whether the job is waiting or running."""
        return self.state in ("waiting", "running")


@dataclass(frozen=True, slots=True)
class JobList:
    """The jobs that wait or run, and those that ended last, the newest first."""

    jobs: tuple[JobState, ...]


@dataclass(frozen=True, slots=True)
class Session:
    """Whether the token was right, so that the cookie was set."""

    authenticated: bool


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the server can read its library.

    reachable  by part of the library, whether it answers: "library" for one in a folder, "database" and
               "vectors" (Milvus) for one in servers
    """

    status: Literal["ok", "unavailable"]
    version: str
    reachable: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class ExplainedImage:
    """Input of an extractor for one image, and the regions that mattered.

    frame    x, y, width, height of that part, as fractions
    heatmap  (8, 8) contribution of each place of the frame to the similarity
    marked   (8, 8) the places that contribute most
    """

    frame: tuple[float, ...]
    heatmap: tuple[tuple[float, ...], ...]
    marked: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation of the similarity of two images, as `lookalike.explain.match.Explanation.as_dict`."""

    extractor: str
    similarity: float
    kind: str
    method: str
    text: str
    images: tuple[ExplainedImage, ...]
    matches: tuple[Mapping[str, Any], ...]
    shares: Mapping[str, float]
    colours: tuple[Mapping[str, Any], ...]
    faithfulness: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Map:
    """Images laid out so that similar ones are close together. `ids`, `x`, `y`, `levels` are parallel arrays.

    levels        zoom level from which there is room for a thumbnail
    total         images that could be shown
    preservation  how well the nearest neighbours are preserved
    """

    extractor: str
    method: str
    ids: tuple[int, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    levels: tuple[int, ...]
    total: int
    preservation: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class MapGroups:
    """The groups by which the images of a map are colored.

    groups   in the order of the map's `ids`: indices into `names`, -1 for none
    typical  ids of at most three images that stand for each group
    """

    color: str
    names: tuple[str, ...]
    groups: tuple[int, ...]
    typical: tuple[tuple[int, ...], ...]


SEARCH_RESPONSE = Document(SearchResponse, flatten={"answer": RESPONSE_HEAD})
NAMED_FIELD = Document(NamedField, flatten={"facts": Document(FieldStats)})
IMAGE_DETAILS = Document(ImageDetails, flatten={"image": WHOLE_IMAGE})
DUPLICATE_PAGE = Document(DuplicatePage, flatten={"found": DUPLICATES})
JOB_STATE = Document(JobState, computed={"running": (bool, lambda state: state.running)})
