"""Contract of every store: images and their metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.stores.builders import (
    content,
    entry,
    failed,
    is_vector_of,
    photos,
    put,
    space,
    stored_vector,
)

from lookalike.errors import Outcome, UsageError
from lookalike.images.reading import InodeState
from lookalike.stores.interface import Store
from lookalike.stores.paths import image_by_path

PATHS = ["a.jpg", "b/c.jpg", "b/d e.jpg", "b-1.jpg", "ü/ß.jpg"]


def test_a_stored_image_is_read_back_with_all_its_fields(store: Store) -> None:
    [id] = put(store, entry("b/c.jpg", "text", mtime_ns=-5))
    with store.snapshot() as snapshot:
        image = snapshot.lookup(1, "b/c.jpg")
    assert image is not None
    assert (image.id, image.root, image.path) == (id, 1, "b/c.jpg")
    assert (image.size, image.mtime_ns, image.hash) == (4, -5, content("text"))
    assert (image.outcome, image.reason) == (Outcome.INDEXED, "")
    assert (image.width, image.height, image.format) == (40, 30, "jpeg")
    assert image.dominant_color == "#c0a080"
    assert image.metadata == {}
    assert is_vector_of(stored_vector(store, id), "text")


def test_ids_rise_in_the_order_of_the_entries(store: Store) -> None:
    ids = put(store, *(entry(path) for path in PATHS))
    assert ids == sorted(set(ids))
    with store.snapshot() as snapshot:
        images = snapshot.images(ids)
    assert [images[id].path for id in ids] == PATHS


def test_hit_fields_equal_those_of_the_image(store: Store) -> None:
    ids = put(store, *(entry(path) for path in PATHS))
    with store.writer() as writer:
        writer.set_metadata({ids[0]: {"kind": "shoe"}})
    with store.snapshot() as snapshot:
        images, shown = snapshot.images(ids), snapshot.hit_fields([*ids, 10**6])
    assert shown == {
        id: (i.root, i.path, i.metadata, i.width, i.height, i.dominant_color)
        for id, i in images.items()
    }
    assert shown[ids[0]].metadata == {"kind": "shoe"}


def test_unknown_paths_and_ids_are_missing(store: Store) -> None:
    put(store, entry("a.jpg"))
    with store.snapshot() as snapshot:
        assert snapshot.lookup(1, "b.jpg") is None
        assert snapshot.lookup(2, "a.jpg") is None
        assert snapshot.images([0, 77]) == {}
        assert np.isnan(snapshot.vectors("toy@1", np.array([77]))).all()


def test_file_states_tell_unchanged_files(store: Store) -> None:
    with store.writer() as writer:
        writer.add_space(space("other@1"))
        ids = writer.put([entry("a.jpg"), failed("b.jpg", hash=None), entry("c.jpg", vectors={})])
        known = writer.file_states(1, ["a.jpg", "b.jpg", "c.jpg", "missing.jpg"])
        assert writer.file_states(2, ["a.jpg"]) == {}
    assert {path: found.id for path, found in known.items()} == dict(
        zip(["a.jpg", "b.jpg", "c.jpg"], ids, strict=True)
    )
    assert known["a.jpg"].spaces == {"toy@1"}
    assert known["a.jpg"].hash == content("a.jpg")
    assert (known["b.jpg"].outcome, known["b.jpg"].hash) == (Outcome.TRUNCATED, None)
    assert known["c.jpg"].spaces == set()
    with store.snapshot() as snapshot:
        assert snapshot.file_states(1, ["a.jpg", "b.jpg", "c.jpg", "missing.jpg"]) == known


def test_file_states_takes_many_paths(store: Store) -> None:
    paths = [f"{number:05d}.jpg" for number in range(2_500)]
    with store.writer() as writer:
        ids = writer.put([entry(path, vectors={}) for path in paths])
        known = writer.file_states(1, [*paths, "missing.jpg"])
    assert [known[path].id for path in paths] == ids
    assert len(known) == 2_500


def test_putting_a_path_again_keeps_its_id_and_replaces_the_rest(store: Store) -> None:
    [first] = put(store, entry("a.jpg", "old"))
    [second] = put(store, entry("a.jpg", "newer", mtime_ns=2_000))
    assert first == second
    with store.snapshot() as snapshot:
        image = snapshot.images([first])[first]
        assert sum(snapshot.counts().values()) == 1
    assert (image.size, image.mtime_ns, image.hash) == (5, 2_000, content("newer"))
    assert is_vector_of(stored_vector(store, first), "newer")


def test_the_later_of_two_entries_for_one_path_wins(store: Store) -> None:
    ids = put(store, entry("a.jpg", "first"), entry("b.jpg"), entry("a.jpg", "second"))
    assert ids[0] == ids[2] != ids[1]
    assert is_vector_of(stored_vector(store, ids[0]), "second")


def test_changed_content_loses_the_vectors_of_spaces_that_are_not_named(store: Store) -> None:
    with store.writer() as writer:
        writer.add_space(space("other@1", dim=1))
        vectors = {"toy@1": np.ones(3, np.float32), "other@1": np.ones(1, np.float32)}
        [id] = writer.put([entry("a.jpg", "old", vectors=vectors)])
        writer.put([entry("a.jpg", "new")])
        assert writer.file_states(1, ["a.jpg"])["a.jpg"].spaces == {"toy@1"}
    assert stored_vector(store, id, "other@1") is None
    with store.snapshot() as snapshot:
        assert [one.count for one in snapshot.spaces()] == [1, 0]


def test_the_same_content_keeps_vectors_and_facts_that_are_not_named(store: Store) -> None:
    with store.writer() as writer:
        writer.add_space(space("other@1", dim=1))
        [id] = writer.put([entry("a.jpg")])
        other = {"other@1": np.ones(1, np.float32)}
        writer.put([entry("a.jpg", mtime_ns=2_000, facts=None, vectors=other)])
        assert writer.file_states(1, ["a.jpg"])["a.jpg"].spaces == {"toy@1", "other@1"}
    assert is_vector_of(stored_vector(store, id), "a.jpg")
    with store.snapshot() as snapshot:
        image = snapshot.images([id])[id]
    assert (image.width, image.mtime_ns) == (40, 2_000)


def test_a_new_vector_replaces_the_old_one(store: Store) -> None:
    [id] = put(store, entry("a.jpg"))
    put(store, entry("a.jpg", vectors={"toy@1": np.array([0, 0, 1], np.float32)}))
    vector = stored_vector(store, id)
    assert vector is not None
    assert vector.tolist() == [0, 0, 1]
    with store.snapshot() as snapshot:
        assert snapshot.spaces()[0].count == 1


def test_an_image_whose_file_was_damaged_loses_vectors_and_facts(store: Store) -> None:
    [id] = put(store, entry("a.jpg"))
    assert put(store, failed("a.jpg", text="broken")) == [id]
    assert stored_vector(store, id) is None
    with store.snapshot() as snapshot:
        image = snapshot.images([id])[id]
        assert snapshot.search("toy@1", np.ones((1, 3), np.float32), 5).ids.tolist() == [[-1] * 5]
    assert (image.outcome, image.reason) == (Outcome.TRUNCATED, "half of it is missing")
    assert (image.width, image.format) == (None, None)


def test_same_content_returns_images_of_that_size_with_a_hash(store: Store) -> None:
    ids = put(
        store, entry("a.jpg", "1234"), entry("b.jpg", "4321"), entry("c.jpg", "12345"),
        failed("d.jpg", size=4, hash=None),
    )  # fmt: skip
    with store.writer() as writer:
        assert [image.id for image in writer.same_content(4)] == ids[:2]
        assert writer.same_content(99) == []


def test_same_content_takes_a_hash_and_spaces(store: Store) -> None:
    with store.writer() as writer:
        writer.add_space(space("other@1"))
        both = {"toy@1": np.ones(3, np.float32), "other@1": np.ones(3, np.float32)}
        one, two, three = writer.put(
            [
                entry("a.jpg", "1234", vectors=both),
                entry("b.jpg", "4321"),
                failed("c.jpg", text="12 4"),
            ]
        )

        def found(**narrowed: Any) -> list[int]:
            return [image.id for image in writer.same_content(4, **narrowed)]

        assert found() == [one, two, three]
        assert found(spaces=["toy@1"]) == [one, two, three]
        assert found(spaces=frozenset(["toy@1", "other@1"])) == [one, three]
        assert found(spaces=["nothing@1"]) == [three]
        assert found(hash=content("4321")) == [two]
        assert found(hash=content("4321"), spaces=["other@1"]) == []
        assert found(hash=content("12 4"), spaces=["other@1"]) == [three]
        with store.snapshot() as snapshot:
            assert [image.id for image in snapshot.same_content(4)] == [one, two, three]
            assert [image.id for image in snapshot.same_content(4, hash=content("4321"))] == [two]
            assert snapshot.same_content(4, hash=content("4321"), spaces=["other@1"]) == []


def test_same_content_returns_the_oldest_of_very_many(store: Store) -> None:
    ids = put(store, *(entry(f"{n}.bmp", f"{n:04d}", vectors={}) for n in range(300)))
    with store.writer() as writer:
        assert [image.id for image in writer.same_content(4)] == ids[:256]
        assert [image.id for image in writer.same_content(4, hash=content("0299"))] == ids[299:]


def test_hashes_by_size_agrees_with_same_content(store: Store) -> None:
    with store.writer() as writer:
        writer.add_space(space("other@1"))
        both = {"toy@1": np.ones(3, np.float32), "other@1": np.ones(3, np.float32)}
        writer.put(
            [
                entry("a.jpg", "1234", vectors=both),
                entry("b.jpg", "4321"),
                entry("copy of b.jpg", "4321"),
                entry("c.jpg", "12345"),
                failed("d.jpg", text="12 4"),
            ]
        )
        assert writer.hashes_by_size([4, 5, 99]) == {
            4: (content("1234"), content("4321"), content("12 4")),
            5: (content("12345"),),
        }
        assert writer.hashes_by_size([5, 4], spaces=["other@1"]) == {
            4: (content("1234"), content("12 4"))
        }
        assert writer.hashes_by_size([4], spaces=["other@1"], failed=False) == {
            4: (content("1234"),)
        }
        assert writer.hashes_by_size([]) == {}


def test_images_are_found_by_their_content(store: Store) -> None:
    ids = put(store, entry("a.jpg", "same"), entry("b.jpg", "other"), entry("c.jpg", "same"))
    with store.snapshot() as snapshot:
        assert [image.id for image in snapshot.by_hash(content("same"))] == [ids[0], ids[2]]
        assert snapshot.by_hash(content("nothing")) == []


def test_images_below_a_folder_exclude_names_with_the_same_prefix(store: Store) -> None:
    put(store, *(entry(path) for path in PATHS))
    with store.snapshot() as snapshot:
        assert [image.path for image in snapshot.images_below(1, "b")] == ["b/c.jpg", "b/d e.jpg"]
        assert [image.path for image in snapshot.images_below(1, "b", 1)] == ["b/c.jpg"]
        assert [image.path for image in snapshot.images_below(1, "b/c.jpg")] == ["b/c.jpg"]
        assert len(snapshot.images_below(1, "")) == len(snapshot.images_below(1, ".")) == len(PATHS)
        assert snapshot.images_below(1, "nowhere") == snapshot.images_below(2, "") == []


def test_sweep_deletes_images_that_this_writer_has_not_seen(store: Store) -> None:
    ids = put(store, *(entry(path) for path in PATHS))
    with store.writer() as writer:
        writer.mark_seen([ids[0]])
        writer.put([entry("b/c.jpg")])
        assert writer.sweep(1, "", dry_run=True) == 3
        assert writer.sweep(1, "") == 3
        assert writer.sweep(1, "") == 0
    with store.snapshot() as snapshot:
        assert [image.path for image in snapshot.iter_files()] == ["a.jpg", "b/c.jpg"]
        assert snapshot.spaces()[0].count == 2


def test_a_dry_run_of_a_sweep_changes_nothing(store: Store) -> None:
    put(store, *(entry(path) for path in PATHS))
    with store.writer() as writer:
        assert writer.sweep(1, "", dry_run=True) == len(PATHS)
    with store.snapshot() as snapshot:
        assert snapshot.counts() == {Outcome.INDEXED: len(PATHS)}


def test_sweep_stays_below_the_folder_and_in_the_root(store: Store) -> None:
    with store.writer() as writer:
        second = writer.add_root(photos(store).parent / "second")
        writer.put([*(entry(path) for path in PATHS), entry("b/x.jpg", root=second.id)])
    with store.writer() as writer:
        assert writer.sweep(1, "b") == 2
    with store.snapshot() as snapshot:
        paths = [(image.root, image.path) for image in snapshot.iter_files()]
    assert paths == [(1, "a.jpg"), (1, "b-1.jpg"), (1, "ü/ß.jpg"), (second.id, "b/x.jpg")]


def test_marks_end_with_the_writer(store: Store) -> None:
    ids = put(store, entry("a.jpg"))
    with store.writer() as writer:
        writer.mark_seen(ids)
    with store.writer() as writer:
        assert writer.sweep(1, "") == 1


def test_removed_images_are_removed_everywhere(store: Store) -> None:
    ids = put(store, *(entry(path) for path in PATHS))
    with store.writer() as writer:
        writer.set_metadata({ids[1]: {"kind": "shoe"}})
        assert writer.remove([ids[1], ids[2], 77]) == 2
        assert writer.remove([]) == 0
    with store.snapshot() as snapshot:
        assert set(snapshot.images(ids)) == {ids[0], ids[3], ids[4]}
        assert snapshot.lookup(1, PATHS[1]) is None
        assert snapshot.spaces()[0].count == 3
        found = snapshot.search("toy@1", np.ones((1, 3), np.float32), 9).ids[0]
    assert set(found) == {ids[0], ids[3], ids[4], -1}


def test_ids_are_never_used_twice(store: Store) -> None:
    [first] = put(store, entry("a.jpg"))
    with store.writer() as writer:
        writer.remove([first])
    [second] = put(store, entry("a.jpg"))
    assert second > first


def test_iter_files_is_ordered_by_root_and_path_and_takes_outcomes(store: Store) -> None:
    put(store, failed("z.jpg", Outcome.TOO_SMALL), entry("b.jpg"), failed("a.jpg"))
    with store.snapshot() as snapshot:
        assert [image.path for image in snapshot.iter_files()] == ["a.jpg", "b.jpg", "z.jpg"]
        failures = snapshot.iter_files(outcomes=[Outcome.TOO_SMALL, Outcome.TRUNCATED])
        assert [image.path for image in failures] == ["a.jpg", "z.jpg"]
        assert [image.path for image in snapshot.iter_files(outcomes=[Outcome.INDEXED])] == [
            "b.jpg"
        ]
        assert list(snapshot.iter_files(outcomes=[])) == []
        assert snapshot.counts() == {
            Outcome.INDEXED: 1, Outcome.TOO_SMALL: 1, Outcome.TRUNCATED: 1,
        }  # fmt: skip


def test_metadata_is_any_json_and_is_replaced_as_a_whole(store: Store) -> None:
    ids = put(store, entry("a.jpg"), entry("b.jpg"))
    rich = {"kind": "Schuh", "price": 4.5, "tags": ["a", "ß"], "deep": {"none": None}, "yes": True}
    with store.writer() as writer:
        writer.set_metadata({ids[0]: rich, ids[1]: {"old": 1}})
        writer.set_metadata({ids[1]: {"new": 2}})
        writer.put([entry("a.jpg", "changed content")])
    with store.snapshot() as snapshot:
        images = snapshot.images(ids)
        assert next(snapshot.iter_files()).metadata == rich
    assert images[ids[0]].metadata == rich
    assert images[ids[1]].metadata == {"new": 2}


@pytest.mark.parametrize("values", [{"x": float("nan")}, {"x": object()}])
def test_metadata_that_is_not_json_is_refused(store: Store, values: dict[str, object]) -> None:
    [id] = put(store, entry("a.jpg"))
    with store.writer() as writer, pytest.raises(UsageError, match="JSON"):
        writer.set_metadata({id: values})


def test_metadata_of_an_unknown_image_changes_nothing(store: Store) -> None:
    [id] = put(store, entry("a.jpg"))
    with store.writer() as writer, pytest.raises(UsageError, match="not in the library"):
        writer.set_metadata({id: {"a": 1}, 77: {"a": 1}})
    with store.snapshot() as snapshot:
        assert snapshot.images([id])[id].metadata == {}


@pytest.mark.parametrize(
    ("vectors", "says"),
    [
        ({"nothing@1": np.ones(3, np.float32)}, "add that space first"),
        ({"toy@1": np.ones(4, np.float32)}, "shape"),
        ({"toy@1": np.ones((1, 3), np.float32)}, "shape"),
        ({"toy@1": np.array([1, np.nan, 1], np.float32)}, "NaN"),
        ({"toy@1": np.array([1, np.inf, 1], np.float32)}, "NaN"),
    ],
)
def test_an_invalid_vector_leaves_nothing_of_its_batch(
    store: Store, vectors: dict[str, np.ndarray], says: str
) -> None:
    with store.writer() as writer:
        with pytest.raises(UsageError, match=says):
            writer.put([entry("good.jpg"), entry("bad.jpg", vectors=vectors)])
        assert writer.file_states(1, ["good.jpg", "bad.jpg"]) == {}
        [id] = writer.put([entry("good.jpg")])
    assert is_vector_of(stored_vector(store, id), "good.jpg")


def test_a_failed_file_cannot_have_vectors(store: Store) -> None:
    with store.writer() as writer, pytest.raises(UsageError, match="cannot have vectors"):
        writer.put([failed("a.jpg", vectors={"toy@1": np.ones(3, np.float32)})])


def test_file_names_that_are_not_unicode_are_read_back_exactly(store: Store) -> None:
    # How Python represents the bytes b"caf\\xe9.jpg" (Latin-1) and a lone UTF-16 surrogate.
    odd = ["caf\udce9.jpg", "ordner\udcff/b.jpg", "\ud800.jpg", "b/\udce9.jpg", "b/ok.jpg", "'.jpg"]
    with store.writer() as writer:
        ids = writer.put([entry(path, text=ascii(path)) for path in odd])
        assert {path: found.id for path, found in writer.file_states(1, odd).items()} == dict(
            zip(odd, ids, strict=True)
        )
        writer.put([failed("bad.jpg", reason="cannot open 'caf\udce9.jpg'")])
    with store.snapshot() as snapshot:
        assert {image.path for image in snapshot.iter_files()} == {*odd, "bad.jpg"}
        assert {image.path for image in snapshot.images_below(1, "b")} == {
            "b/\udce9.jpg",
            "b/ok.jpg",
        }
        assert [image.path for image in snapshot.images_below(1, "ordner\udcff")] == [
            "ordner\udcff/b.jpg"
        ]
        broken = snapshot.lookup(1, "bad.jpg")
        assert broken is not None
        assert broken.reason == "cannot open 'caf\\udce9.jpg'"
    with store.writer() as writer:
        assert writer.sweep(1, "b") == 2
        assert writer.sweep(1, "ordner\udcff") == 1
        assert writer.sweep(1, "") == 4


def test_a_root_exists_once_however_its_path_is_written(empty: Store) -> None:
    folder = photos(empty)
    with empty.writer() as writer:
        first = writer.add_root(folder)
        assert writer.add_root(folder / "x" / "..") == first
        second = writer.add_root(folder / "inner")
        third = writer.add_root(folder.parent / "elsewhere")
    with empty.snapshot() as snapshot:
        assert snapshot.roots() == [first, second, third]
        assert [root.path for root in snapshot.roots()] == [
            folder, folder / "inner", folder.parent / "elsewhere",
        ]  # fmt: skip


def test_the_root_of_images_without_a_file_is_marked(store: Store) -> None:
    with store.writer() as writer:
        imported = writer.add_imported_root()
        assert writer.add_imported_root() == imported
    assert imported.imported
    with store.snapshot() as snapshot:
        assert [root.imported for root in snapshot.roots()] == [False, True]


def test_states_of_inodes_and_identities_of_roots_are_kept(store: Store) -> None:
    put(store, entry("a.jpg", inode=InodeState(-5, -(1 << 63))), entry("b.jpg"))
    with store.writer() as writer:
        states = writer.file_states(1, ["a.jpg", "b.jpg"])
        assert states["a.jpg"].inode == (-5, -(1 << 63))
        assert states["b.jpg"].inode is None
        writer.set_inodes({states["b.jpg"].id: InodeState(7, 8), 10**6: InodeState(1, 1)})
        writer.set_root_identity(1, "disk-2")
    with store.snapshot() as snapshot:
        assert snapshot.file_states(1, ["b.jpg"])["b.jpg"].inode == (7, 8)
        assert [root.identity for root in snapshot.roots()] == ["disk-2"]


def test_a_root_may_be_a_url(empty: Store) -> None:
    with empty.writer() as writer:
        first = writer.add_root(Path("s3://bucket/photos"))
        assert writer.add_root(Path("s3:/bucket/photos")) == first
        second = writer.add_root(Path("https:/"))
        writer.add_space(space())
        writer.put([entry("a.jpg", root=first.id), entry("b/c.jpg", root=second.id)])
    with empty.snapshot() as snapshot:
        assert [root.path for root in snapshot.roots()] == [
            Path("s3:/bucket/photos"),
            Path("https:/"),
        ]
        found = image_by_path(snapshot, Path("s3://bucket/photos/a.jpg"))
        assert found is not None
        assert (found.root, found.path) == (first.id, "a.jpg")
        assert image_by_path(snapshot, Path("s3://bucket/other/a.jpg")) is None


def test_pages_are_the_images_named_after_a_file(store: Store) -> None:
    names = ["a.pdf", "a.pdf#2", "a.pdf#10", "a.pdf#t=1.5", "a.pdf#x", "a.pdf#2/b.jpg", "a.pdf$"]
    with store.writer() as writer:
        writer.put([entry(name) for name in names])
        found = [image.path for image in writer.pages(1, "a.pdf")]
        assert sorted(found) == ["a.pdf#10", "a.pdf#2", "a.pdf#t=1.5"]
    with store.snapshot() as snapshot:
        assert [image.path for image in snapshot.pages(1, "a.pdf")] == found
        assert snapshot.pages(1, "a") == snapshot.pages(2, "a.pdf") == []
