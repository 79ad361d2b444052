"""What is done with chosen images over HTTP: tags, removal, the trash and the way back, saved searches."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.library.image_builders import album
from tests.server.conftest import ADDRESS, CSRF_HEADERS
from tests.server.test_changes import ended

from lookalike.errors import UsageError
from lookalike.library import Library
from lookalike.server.app import create_app
from lookalike.server.jobs.process import undo_trash
from lookalike.server.settings import Settings

pytestmark = pytest.mark.usefixtures("jobs_in_threads")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six images and two exact copies of the first one; the trash is a folder of the test."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for module in [name for name in sys.modules if name.startswith("send2trash")]:
        monkeypatch.delitem(sys.modules, module)  # it finds the trash when it is imported
    folder = album(tmp_path / "photos", 6)
    for name in ("copy.jpg", "odd/copy.jpg"):
        shutil.copy2(folder / "000.jpg", folder / name)
    return folder


@pytest.fixture
def client(folder: Path) -> Iterator[TestClient]:
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
        settings = Settings(writable=True, job_wait=120.0)
        with TestClient(
            create_app(library, settings), base_url=ADDRESS, headers=CSRF_HEADERS
        ) as client:
            yield client


def paths(client: TestClient, where: str = "") -> list[str]:
    found = client.get("/api/images", params={"where": where or "id > 0", "k": 100}).json()
    return sorted(image["path"] for image in found["images"])


def id_of(client: TestClient, path: str) -> int:
    found = client.get("/api/images", params={"where": f"path = '{path}'"}).json()["images"]
    id: int = found[0]["id"]
    return id


def test_tags_are_added_and_removed_filtered_and_kept_by_content(
    client: TestClient, folder: Path
) -> None:
    ids = [id_of(client, "000.jpg"), id_of(client, "002.jpg")]
    changed = client.patch("/api/images", json={"ids": ids, "add_tags": [" beach ", "2024"]})
    assert changed.json() == {"images": 2}
    client.patch("/api/images", json={"ids": ids[:1], "remove_tags": "2024", "add_tags": "beach"})
    assert paths(client, "tags = 'beach'") == ["000.jpg", "002.jpg"]
    assert paths(client, "tags = '2024'") == ["002.jpg"]
    client.patch("/api/images", json={"ids": ids[1:], "metadata": {"caption": "a dune"}})
    image = client.get(f"/api/images/{ids[1]}").json()
    assert image["metadata"] == {"tags": ["beach", "2024"], "caption": "a dune"}
    client.patch("/api/images", json={"ids": ids[1:], "metadata": {"caption": None}})
    assert client.get(f"/api/images/{ids[1]}").json()["metadata"] == {"tags": ["beach", "2024"]}
    assert client.request("DELETE", "/api/images", json={"ids": ids[1:]}).json() == {"removed": 1}
    (folder / "002.jpg").rename(folder / "renamed.jpg")
    assert ended(client, client.post("/api/images", json={}))["state"] == "done"
    assert paths(client, "tags = '2024'") == ["renamed.jpg"]


def test_what_makes_no_sense_changes_nothing(client: TestClient) -> None:
    for body, status in (
        ({"ids": [1]}, 422),
        ({"ids": [], "add_tags": ["a"]}, 422),
        ({"ids": [1], "add_tags": ["  "]}, 422),
        ({"ids": [1, 999], "add_tags": ["a"]}, 404),
        ({"ids": [1], "tags": ["a"]}, 422),
    ):
        assert client.patch("/api/images", json=body).status_code == status, body
    assert client.post("/api/images/trash", json={"ids": [999]}).status_code == 404
    assert client.post("/api/trash/undo", json={"record": "../../secret"}).status_code == 404
    fields = {field["name"] for field in client.get("/api/fields").json()["fields"]}
    assert "tags" not in fields


def test_images_go_to_the_trash_with_their_sidecars_and_come_back(
    client: TestClient, folder: Path
) -> None:
    (folder / "000.jpg.xmp").write_text("<x/>")
    ids = [id_of(client, "000.jpg"), id_of(client, "002.jpg")]
    (folder / "002.jpg").write_bytes(b"another file")
    state = ended(client, client.post("/api/images/trash", json={"ids": ids}))
    result = state["result"]
    assert state["message"] == "1 image moved to the trash"
    assert result["moved"] == ids[:1] and "changed" in result["refused"][0]["reason"]
    assert not (folder / "000.jpg").exists() and not (folder / "000.jpg.xmp").exists()
    assert "000.jpg" not in paths(client)
    (record,) = client.get("/api/trash").json()["records"]
    assert (record["record"], record["files"]) == (result["record"], 2)
    undone = ended(client, client.post("/api/trash/undo", json={"record": record["record"]}))
    assert sorted(undone["result"]["restored"]) == ["000.jpg", "000.jpg.xmp"]
    assert (folder / "000.jpg.xmp").exists() and "000.jpg" in paths(client)
    assert client.get("/api/trash").json()["records"] == []


def test_the_spare_files_of_groups_go_to_the_trash_and_come_back(
    client: TestClient, folder: Path
) -> None:
    sheet = client.get("/api/duplicates", params={"kind": "exact"}).json()
    (group,) = sheet["groups"]
    assert (sheet["acceptable"], sheet["done"], len(group["members"])) == ({"exact": 1}, [], 3)
    assert sheet["reclaimable"] == 2 * (folder / "000.jpg").stat().st_size
    state = ended(client, client.post("/api/duplicates/trash", json={"kind": "exact"}))
    result = state["result"]
    assert result["groups"] == [group["id"]] and len(result["moved"]) == 2
    kept = group["members"][0]["path"]
    left = {"000.jpg", "copy.jpg", "odd/copy.jpg"} & set(paths(client))
    assert left == {kept}
    assert client.get("/api/duplicates", params={"kind": "exact"}).json()["total"] == 0
    ended(client, client.post("/api/trash/undo", json={"record": result["record"]}))
    (again,) = client.get("/api/duplicates", params={"kind": "exact"}).json()["groups"]
    assert again["id"] == group["id"] and len(again["members"]) == 3


def test_evidence_is_that_of_the_pair_shown_after_another_image_is_kept(
    client: TestClient, folder: Path
) -> None:
    from PIL import Image

    with Image.open(folder / "000.jpg") as image:
        image.save(folder / "small.jpg", quality=60)
    with Library.open(folder) as library:
        library.add([folder], extractors=["color", "phash", "dhash"])
    (before,) = client.get("/api/duplicates").json()["groups"]
    small = next(one for one in before["members"] if one["path"] == "small.jpg")
    assert small["kind"] == "copy"
    started: list[int] = []
    jobs = client.app.state.server.jobs  # type: ignore[attr-defined]
    run = jobs.run

    def run_counted(kind: str, arguments: dict[str, Any]) -> Any:
        started.append(len(arguments["paths"]))
        return run(kind, arguments)

    jobs.run = run_counted
    client.post("/api/feedback", json={"kind": "keep", "image": small["id"]})
    (after,) = client.get("/api/duplicates").json()["groups"]
    assert after["id"] == before["id"] and started == [4]
    assert after["members"][0]["path"] == "small.jpg"
    assert {one["kind"] for one in after["members"][1:]} == {"copy"}
    assert all("same bytes" not in one["evidence"].lower() for one in after["members"][1:])


def test_groups_that_somebody_is_done_with_are_remembered(client: TestClient) -> None:
    (group,) = client.get("/api/duplicates", params={"kind": "exact"}).json()["groups"]
    body: dict[str, Any] = {"groups": [group["id"]]}
    assert client.post("/api/duplicates/done", json=body).json() == {"done": 1}
    for show, count in (("open", 0), ("done", 1), ("all", 1)):
        sheet = client.get("/api/duplicates", params={"kind": "exact", "show": show}).json()
        assert (sheet["total"], sheet["done_count"], sheet["acceptable"]) == (count, 1, {})
    assert sheet["done"] == [group["id"]] and sheet["reclaimable"] == 0
    client.post("/api/duplicates/done", json={**body, "done": False})
    assert client.get("/api/duplicates", params={"kind": "exact"}).json()["done_count"] == 0
    for wrong in ({"groups": ["0" * 16]}, {}):
        answer = client.post("/api/duplicates/trash", json=wrong)
        assert answer.status_code in (409, 422)


def test_searches_are_saved_under_names(client: TestClient) -> None:
    assert client.put("/api/searches/Red things", json={"query": "text=red"}).status_code == 200
    client.put("/api/searches/a b", json={"query": "where=x"})
    client.put("/api/searches/a b", json={"query": "where=y"})
    assert client.get("/api/searches").json()["searches"] == [
        {"name": "a b", "query": "where=y"},
        {"name": "Red things", "query": "text=red"},
    ]
    assert client.delete("/api/searches/a b").status_code == 200
    assert client.delete("/api/searches/a b").status_code == 404


def test_images_are_exported_as_table_list_and_archive(client: TestClient, folder: Path) -> None:
    ids = [id_of(client, "odd/001.jpg"), id_of(client, "000.jpg")]
    client.patch("/api/images", json={"ids": ids[:1], "metadata": {"caption": 'a "red", b'}})
    client.patch("/api/images", json={"ids": ids[:1], "add_tags": ["x", "y"]})

    def exported(**body: Any) -> Any:
        return client.post("/api/images/export", json=body)

    assert exported(ids=ids, format="paths").text == "odd/001.jpg\n000.jpg\n"
    rows = list(csv.DictReader(io.StringIO(exported(ids=ids).text)))
    assert [row["path"] for row in rows] == ["odd/001.jpg", "000.jpg"]
    assert (rows[0]["caption"], rows[0]["tags"], rows[1]["tags"]) == ('a "red", b', "x; y", "")
    documents = exported(where="tags = 'x'", format="json").json()["images"]
    assert [one["metadata"]["tags"] for one in documents] == [["x", "y"]]
    assert str(folder) not in exported(ids=ids, format="json").text
    (folder / "002.jpg").unlink()
    gone = id_of(client, "002.jpg")
    response = exported(ids=[*ids, gone], format="zip")
    assert response.headers["content-disposition"] == 'attachment; filename="images.zip"'
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert archive.namelist() == ["odd/001.jpg", "000.jpg", "missing.txt"]
        assert archive.read("000.jpg") == (folder / "000.jpg").read_bytes()
        assert archive.testzip() is None
    for body in ({}, {"ids": [1], "where": ""}, {"ids": [999]}, {"where": "nonsense ="}):
        assert exported(**body).status_code in (400, 404, 422), body


def test_what_a_strangers_library_calls_an_image_is_not_exported(
    client: TestClient, folder: Path, tmp_path: Path
) -> None:
    id = id_of(client, "002.jpg")
    shutil.copy(folder / "000.jpg", tmp_path / "secret.jpg")
    (folder / "notes.txt").write_text("mine")
    (folder / "link").symlink_to(tmp_path)
    for path in (
        ".lookalike/catalogue.sqlite", "notes.txt", "odd/../000.jpg", "../secret.jpg", "link/secret.jpg"
    ):  # fmt: skip
        with closing(sqlite3.connect(folder / ".lookalike" / "catalogue.sqlite")) as catalogue:
            catalogue.execute("UPDATE images SET path = ? WHERE id = ?", (path, id))
            catalogue.commit()
        response = client.post("/api/images/export", json={"ids": [id], "format": "zip"})
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            assert archive.namelist() == ["missing.txt"], path
        for what in ("file", "thumbnail", "tile"):
            assert client.get(f"/api/images/{id}/{what}").status_code in (404, 415), path


@pytest.mark.parametrize(
    ("action", "source", "target"),
    [
        ("move", "{out}/autostart", "{lib}/payload"),
        ("move", "autostart", "{lib}/payload"),
        ("move", "{lib}/link/autostart", "{lib}/payload"),
        ("move", "{lib}/../autostart", "{lib}/payload"),
        ("move", "{lib}/.config/autostart", "{lib}/payload"),
        ("move", "{lib}/back.jpg", "{out}/known"),
        ("copy", "{lib}/000.jpg", "{out}/known"),
        ("copy", "{lib}/000.jpg", "{lib}/link/known"),
    ],
)
def test_the_record_of_a_stranger_moves_nothing_outside_the_library(
    folder: Path, tmp_path: Path, action: str, source: str, target: str
) -> None:
    out = tmp_path / "elsewhere"
    out.mkdir()
    (folder / "link").symlink_to(out)
    for file in (folder / "payload", out / "known"):
        file.write_bytes(b"evil")
    places = {"lib": str(folder), "out": str(out)}
    step = {"step": 1, "action": action, "sha256": hashlib.sha256(b"evil").hexdigest()}
    step |= {"from": source.format(**places), "to": target.format(**places)}
    with Library.create(folder) as library:
        library.add([folder / "000.jpg"], extractors=["color"])
        record = library.folder / "moved" / "x.jsonl"
        record.parent.mkdir()
        record.write_text(f'{{"format": "lookalike moved files 1"}}\n{json.dumps(step)}\n')
        with pytest.raises(UsageError, match=r"outside the library's folders|is not a record"):
            undo_trash(library, {"record": "x"}, lambda *_: None)
    assert (folder / "payload").exists() and [file.name for file in out.iterdir()] == ["known"]


def test_a_read_only_server_changes_nothing(library: Library) -> None:
    with TestClient(create_app(library), base_url=ADDRESS, headers=CSRF_HEADERS) as client:
        for method, address, body in (
            ("PATCH", "/api/images", {"ids": [1], "add_tags": ["a"]}),
            ("DELETE", "/api/images", {"ids": [1]}),
            ("POST", "/api/images/trash", {"ids": [1]}),
            ("POST", "/api/trash/undo", {"record": "x"}),
            ("POST", "/api/duplicates/trash", {"kind": "exact"}),
            ("POST", "/api/duplicates/done", {"groups": ["0" * 16]}),
            ("PUT", "/api/searches/x", {"query": ""}),
            ("DELETE", "/api/searches/x", None),
        ):
            assert client.request(method, address, json=body).status_code == 403, address
