"""Models are downloaded once, resumed, checked, found again, and refused with a one-line error."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lookalike.errors import MissingExtra, StorageFull, UsageError
from lookalike.models import FetchProgress, FileSpec, fetch_files, find_cached
from lookalike.models.download import list_repository

COMMIT = "a" * 40
WEIGHTS = bytes(range(256)) * 40
SPEC = FileSpec(required=("config.json", "onnx/model.onnx"), optional=("preprocessor_config.json",))


@pytest.fixture
def network(hub: Any) -> Any:
    """Return a hub with one network: two files that are needed, two that are not."""
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


def test_only_the_needed_files_are_downloaded_and_only_once(network: Any) -> None:
    first = fetch_files(network.source, SPEC)
    assert first.names == ("config.json", "onnx/model.onnx")
    assert first.revision == COMMIT
    assert first.path("onnx/model.onnx").read_bytes() == WEIGHTS
    assert network.fetched() == ["config.json", "onnx/model.onnx"]
    before = len(network.requests)
    second = fetch_files(network.source, SPEC)
    assert (second.folder, second.names) == (first.folder, first.names)
    assert len(network.requests) == before


def test_a_branch_stays_at_the_commit_of_its_first_download(network: Any) -> None:
    fetch_files(network.source, SPEC)
    network.files["onnx/model.onnx"] = b"a newer one"
    again = fetch_files(network.source, SPEC)
    assert again.revision == COMMIT
    assert again.path("onnx/model.onnx").read_bytes() == WEIGHTS


def test_a_broken_connection_is_resumed(network: Any) -> None:
    network.breaks_after = 4000
    files = fetch_files(network.source, SPEC)
    assert files.path("onnx/model.onnx").read_bytes() == WEIGHTS
    ranges = [wanted for path, wanted in network.requests if path.endswith("model.onnx")]
    assert ranges == [None, "bytes=4000-"]
    assert not list(files.folder.rglob("*.part"))


def test_a_partial_download_of_an_earlier_run_is_resumed(network: Any, home: Path) -> None:
    part = home / "models" / "someone--network" / COMMIT / "onnx" / "model.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:6000])
    assert fetch_files(network.source, SPEC).path("onnx/model.onnx").read_bytes() == WEIGHTS
    assert (f"/someone/network/resolve/{COMMIT}/onnx/model.onnx", "bytes=6000-") in network.requests


def test_a_server_that_ignores_ranges_sends_the_file_again(network: Any, home: Path) -> None:
    network.ignores_ranges = True
    part = home / "models" / "someone--network" / COMMIT / "onnx" / "model.onnx.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(WEIGHTS[:6000])
    assert fetch_files(network.source, SPEC).path("onnx/model.onnx").read_bytes() == WEIGHTS


def test_an_interrupted_download_is_resumed_by_the_next_run(network: Any) -> None:
    network.breaks_after = 4000
    network.refuses_ranges = 403
    with pytest.raises(UsageError, match="HTTP 403"):
        fetch_files(network.source, SPEC)
    network.refuses_ranges = None
    assert fetch_files(network.source, SPEC).path("onnx/model.onnx").read_bytes() == WEIGHTS
    ranges = [wanted for path, wanted in network.requests if path.endswith("model.onnx")]
    assert ranges[-1] == "bytes=4000-"


def test_a_download_that_keeps_breaking_says_to_resume_it(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    network.breaks_after = 2000
    network.breaks_always = True
    with pytest.raises(UsageError, match=r"was interrupted .*: run it again to resume it"):
        fetch_files(network.source, SPEC)
    network.breaks_after = None
    assert fetch_files(network.source, SPEC).path("onnx/model.onnx").read_bytes() == WEIGHTS


def test_a_models_folder_that_cannot_be_created_is_named(network: Any, home: Path) -> None:
    (home / "models").write_text("a file in the way")
    with pytest.raises(UsageError, match=r"cannot be created .*: choose another --model-dir"):
        fetch_files(network.source, SPEC)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux's always full device")
def test_a_full_disk_is_reported_as_such(network: Any, home: Path) -> None:
    part = home / "models" / "someone--network" / COMMIT / "onnx" / "model.onnx.part"
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")
    with pytest.raises(StorageFull, match="make room, and run again"):
        fetch_files(network.source, SPEC)


def test_a_partial_file_that_does_not_fit_is_downloaded_again(network: Any) -> None:
    network.breaks_after = 4000
    network.refuses_ranges = 403
    with pytest.raises(UsageError, match="HTTP 403"):
        fetch_files(network.source, SPEC)
    network.refuses_ranges = 416
    assert fetch_files(network.source, SPEC).path("onnx/model.onnx").read_bytes() == WEIGHTS


@pytest.mark.parametrize("name", ["onnx/model.onnx", "config.json"])
def test_an_altered_download_is_refused_and_deleted(network: Any, name: str) -> None:
    network.sends[name] = bytes(len(network.files[name]))
    with pytest.raises(UsageError, match=rf"{re.escape(name)} is not the expected file"):
        fetch_files(network.source, SPEC)
    assert find_cached(network.source, SPEC) is None
    network.sends.clear()
    assert fetch_files(network.source, SPEC).path(name).read_bytes() == network.files[name]


def test_the_checksum_of_the_record_takes_precedence_over_the_hubs(network: Any) -> None:
    with pytest.raises(UsageError, match=r"model\.onnx is not the expected file"):
        fetch_files(network.source, SPEC, sha256={"onnx/model.onnx": sha256(b"the real one")})


def test_a_file_altered_on_disk_is_refused(network: Any) -> None:
    path = fetch_files(network.source, SPEC).path("onnx/model.onnx")
    path.write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(UsageError, match=r"model\.onnx is damaged or was altered .* delete it"):
        fetch_files(network.source, SPEC)
    path.unlink()
    assert fetch_files(network.source, SPEC).path("onnx/model.onnx").read_bytes() == WEIGHTS


def test_progress_ends_at_the_sum_of_all_files(network: Any) -> None:
    seen: list[FetchProgress] = []
    fetch_files(network.source, SPEC, progress=seen.append)
    total = len(WEIGHTS) + 2
    assert seen[0].file == "config.json"
    assert (seen[-1].done, seen[-1].total, seen[-1].source) == (total, total, network.source)
    assert [f.done for f in seen] == sorted(f.done for f in seen)


def test_a_missing_file_is_named_with_its_alternatives(network: Any) -> None:
    with pytest.raises(UsageError, match=r"no onnx/model_q4\.onnx; there are model\.onnx, model_f"):
        fetch_files(network.source, FileSpec(required=("onnx/model_q4.onnx",)))


def test_an_unknown_repository_is_named(network: Any) -> None:
    with pytest.raises(UsageError, match="has no model someone/else at revision main"):
        fetch_files("someone/else", SPEC)


def test_without_a_network_the_error_says_what_to_copy_where(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(UsageError) as caught:
        fetch_files("someone/network", SPEC)
    message = str(caught.value)
    assert "\n" not in message
    assert f"copy the folder {home / 'models' / 'someone--network'}" in message
    assert "--model-dir" in message


def test_without_huggingface_hub_the_error_names_the_extra(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", None)
    with pytest.raises(MissingExtra, match=r"pip install 'lookalike\[hub\]'"):
        fetch_files(network.source, SPEC)


def test_the_client_of_the_hub_is_imported_only_for_a_download(home: Path) -> None:
    _write_model(home / "models" / "network")
    code = (
        "import sys; from lookalike.models import FileSpec, fetch_files\n"
        "fetch_files('someone/network', FileSpec(('config.json',)))\n"
        "print('huggingface_hub' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "False\n"


def test_offline_mode_sends_no_request(network: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="HF_HUB_OFFLINE is set"):
        fetch_files(network.source, SPEC)
    assert network.requests == []


def test_a_folder_copied_from_another_machine_is_found_offline(
    network: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch_files(network.source, SPEC)
    (home / "stick").mkdir()
    (home / "models" / "someone--network").rename(home / "stick" / "someone--network")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("LOOKALIKE_MODELS", str(home / "stick"))
    files = fetch_files(network.source, SPEC)
    assert files.revision == COMMIT
    assert files.sha256["onnx/model.onnx"] == sha256(WEIGHTS)


@pytest.mark.parametrize("place", ["someone--network", "someone/network", "network"])
def test_a_folder_copied_by_hand_is_found(home: Path, place: str) -> None:
    _write_model(home / "models" / place)
    files = fetch_files("someone/network", SPEC)
    assert files.folder == home / "models" / place
    assert files.revision is None


def test_the_hub_cache_is_read_and_checked(home: Path) -> None:
    root = home / "huggingface" / "hub" / "models--someone--network"
    blob = root / "blobs" / sha256(WEIGHTS)
    snapshot = root / "snapshots" / COMMIT
    _write_model(snapshot)
    blob.parent.mkdir()
    (snapshot / "onnx" / "model.onnx").rename(blob)
    (snapshot / "onnx" / "model.onnx").symlink_to(blob)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    files = fetch_files("someone/network", SPEC)
    assert (files.folder, files.revision) == (snapshot, COMMIT)
    blob.write_bytes(b"truncated")
    with pytest.raises(UsageError, match=r"model\.onnx is damaged"):
        fetch_files("someone/network", SPEC)


def test_a_git_lfs_pointer_is_refused(home: Path) -> None:
    folder = home / "models" / "someone--network"
    _write_model(folder)
    (folder / "onnx" / "model.onnx").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    )
    with pytest.raises(UsageError, match=r"model\.onnx is a Git LFS pointer.*git lfs pull"):
        fetch_files("someone/network", SPEC)


def test_the_token_is_sent_to_the_hub(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetch_files(network.source, SPEC)
    assert set(network.tokens) == {"Bearer secret"}


def test_requests_reveal_nothing_about_this_machine(network: Any) -> None:
    fetch_files(network.source, SPEC)
    assert network.user_agents == {"lookalike"}


def test_external_weights_of_a_graph_are_downloaded(network: Any) -> None:
    network.files["onnx/model.onnx_data"] = b"more"
    network.files["onnx/model.onnx_data_1"] = b"most"
    names = fetch_files(network.source, SPEC).names
    assert names[-2:] == ("onnx/model.onnx_data", "onnx/model.onnx_data_1")


def test_no_name_resolves_outside_the_models_folder(network: Any, home: Path) -> None:
    network.files["onnx/model.onnx_data/../../../../evil"] = b"evil"
    assert fetch_files(network.source, SPEC).names == ("config.json", "onnx/model.onnx")
    assert not list(home.rglob("evil"))


@pytest.mark.parametrize(
    "name", ["/evil", "onnx\\..\\evil", "C:evil", "../evil", "onnx/../../evil"]
)
def test_unsafe_file_names_of_a_repository_are_ignored(network: Any, name: str) -> None:
    network.files[name] = b"evil"
    assert name not in list_repository(network.source, "main").files


@pytest.mark.parametrize("commit", ["../../evil", "/tmp/evil", "main", ""])
def test_an_invalid_commit_is_refused(network: Any, home: Path, commit: str) -> None:
    network.commit = commit
    with pytest.raises(UsageError, match="gives no usable answer"):
        fetch_files(network.source, SPEC)
    assert not (home / "models").exists()


def test_a_file_larger_than_stated_is_stopped_and_deleted(network: Any, home: Path) -> None:
    network.sends["onnx/model.onnx"] = bytes(20_000_000)
    seen: list[FetchProgress] = []
    with pytest.raises(UsageError, match="bytes, expected 10240"):
        fetch_files(network.source, SPEC, progress=seen.append)
    assert max(one.done for one in seen) <= len(WEIGHTS) + 2
    assert not list((home / "models").rglob("*.part"))


def _write_model(folder: Path) -> None:
    (folder / "onnx").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "onnx" / "model.onnx").write_bytes(WEIGHTS)
