"""`lookalike serve` as a process: its output, its shared state, its shutdown."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from click.testing import CliRunner
from tests.library.image_builders import album, draw

from lookalike.cli.program import program
from lookalike.client.client import Client
from lookalike.library import Library
from lookalike.query import Query, Term
from lookalike.server import run


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an indexed folder of 12 images; tests must not change it."""
    folder = album(tmp_path_factory.mktemp("serve") / "photos", 12)
    with Library.create(folder) as library:
        library.add([folder], extractors=["color"])
    return folder


@contextmanager
def served(
    *arguments: str, launcher: Sequence[str] = (), environment: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Yield the process and the address that it shows."""
    process = subprocess.Popen(
        [*launcher, sys.executable, "-m", "lookalike.cli", "serve", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(Path(run.__file__).parents[2])} | (environment or {}),
    )
    assert process.stdout is not None and process.stderr is not None
    try:
        lines = [process.stdout.readline() for _ in range(5)]
        assert "http://" in lines[2], process.stderr.read()
        yield process, lines[2].strip("│ \n")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_shows_its_address_and_shuts_down_on_a_signal(
    photos: Path, number: signal.Signals
) -> None:
    with served(str(photos)) as (process, address):
        with Client(address) as client:
            assert client.info().images == 12
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "Ended.\n")


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_sighup_stays_ignored_if_it_was_ignored_at_the_start(photos: Path) -> None:
    """`nohup` ignores the signal of a closed terminal for the program that it starts."""
    nohup = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh"]
    with served(str(photos), launcher=nohup) as (process, address):
        process.send_signal(signal.SIGHUP)
        with Client(address) as client:
            assert client.info().images == 12
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_a_request_in_progress_is_finished_before_shutdown(photos: Path, tmp_path: Path) -> None:
    data = draw(tmp_path / "new.png", 900).read_bytes()
    with served(str(photos)) as (process, address):
        host, _, port = address.removeprefix("http://").strip("/").partition(":")
        head = f"POST /api/uploads HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(data)}\r\n"
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")  # it waits for the image
            process.send_signal(signal.SIGTERM)
            sleep(0.3)
            connection.sendall(data)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert process.wait(30) == 0


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
def test_several_processes_share_uploads_and_see_changes(photos: Path, tmp_path: Path) -> None:
    photos = Path(shutil.copytree(photos, tmp_path / "photos"))
    data = draw(tmp_path / "new.png", 900).read_bytes()
    with served(str(photos), "--workers", "2") as (process, address):
        with Client(address) as client:
            client.info()
            upload = json.loads(client.connection.request("POST", "/api/uploads", content=data))[
                "upload"
            ]
        draw(photos / "more.jpg", 901)
        with Library.open(photos) as library:
            library.add([photos])
        for _ in range(12):  # either of the two processes may accept each connection
            with Client(address) as client:
                assert client.info().images == 13
                assert client.connection.get("/api/search", {"upload": upload, "k": 1})["hits"]
                assert client.search(Query((Term(id=1),), k=50)).searched_count == 13
        with Client(address) as client:
            figures = client.connection.request("GET", "/metrics").decode()
        counted = [
            line for line in figures.splitlines() if 'route="/api/info",status="200"' in line
        ]
        assert [line.split()[-1] for line in counted] == ["13.0"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    "token", ["two words, but long", "sixteen-schöne-zeichen", "sixteen-a\x1bbcdefgh"]
)
def test_a_token_that_a_header_cannot_hold_is_refused(photos: Path, token: str) -> None:
    result = CliRunner().invoke(program, ["serve", str(photos), "--token", token])
    assert result.exit_code == 2
    assert "a token consists of ASCII letters" in result.stderr


def test_a_short_token_is_refused_at_the_start(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_TOKEN", "correct-horse")
    result = CliRunner().invoke(program, ["serve", str(photos)])
    assert result.exit_code == 2
    assert "can be guessed" in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a shell as a browser")
def test_the_token_is_not_on_the_command_line_of_the_browser(photos: Path, tmp_path: Path) -> None:
    seen, page = tmp_path / "arguments", tmp_path / "page"
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\nstat -c %a "${{1#file://}}" "$(dirname "${{1#file://}}")" > "{seen}.mode"\n'
        f'cp "${{1#file://}}" "{page}"\necho "$@" > "{seen}.part"\nmv "{seen}.part" "{seen}"\n'
    )
    browser.chmod(0o755)
    environment = {"BROWSER": str(browser), "LOOKALIKE_TOKEN": "correct-horse-battery"}
    with served(str(photos), "--open", environment=environment) as (process, address):
        assert "correct-horse-battery" in address and ".localhost:" in address
        for _ in range(200):
            if seen.exists():
                break
            sleep(0.05)
        file = Path(seen.read_text().strip().removeprefix("file://"))
        assert "correct-horse" not in seen.read_text()
        assert f"url={address}" in page.read_text()
        assert (tmp_path / "arguments.mode").read_text() == "600\n700\n"
        with Client(address) as client:  # which finds the name, whatever the resolver knows
            assert client.info().images == 12
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert not file.parent.exists()


@pytest.fixture
def served_config(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Replace the server by one that ends at once; return the configuration that it is given."""
    passed: dict[str, Any] = {}

    def serve(config: run.ServerConfig, sock: socket.socket, *, workers: int, ready: Any) -> None:
        passed.update(settings=config.settings, workers=workers)
        ready()

    monkeypatch.setattr(run, "serve", serve)
    return passed


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--allow-host", "a.example"], "It also answers as a.example, without a token."),
        (["--allow-host", "a.example", "--token", "x" * 20], "as a.example, with this token."),
        ([], "Only this machine can connect."),
    ],
)
@pytest.mark.usefixtures("served_config")
def test_serve_says_who_can_connect(photos: Path, options: list[str], expected: str) -> None:
    result = CliRunner().invoke(program, ["serve", str(photos), *options])
    assert expected in result.output


def test_an_exposed_server_gets_a_token(
    photos: Path, monkeypatch: pytest.MonkeyPatch, served_config: dict[str, Any]
) -> None:
    monkeypatch.setattr(run, "listen", lambda host, port: socket.socket())
    monkeypatch.setattr(socket.socket, "getsockname", lambda _: ("0.0.0.0", 8484))
    monkeypatch.setenv("LOOKALIKE_WRITABLE", "1")
    result = CliRunner().invoke(program, ["serve", str(photos), "--host", "0.0.0.0"])
    settings = served_config["settings"]
    assert len(settings.token) >= 32 and f"?token={settings.token}" in result.output
    assert settings.exposed and settings.rate == 50 and settings.writable
    assert socket.gethostname() in settings.hosts  # part of the address shown
    monkeypatch.setenv("LOOKALIKE_TOKEN", "mine" * 4)
    result = CliRunner().invoke(program, ["serve", str(photos), "--rate", "0"])
    settings = served_config["settings"]
    assert (settings.token, settings.exposed, settings.rate) == ("mine" * 4, False, 0.0)
    assert "Only this machine can connect." in result.output


def test_local_addresses() -> None:
    assert run.is_local("127.0.0.1") and run.is_local("localhost") and run.is_local("::1")
    assert not run.is_local("0.0.0.0") and not run.is_local("192.0.2.1")


def test_a_port_in_use_is_an_error(photos: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(program, ["serve", str(photos), "--port", port])
    assert result.exit_code == 2
    assert result.output.startswith(f"Error: cannot serve on 127.0.0.1, port {port}:")
    assert "--port" in result.output and result.output.count("\n") == 1


@pytest.mark.parametrize("option", [[], ["--library"]])
@pytest.mark.usefixtures("served_config")
def test_a_missing_folder_is_an_error_with_the_remedy(tmp_path: Path, option: list[str]) -> None:
    result = CliRunner().invoke(program, ["serve", *option, str(tmp_path / "nothing")])
    assert result.exit_code == 2
    assert "check the spelling" in result.output


def test_the_configuration_of_a_process_survives_json() -> None:
    from lookalike.server.settings import Settings
    from lookalike.wire import decode, encode
    from lookalike.workers.limits import Limits

    settings = Settings(token="t" * 16, hosts=("a", "b"), folder=Path("x"), rate=2.5)
    config = run.ServerConfig("lib", settings, Limits(timeout=3.0), 2)
    assert decode(run.ServerConfig, json.loads(json.dumps(encode(config)))) == config


def test_a_folder_without_a_library_is_indexed_from_the_page(tmp_path: Path) -> None:
    folder = album(tmp_path / "photos", 6)
    with served(str(folder)) as (_, address), Client(address) as client:
        info = client.info()
        assert (info.images, info.writable, info.roots) == (0, True, ("photos",))
        assert client.duplicates(kind="exact").groups == ()
        assert client.duplicates(kind="near").groups == ()
        assert client.estimate(sample=2).to_index == 6
        assert client.add().new == 6
        assert client.info().images == 6
    (tmp_path / "photos" / "odd").mkdir(exist_ok=True)
    below = CliRunner().invoke(program, ["serve", str(folder / "odd")])
    assert below.exit_code != 0 and not (folder / "odd" / ".lookalike").exists()
