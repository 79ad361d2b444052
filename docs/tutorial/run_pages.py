"""Runs the Python of the tutorial's pages, in order, as a reader would type it.

    python docs/tutorial/run_pages.py            writes what each block prints below it
    python docs/tutorial/run_pages.py --check    only says whether it is what stands there

The pages share a folder (a temporary one), because the later ones use the shop that the first one draws; each
page starts with an empty namespace.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PAGES = sorted(HERE.glob("[0-9]*.md"))
BLOCK = re.compile(r"```python\n(?P<code>.*?)```\n(?:\n```text\n(?P<said>.*?)```\n)?", re.DOTALL)


def run(page: Path) -> str:
    """The page with what its blocks print now. In the working directory."""
    names: dict[str, object] = {}

    def filled(block: re.Match[str]) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block["code"], page.name, "exec"), names)  # noqa: S102
        said = out.getvalue()
        return f"```python\n{block['code']}```\n" + (f"\n```text\n{said}```\n" if said else "")

    return BLOCK.sub(filled, page.read_text(encoding="utf-8"))


def main() -> None:
    wrong = []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for page in PAGES:
            made = run(page)
            if made != page.read_text(encoding="utf-8"):
                wrong.append(page.name)
                if "--check" not in sys.argv:
                    page.write_text(made, encoding="utf-8")
    if wrong:
        sys.stderr.write(f"changed: {', '.join(wrong)}\n")
    sys.exit(bool(wrong) if "--check" in sys.argv else 0)


if __name__ == "__main__":
    main()
