"""`lookalike serve`: the page, and the library over HTTP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from lookalike.cli import format, open_library, output, parameters

if TYPE_CHECKING:
    from datetime import datetime

    from lookalike.library import Info
    from lookalike.server.settings import Settings

_COOKIE = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""What a cookie can hold (RFC 6265)."""


def _environment(name: str) -> dict[str, Any]:
    return {"envvar": f"LOOKALIKE_{name}", "show_envvar": True}


@click.command("serve")
@click.argument("library", required=False, type=parameters.PATH, envvar="LOOKALIKE_LIBRARY")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Where it listens; 0.0.0.0 lets other machines in, and a token is then needed.",
    **_environment("HOST"),
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="Default: 8484, or any that is free.",
    **_environment("PORT"),
)
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="What everybody must show, of 16 characters or more: shorter ones can be guessed. Default: none "
    "on this machine alone, else one that is made and shown.",
    **_environment("TOKEN"),
)
@click.option(
    "--writable",
    is_flag=True,
    help="Let pictures be added and removed, and decisions be made.",
    **_environment("WRITABLE"),
)
@click.option(
    "--allow-url",
    is_flag=True,
    help="Fetch pictures that are named by an address in the public internet.",
    **_environment("ALLOW_URL"),
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name by which the server is called, as behind a proxy.",
    **_environment("ALLOW_HOST"),
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that answer; they share the vectors in memory.",
    **_environment("WORKERS"),
)
@click.option(
    "--device",
    metavar="NAME",
    help="The graphics card that searches, as PyTorch calls it (cuda): its memory holds the vectors.",
    **_environment("DEVICE"),
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Requests a second of one address in the long run; 0: any number. Default: 0 on this "
    "machine alone, else 50.",
    **_environment("RATE"),
)
@click.option(
    "--max-upload",
    type=parameters.memory,
    default="40M",
    show_default=True,
    metavar="SIZE",
    help="Largest request.",
    **_environment("MAX_UPLOAD"),
)
@click.option(
    "--max-pixels",
    type=parameters.pixels,
    default="100M",
    show_default=True,
    metavar="N",
    help="Largest picture that is asked with.",
    **_environment("MAX_PIXELS"),
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for reading one picture.",
    **_environment("TIMEOUT"),
)
@click.option(
    "--check-indexes",
    type=click.DateTime(formats=["%H:%M"]),
    metavar="HH:MM",
    help="Check the indexes of large libraries every day at this time, as `lookalike ann check` does; "
    "searches go on meanwhile.",
    **_environment("CHECK_INDEXES"),
)
@click.option(
    "--log",
    is_flag=True,
    help="A line on stderr for every request, without its words and pictures.",
    **_environment("LOG"),
)
@parameters.model_dir_option
def command(
    library: Path | None,
    host: str,
    port: int | None,
    open_: bool,
    token: str | None,
    writable: bool,
    allow_url: bool,
    hosts: tuple[str, ...],
    workers: int,
    device: str | None,
    rate: float | None,
    max_upload: int,
    max_pixels: int,
    timeout: float,
    check_indexes: datetime | None,
    log: bool,
) -> None:
    """Serve a library on a page in the browser, and as JSON over HTTP.

    LIBRARY is the folder of pictures or its .lookalike folder; otherwise it is looked for from here
    upwards. Only this machine can reach it unless --host says otherwise. Ctrl-C ends it.

    \b
    lookalike serve --open
    lookalike serve ~/Pictures --writable
    lookalike serve /srv/shop --host 0.0.0.0 --workers 4
    """
    from lookalike.cpu import logical_cores
    from lookalike.library import Library
    from lookalike.server.run import Serving, at_once, is_local, listening, serve
    from lookalike.server.settings import Settings
    from lookalike.workers.limits import Limits

    folder = open_library.locate(library)
    with Library.open(
        folder, read_only=True, device=device
    ) as opened:  # a wrong one is said at once
        info = opened.info()
    if token and not _COOKIE.fullmatch(token):
        raise click.UsageError(
            "a token has letters, digits and signs of ASCII, but no space, quote, comma, semicolon or "
            "backslash: browsers keep it as a cookie"
        )
    exposed = not is_local(host)
    if exposed and not token:
        token = _made()
    settings = Settings(
        token=token or None,
        writable=writable,
        allow_url=allow_url,
        exposed=exposed,
        hosts=(*hosts, *_names(host)) if exposed else hosts,
        max_upload_bytes=max_upload,
        rate=(50.0 if exposed else 0.0) if rate is None else rate,
        searching=max(2, logical_cores() // workers),
    )
    limits = Limits(timeout=timeout, max_pixels=max_pixels, max_memory=1 << 30)
    readers = max(1, min(4, logical_cores() // workers))
    if log:
        _log()
    with listening(host, port) as bound:
        address = _address(host, bound.getsockname()[1])
        entrance = (
            f"{address}?token={quote(settings.token, safe='')}" if settings.token else address
        )

        def ready() -> None:
            output.put(_box(info, entrance, _reach(settings, hosts)))
            output.flush()
            if open_:
                _browse(entrance)

        serving = Serving(folder, settings, limits, readers, device)
        at = check_indexes.time() if check_indexes else None
        busy = serve(serving, bound, workers=workers, ready=ready, check_indexes=at)
    output.note("Ended.")
    if busy:
        at_once()


def _made() -> str:
    import secrets

    return secrets.token_urlsafe(24)


def _address(host: str, port: int) -> str:
    import socket

    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = socket.gethostname()
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _names(host: str) -> tuple[str, ...]:
    """What others call this machine: its own name, also as small networks say it, and what was given."""
    import socket

    own = socket.gethostname()
    return own, f"{own}.local", host


def _reach(settings: Settings, hosts: tuple[str, ...]) -> str:
    """Who can reach it."""
    token = "with this token" if settings.token else "and no token is asked for"
    if settings.exposed:
        return f"Other machines can reach it {token}."
    if hosts:
        return f"It answers as {' and '.join(hosts)}, too, {token}."
    return "Only this machine can reach it."


def _box(info: Info, entrance: str, reach: str) -> str:
    """What stands in the terminal while it runs."""
    name = open_library.library_name(Path(info.location))
    place = open_library.display_path(name)
    lines = [
        f"{format.counted(info.images, 'picture')} of "
        f"{output.printable(str(name.absolute()) if place == '.' else place)}",
        entrance,
        output.printable(f"{reach} Ctrl-C ends it."),
    ]
    width = max(map(output.width_of, lines))
    inner = [f"│ {line}{' ' * (width - output.width_of(line))} │" for line in lines]
    edge = "─" * (width + 2)
    return "\n".join([f"╭{edge}╮", *inner, f"╰{edge}╯"])


def _browse(address: str) -> None:
    import threading
    import webbrowser

    # Some browsers return only when they are closed.
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def _log() -> None:
    import logging

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
