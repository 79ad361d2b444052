"""`lookalike serve`: a library on a web page and over HTTP."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from lookalike.cli import browser, format, open_library, output, parameters
from lookalike.cli.prestart import start_workers

if TYPE_CHECKING:
    from lookalike.library import Info
    from lookalike.server.settings import Settings


def _environment(name: str) -> dict[str, Any]:
    return {"envvar": f"LOOKALIKE_{name}", "show_envvar": True}


@click.command("serve")
@click.argument("folder", metavar="[LIBRARY]", required=False, type=parameters.LIBRARY)
@parameters.library_option
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on. 0.0.0.0 lets other machines connect; a token is then required.",
    **_environment("HOST"),
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="N",
    help="Default: 8484, or any free port.",
    **_environment("PORT"),
)
@click.option("--open", "open_", is_flag=True, help="Open the page in the browser.")
@click.option(
    "--token",
    metavar="TOKEN",
    help="Required from every client; at least 16 characters, or it could be guessed. Default: "
    "none if only this machine can connect, else a random one, which is shown.",
    **_environment("TOKEN"),
)
@click.option(
    "--writable",
    is_flag=True,
    help="Allow clients to add and remove images and to give feedback.",
    **_environment("WRITABLE"),
)
@click.option(
    "--allow-url",
    is_flag=True,
    help="Fetch query images from URLs on the public internet.",
    **_environment("ALLOW_URL"),
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Host name under which the server is reached, e.g. through a proxy.",
    **_environment("ALLOW_HOST"),
)
@parameters.allow_root_option
@click.option(
    "--https",
    is_flag=True,
    help="Visitors come through a proxy that speaks TLS: send cookies over TLS only.",
    **_environment("HTTPS"),
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Server processes; they share the vectors in memory.",
    **_environment("WORKERS"),
)
@click.option(
    "--device",
    metavar="NAME",
    help="GPU to search on, as PyTorch names it (cuda): its memory holds the vectors.",
    **_environment("DEVICE"),
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0),
    metavar="N",
    help="Requests per second from one address in the long run; 0: unlimited. Default: 0 if only this "
    "machine can connect, else 50.",
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
    help="Largest query image.",
    **_environment("MAX_PIXELS"),
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit for reading one image.",
    **_environment("TIMEOUT"),
)
@click.option(
    "--log",
    is_flag=True,
    help="Write a line to stderr for every request, without its parameters and images.",
    **_environment("LOG"),
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines of --log: text, or JSON with the id of the request (X-Request-ID).",
    **_environment("LOG_FORMAT"),
)
@click.option(
    "--slow-query",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="With --log, name searches that take so long, with their plan.",
    **_environment("SLOW_QUERY"),
)
@parameters.model_dir_option
@click.pass_context
def command(
    ctx: click.Context,
    folder: parameters.LibraryName | None,
    library: parameters.LibraryName | None,
    host: str,
    port: int | None,
    open_: bool,
    token: str | None,
    writable: bool,
    allow_url: bool,
    hosts: tuple[str, ...],
    roots: tuple[str, ...],
    https: bool,
    workers: int,
    device: str | None,
    rate: float | None,
    max_upload: int,
    max_pixels: int,
    timeout: float,
    log: bool,
    log_format: str,
    slow_query: float,
) -> None:
    """Serve a library on a web page, and as JSON over HTTP.

    LIBRARY is a folder of images or the URL of a database, as with --library. If the folder has no library
    yet, the page offers to index it. Only this machine can connect unless --host says otherwise. Ctrl-C
    ends it.

    \b
    lookalike serve --open
    lookalike serve ~/Pictures --writable
    lookalike serve /srv/shop --host 0.0.0.0 --workers 4
    """
    from lookalike.cpu import logical_cores
    from lookalike.object_storage import is_url
    from lookalike.server.run import ServerConfig, exit_now, is_local, listen, serve
    from lookalike.server.security.roots import foreign_roots
    from lookalike.server.settings import Settings
    from lookalike.workers.limits import Limits

    exposed = not is_local(host)
    if isinstance(folder, Path) and library is None and (writable or not exposed):
        _prepare(folder)
    location = open_library.locate(folder or library)
    # Opened first, so that a mistake is reported at once.
    with open_library.open_located(location, device=device) as opened:
        info = opened.info()
        outside = foreign_roots(opened)
        open_library.refuse_foreign_roots(opened, roots)
    if token and not (token.isascii() and token.isprintable() and " " not in token):
        raise click.UsageError("a token consists of ASCII letters, digits and signs, without space")
    # An empty library is of no use but to be filled, and nobody else can connect.
    writable = writable or (info.images == 0 and not exposed and not hosts)
    if exposed and not token:
        token = _random_token()
    settings = Settings(
        token=token or None,
        local_name=None if exposed else browser.local_name(info.location),
        allow_roots=tuple(one if is_url(one) else os.path.abspath(one) for one in roots),  # noqa: PTH100
        https=https,
        writable=writable,
        allow_url=allow_url,
        exposed=exposed,
        hosts=(*hosts, *_host_names(host)) if exposed else hosts,
        max_upload_bytes=max_upload,
        rate=(50.0 if exposed else 0.0) if rate is None else rate,
        search_threads=max(2, logical_cores() // workers),
        slow_query=slow_query,
    )
    limits = Limits(timeout=timeout, max_pixels=max_pixels, max_memory=1 << 30)
    readers = max(1, min(4, logical_cores() // workers))
    if log:
        _enable_log(log_format)
    with listen(host, port) as sock:
        address = _address(host, sock.getsockname()[1], settings)
        config = ServerConfig(os.fspath(location), settings, limits, readers, device)
        with browser.browser_page(address) as open_page:

            def ready() -> None:
                output.put(_box(info, address, _access(settings, hosts), outside))
                output.flush()
                if open_:
                    open_page()
                if workers == 1:  # for the thumbnails and the image of the first visitor
                    start_workers(ctx, 2)

            busy = serve(config, sock, workers=workers, ready=ready)
    output.note("Ended.")
    if busy:
        exit_now()


def _prepare(folder: Path) -> None:
    """Make an empty library of a folder of images that has none, so that the page can offer to index it."""
    from lookalike.library import Library
    from lookalike.stores.open_store import FOLDER, find_library

    if folder.is_dir() and folder.name != FOLDER and find_library(folder.absolute()) is None:
        with Library.create(folder) as library:
            library.add_folder(folder)
        output.note("There is no library in this folder yet: the page offers to index it.")


def _random_token() -> str:
    import secrets

    return secrets.token_urlsafe(24)


def _address(host: str, port: int, settings: Settings) -> str:
    """Return the address to show, with the token."""
    import socket

    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        host = socket.gethostname()
    if settings.token and settings.local_name and host in ("127.0.0.1", "localhost"):
        host = settings.local_name
    address = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    return f"{address}?token={quote(settings.token, safe='')}" if settings.token else address


def _host_names(host: str) -> tuple[str, ...]:
    """Return the names of this machine: its own, also in mDNS, and the one that was given."""
    import socket

    own = socket.gethostname()
    return own, f"{own}.local", host


def _access(settings: Settings, hosts: tuple[str, ...]) -> str:
    """Return a sentence on who can connect."""
    token = "with this token" if settings.token else "without a token"
    if settings.exposed:
        return f"Other machines can connect {token}."
    if hosts:
        return f"It also answers as {' and '.join(hosts)}, {token}."
    return "Only this machine can connect."


def _box(info: Info, address: str, access: str, outside: Sequence[Path]) -> str:
    """Return what the terminal shows while the server runs."""
    from lookalike.object_storage import shown

    place = info.location
    if "://" not in place:
        name = open_library.library_name(Path(place))
        place = open_library.display_path(name)
        place = str(name.absolute()) if place == "." else place
    lines = [
        f"{format.counted(info.images, 'image')} of {output.printable(place)}",
        *(output.printable(f"and {shown(root)}") for root in outside),
        address,
        output.printable(f"{access} Ctrl-C ends it."),
    ]
    width = max(map(output.width_of, lines))
    inner = [f"│ {line}{' ' * (width - output.width_of(line))} │" for line in lines]
    edge = "─" * (width + 2)
    return "\n".join([f"╭{edge}╮", *inner, f"╰{edge}╯"])


def _enable_log(log_format: str) -> None:
    import logging

    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    if log_format == "json":
        from lookalike.server.json_log import JSONFormatter

        for handler in logging.getLogger().handlers:
            handler.setFormatter(JSONFormatter())
