"""Getting a model: fetched once, resumed, checked, found again, and refused in one line."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import UsageError
from lookalike.models import Fetching, Wanted, cached, fetch_files
from lookalike.models.hub import fetch_listing

COMMIT = "a" * 40
WEIGHTS = bytes(range(256)) * 40
WANTED = Wanted(always=("config.json", "onnx/model.onnx"), perhaps=("preprocessor_config.json",))


@pytest.fixture
def network(hub: Any) -> Any:
    """A hub with one network: two files that are wanted, one that is not."""
    hub.files = {
        "config.json": b"{}",
        "onnx/model.onnx": WEIGHTS,
        "onnx/model_fp16.onnx": b"half" * 9,
        "README.md": b"read me",
    }
    hub.large = {"onnx/model.onnx"}
    return hub


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_only_the_wanted_files_are_fetched_and_a_second_time_none(network: Any) -> None:
    first = fetch_files(network.source, WANTED)
    assert first.names == ("config.json", "onnx/model.onnx")
    assert first.revision == COMMIT
    assert first.path("onnx/model.onnx").read_bytes() == WEIGHTS
    assert network.fetched() == ["config.json", "onnx/model.onnx"]
    asked = len(network.asked)
    second = fetch_files(network.source, WANTED)
    assert (second.folder, second.names) == (first.folder, first.names)
    assert len(network.asked) == asked


def test_a_branch_keeps_to_the_commit_it_was_at_when_first_asked_for(network: Any) -> None:
    fetch_files(network.source, WANTED)
    network.files["onnx/model.onnx"] = b"a newer one"
    again = fetch_files(network.source, WANTED)
    assert again.revision == COMMIT
    assert again.path("onnx/model.onnx").read_bytes() == WEIGHTS


def test_a_broken_connection_is_resumed_where_it_broke(network: Any) -> None:
    network.breaks_after = 4000
    files = fetch_files(network.source, WANTED)
    assert files.path("onnx/model.onnx").read_bytes() == WEIGHTS
    ranges = [wanted for path, wanted in network.asked if path.endswith("model.onnx")]
    assert ranges == [None, "bytes=4000-"]
    assert not list(files.folder.rglob("*.part"))


def test_what_an_earlier_run_left_is_not_fetched_again(network: Any, home: Path) -> None:
    part = home / "models" / "someone--network" / COMMIT / "onnx" / "model.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:6000])
    assert fetch_files(network.source, WANTED).path("onnx/model.onnx").read_bytes() == WEIGHTS
    assert (f"/someone/network/resolve/{COMMIT}/onnx/model.onnx", "bytes=6000-") in network.asked


def test_a_server_that_ignores_ranges_starts_the_file_anew(network: Any, home: Path) -> None:
    network.ignores_ranges = True
    part = home / "models" / "someone--network" / COMMIT / "onnx" / "model.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:6000])
    assert fetch_files(network.source, WANTED).path("onnx/model.onnx").read_bytes() == WEIGHTS


@pytest.mark.parametrize("name", ["onnx/model.onnx", "config.json"])
def test_a_file_that_came_altered_is_refused_and_not_kept(network: Any, name: str) -> None:
    network.sends[name] = bytes(len(network.files[name]))
    with pytest.raises(UsageError, match=rf"{re.escape(name)} is not the file it should be"):
        fetch_files(network.source, WANTED)
    assert cached(network.source, WANTED) is None
    network.sends.clear()
    assert fetch_files(network.source, WANTED).path(name).read_bytes() == network.files[name]


def test_the_record_s_checksum_counts_more_than_the_hub_s_word(network: Any) -> None:
    with pytest.raises(UsageError, match=r"model\.onnx is not the file it should be"):
        fetch_files(network.source, WANTED, sha256={"onnx/model.onnx": sha256(b"the real one")})


def test_a_file_altered_on_disk_is_refused_by_name(network: Any) -> None:
    path = fetch_files(network.source, WANTED).path("onnx/model.onnx")
    path.write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(UsageError, match=r"model\.onnx is damaged or was altered .* delete it"):
        fetch_files(network.source, WANTED)
    path.unlink()
    assert fetch_files(network.source, WANTED).path("onnx/model.onnx").read_bytes() == WEIGHTS


def test_progress_ends_at_the_sum_of_all_files(network: Any) -> None:
    seen: list[Fetching] = []
    fetch_files(network.source, WANTED, progress=seen.append)
    total = len(WEIGHTS) + 2
    assert seen[0].file == "config.json"
    assert (seen[-1].done, seen[-1].total, seen[-1].source) == (total, total, network.source)
    assert [f.done for f in seen] == sorted(f.done for f in seen)


def test_a_missing_file_is_named_and_the_ones_beside_it_are_listed(network: Any) -> None:
    with pytest.raises(UsageError, match=r"no onnx/model_q4\.onnx; there are model\.onnx, model_f"):
        fetch_files(network.source, Wanted(always=("onnx/model_q4.onnx",)))


def test_an_unknown_repository_is_named(network: Any) -> None:
    with pytest.raises(UsageError, match="has no model someone/else at revision main"):
        fetch_files("someone/else", WANTED)


def test_without_a_network_the_message_says_what_to_copy_where(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UsageError) as caught:
        fetch_files("someone/network", WANTED)
    said = str(caught.value)
    assert "\n" not in said
    assert f"copy the folder {home / 'models' / 'someone--network'}" in said
    assert "--model-dir" in said


def test_offline_nothing_is_asked_of_the_hub(network: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE is set"):
        fetch_files(network.source, WANTED)
    assert network.asked == []


def test_the_folder_copied_from_another_machine_is_found_offline(
    network: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_files(network.source, WANTED)
    (home / "stick").mkdir()
    (home / "models" / "someone--network").rename(home / "stick" / "someone--network")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    files = fetch_files(network.source, WANTED, folder=home / "stick")
    assert files.revision == COMMIT
    assert files.sha256["onnx/model.onnx"] == sha256(WEIGHTS)


@pytest.mark.parametrize("place", ["someone--network", "someone/network", "network"])
def test_a_folder_put_there_by_hand_is_found(home: Path, place: str) -> None:
    _write_model(home / "models" / place)
    files = fetch_files("someone/network", WANTED)
    assert files.folder == home / "models" / place
    assert files.revision is None


def test_the_cache_of_hugging_face_s_own_tools_is_read_and_checked(home: Path) -> None:
    root = home / "huggingface" / "hub" / "models--someone--network"
    blob = root / "blobs" / sha256(WEIGHTS)
    snapshot = root / "snapshots" / COMMIT
    _write_model(snapshot)
    blob.parent.mkdir()
    (snapshot / "onnx" / "model.onnx").rename(blob)
    (snapshot / "onnx" / "model.onnx").symlink_to(blob)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    files = fetch_files("someone/network", WANTED)
    assert (files.folder, files.revision) == (snapshot, COMMIT)
    blob.write_bytes(b"truncated")
    with pytest.raises(UsageError, match=r"model\.onnx is damaged"):
        fetch_files("someone/network", WANTED)


def test_a_git_lfs_pointer_is_not_taken_for_the_weights(home: Path) -> None:
    folder = home / "models" / "someone--network"
    _write_model(folder)
    (folder / "onnx" / "model.onnx").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    )
    with pytest.raises(UsageError, match=r"model\.onnx is a Git LFS pointer.*git lfs pull"):
        fetch_files("someone/network", WANTED)


def test_the_token_goes_to_the_hub(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetch_files(network.source, WANTED)
    assert set(network.tokens) == {"Bearer secret"}


def test_weights_beside_a_graph_come_with_it(network: Any) -> None:
    network.files["onnx/model.onnx_data"] = b"more"
    network.files["onnx/model.onnx_data_1"] = b"most"
    names = fetch_files(network.source, WANTED).names
    assert names[-2:] == ("onnx/model.onnx_data", "onnx/model.onnx_data_1")


def test_no_name_leads_out_of_the_models_folder(network: Any, home: Path) -> None:
    network.files["onnx/model.onnx_data/../../../../evil"] = b"evil"
    assert fetch_files(network.source, WANTED).names == ("config.json", "onnx/model.onnx")
    assert not list(home.rglob("evil"))


@pytest.mark.parametrize(
    "name", ["/evil", "onnx\\..\\evil", "C:evil", "../evil", "onnx/../../evil"]
)
def test_names_of_a_repository_that_are_no_plain_paths_are_left_out(
    network: Any, name: str
) -> None:
    network.files[name] = b"evil"
    assert name not in fetch_listing(network.source, "main").files


@pytest.mark.parametrize("commit", ["../../evil", "/tmp/evil", "main", ""])
def test_a_commit_that_is_none_names_no_folder(network: Any, home: Path, commit: str) -> None:
    network.commit = commit
    with pytest.raises(UsageError, match="answers nothing that can be read"):
        fetch_files(network.source, WANTED)
    assert not (home / "models").exists()


def test_more_bytes_than_were_promised_are_not_kept(network: Any, home: Path) -> None:
    network.sends["onnx/model.onnx"] = bytes(20_000_000)
    seen: list[Fetching] = []
    with pytest.raises(UsageError, match="bytes, expected 10240"):
        fetch_files(network.source, WANTED, progress=seen.append)
    assert max(one.done for one in seen) <= len(WEIGHTS) + 2
    assert not list((home / "models").rglob("*.part"))


def _write_model(folder: Path) -> None:
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "onnx" / "model.onnx").write_bytes(WEIGHTS)
