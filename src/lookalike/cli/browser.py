"""Show a page of a server on this machine in the browser."""

from __future__ import annotations

import hashlib
import html
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

KEPT_SECONDS = 60.0
"""How long the file that leads to the page exists at most."""


def local_name(what: str) -> str:
    """Return a name of this machine for the server of `what`, always the same one.

    Browsers send the cookies of a host to all its ports, but names below `.localhost`, which all lead to this
    machine (RFC 6761), share none.
    """
    digest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()
    return f"lookalike-{digest[:8]}.localhost"


@contextmanager
def browser_page(address: str) -> Iterator[Callable[[], None]]:
    """Yield a function that opens an address in the browser.

    The command lines of programs are visible to all users of a machine. So the browser is given the name of a
    file that leads to the address, which may hold a token; only this user can read it, and it is deleted
    after a minute, or when the block ends.
    """
    with tempfile.TemporaryDirectory(prefix="lookalike-open-") as folder:
        file = Path(folder, "open.html")

        def remove() -> None:
            with suppress(OSError):
                file.unlink()

        def open_() -> None:
            import webbrowser

            target = html.escape(address, quote=True)
            page = f'<!doctype html><meta http-equiv="refresh" content="0;url={target}">'
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                out.write(f'{page}<a href="{target}">Lookalike</a>\n')
            timer.start()
            # Some browsers return only when they are closed, hence the thread.
            threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()

        timer = threading.Timer(KEPT_SECONDS, remove)
        timer.daemon = True
        try:
            yield open_
        finally:
            timer.cancel()
