"""Several spaces in one library, and new revisions of an extractor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tests.library.fake_extractors import CallLogger, Fitted, Revised
from tests.library.image_builders import album, draw

from lookalike import Hits, Library, Progress, Query
from lookalike.errors import Outcome, UsageError
from lookalike.images.pixel_spec import PixelSpec
from lookalike.query import Term
from lookalike.stores.interface import Space

COUNT = 40

pytestmark = pytest.mark.usefixtures("small_steps")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return album(tmp_path / "photos", COUNT)


def interrupt(progress: Progress) -> None:
    """Raise KeyboardInterrupt when some images are done, but not all."""
    if progress.path and 0 < progress.indexed < COUNT:
        raise KeyboardInterrupt


def spaces(library: Library) -> dict[str, Space]:
    """Return the spaces by key."""
    return {space.key: space for space in library.info().spaces}


def stored(library: Library, key: str) -> np.ndarray:
    """Return the vectors of all images in a space."""
    with library.snapshot() as snapshot:
        images = sorted(
            snapshot.iter_files(outcomes=[Outcome.INDEXED]), key=lambda image: image.path
        )
        return snapshot.vectors(key, np.array([image.id for image in images], np.int64))


def search(library: Library, image: Path, *by: str, k: int = COUNT) -> Hits:
    return library.search(Query((Term(image=image),), k=k, extractors=by))


def ranking(hits: Hits) -> list[str]:
    return [hit.path for hit in hits.hits]


# ---- several at once ----


def test_several_spaces_need_one_read_and_one_decoding(photos: Path, tmp_path: Path) -> None:
    # The logger wants the image in another size than the others do: still one decoding.
    logger = CallLogger("logger", tmp_path / "log", PixelSpec(fit="stretch", height=8, width=8))
    with Library.create(photos) as library:
        added = library.add([photos], extractors=["color", "shape", "histogram", logger])
        assert added.new == COUNT
        assert added.spaces == ("color", "shape", "histogram", "logger")
        assert {space.count for space in spaces(library).values()} == {COUNT}
    files = sorted(str(path) for path in photos.rglob("*.jpg"))
    assert logger.calls("read") == logger.calls("decode") == files


def test_a_space_added_later_reads_each_file_once_and_keeps_the_others(
    photos: Path, tmp_path: Path
) -> None:
    logger = CallLogger("logger", tmp_path / "log", PixelSpec(min_side=8))
    with Library.create(photos) as library:
        library.add([photos], extractors=["color"])
        before = stored(library, "color@1")
        added = library.add([photos], extractors=["shape", logger])
        assert (added.added_vectors, added.new, added.changed) == (COUNT, 0, 0)
        assert len(logger.calls("read")) == len(logger.calls("decode")) == COUNT
        assert np.array_equal(stored(library, "color@1"), before)
        # What has all spaces is not opened again.
        again = library.add([photos], extractors=["color", "shape", logger])
        assert again.unchanged == COUNT and len(logger.calls("read")) == COUNT


def test_spaces_indexed_together_are_those_indexed_alone(photos: Path, tmp_path: Path) -> None:
    # A JPEG may be scaled while it is decoded, as far as its neediest extractor allows.
    names = ["color", "histogram", "dhash"]
    with Library.create(photos, folder=tmp_path / "all") as together:
        together.add([photos], extractors=names)
        for name in names:
            with Library.create(photos, folder=tmp_path / name) as alone:
                alone.add([photos], extractors=[name])
                (key,) = spaces(alone)
                assert np.allclose(stored(alone, key), stored(together, key), atol=1e-6)


def test_extractors_select_the_spaces(photos: Path, tmp_path: Path) -> None:
    query = draw(tmp_path / "query.png", 99)
    with Library.create(photos) as library:
        library.add([photos], extractors=["color", "shape"])
        first, color, shape = (search(library, query, *by) for by in ((), ("color",), ("shape",)))
        assert (first.ranked_by, color.ranked_by, shape.ranked_by) == ("color", "color", "shape")
        assert ranking(first) == ranking(color) != ranking(shape)
    with Library.create(photos, folder=tmp_path / "alone") as alone:
        alone.add([photos], extractors=["shape"])
        assert ranking(search(alone, query)) == ranking(shape)


def test_an_unknown_space_is_refused_with_a_list_of_spaces(photos: Path) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=["color"])
        with pytest.raises(UsageError, match="color"):
            search(library, photos / "000.jpg", "shape")


# ---- another revision ----


def test_a_new_revision_replaces_the_old_one_when_it_is_complete(
    photos: Path,
) -> None:
    seen: list[tuple[str, bool]] = []
    with Library.create(photos) as library, Library.open(photos, read_only=True) as reader:
        library.add([photos], extractors=[Revised("1")])
        before = stored(library, "toy@1")

        def look(progress: Progress) -> None:
            seen.extend((space.key, space.current) for space in reader.info().spaces)

        second = Revised("2")
        added = library.add([photos], extractors=[second], progress=look)
        assert (added.added_vectors, second.extracted) == (COUNT, COUNT)
        assert ("toy@1", True) in seen and ("toy@2", False) in seen
        assert [(s.key, s.current, s.count) for s in spaces(library).values()] == [
            ("toy@2", True, COUNT)
        ]
        unit = stored(library, "toy@2")
        assert not np.allclose(unit, before, atol=0.01)


def test_an_interrupted_run_leaves_the_old_space_in_use(photos: Path, tmp_path: Path) -> None:
    query = draw(tmp_path / "query.png", 99)
    with Library.create(photos) as library:
        library.add([photos], extractors=[Revised("1")])
        before, old = search(library, query), stored(library, "toy@1")
        with pytest.raises(KeyboardInterrupt):
            library.add([photos], extractors=[Revised("2")], progress=interrupt)
        here = spaces(library)
        assert here["toy@1"].current and not here["toy@2"].current
        assert 0 < here["toy@2"].count < COUNT
        assert np.array_equal(stored(library, "toy@1"), old)
        # Images of the library are searched by their stored vectors; all spaces can be used.
        assert len(search(library, photos / "000.jpg")) == COUNT
        # The old revision answers for new images, as before.
        library.register(Revised("1"))
        assert ranking(search(library, query)) == ranking(before)
        done = Revised("2")
        added = library.add([photos], extractors=[done])
        assert added.unchanged == here["toy@2"].count
        assert done.extracted == COUNT - added.unchanged
        assert list(spaces(library)) == ["toy@2"]


def test_a_new_image_is_never_compared_with_vectors_of_another_revision(
    photos: Path, tmp_path: Path
) -> None:
    query = draw(tmp_path / "query.png", 99)
    with Library.create(photos) as library:
        library.add([photos], extractors=[Revised("1")])
    with Library.open(photos) as library:
        library.register(Revised("2"))
        with pytest.raises(UsageError, match="revision 1, this is 2: renew them with"):
            search(library, query)


def test_a_part_of_the_library_does_not_promote_a_revision(photos: Path) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=[Revised("1")])
        library.add([photos / "odd"], extractors=[Revised("2")])
        assert spaces(library)["toy@1"].current
        library.add([photos], extractors=[Revised("2")])
        assert list(spaces(library)) == ["toy@2"]


def test_promotion_does_not_affect_other_spaces(photos: Path) -> None:
    with Library.create(photos) as library:
        library.add([photos], extractors=["histogram", Revised("1")])
        (other,) = [key for key in spaces(library) if key.startswith("histogram@")]
        before = stored(library, other)
        library.add([photos], extractors=[Revised("2")])
        assert sorted(spaces(library)) == [other, "toy@2"]
        assert np.array_equal(stored(library, other), before)


# ---- fitted extractors ----


def fitted_keys(library: Library) -> Sequence[str]:
    return [space.key for space in library.info().spaces if space.name == "fitted-toy"]


def test_fitted_arrays_are_used_for_images_added_later(photos: Path) -> None:
    fits: list[int] = []
    with Library.create(photos) as library:
        library.add([photos], extractors=[Fitted("1", fits)])
        assert fits == [COUNT]
        draw(photos / "new.jpg", 500)
    with Library.open(photos) as library:
        added = library.add([photos], extractors=[Fitted("1", fits)])
        assert (added.new, added.unchanged) == (1, COUNT)
        assert fits == [COUNT]
        assert len(fitted_keys(library)) == 1


def test_an_interrupted_first_run_resumes_without_fitting_again(photos: Path) -> None:
    fits: list[int] = []
    with Library.create(photos) as library:
        with pytest.raises(KeyboardInterrupt):
            library.add([photos], extractors=[Fitted("1", fits)], progress=interrupt)
        library.add([photos], extractors=[Fitted("1", fits)])
        assert fits == [COUNT] and len(fitted_keys(library)) == 1


def test_a_new_revision_is_fitted_once_even_if_interrupted(photos: Path) -> None:
    fits: list[int] = []
    with Library.create(photos) as library:
        library.add([photos], extractors=[Fitted("1", fits)])
        (old,) = fitted_keys(library)
        with pytest.raises(KeyboardInterrupt):
            library.add([photos], extractors=[Fitted("2", fits)], progress=interrupt)
        assert spaces(library)[old].current and len(fitted_keys(library)) == 2
        added = library.add([photos], extractors=[Fitted("2", fits)])
        assert len(fits) == 2
        assert added.unchanged > 0
        (new,) = fitted_keys(library)
        assert new.startswith("fitted-toy@2-") and spaces(library)[new].count == COUNT
