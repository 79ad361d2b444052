"""What `make docs` adds to the site of the documentation: pages outside this folder, the Python reference,
the gallery and the choice of versions. Loaded by MkDocs and, for `FieldLists`, by Griffe."""

from __future__ import annotations

import inspect
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url

from lookalike import __version__
from lookalike.query import Query

ROOT = Path(__file__).parents[1]

OUTSIDE = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CHANGELOG.md": "changelog.md",
    "LICENSE": "LICENSE.txt",
    "NOTICE": "NOTICE.txt",
    "examples/sounds/README.md": "examples/sounds/README.md",
    "deploy/grafana-dashboard.json": "deploy/grafana-dashboard.json",
}
"""Files outside docs/ that pages link to, and where the site has them."""

INSIDE = {site: source for source, site in OUTSIDE.items()}

REFERENCE = (
    ("Start", ("lookalike.index", "lookalike.open")),
    (
        "Libraries",
        ("library.Library", "library.Info", "client.client.Client", "workers.limits.Limits"),
    ),
    ("Searching", ("query.Query", "query.Term", "query.Hits", "query.Hit", "query.Stage")),
    (
        "Indexing",
        (
            "indexing.report.IndexOptions",
            "indexing.report.IndexReport",
            "indexing.report.IndexEstimate",
            "indexing.report.Progress",
        ),
    ),
    ("Errors", ("errors",)),
    ("Interfaces", ("extractors.interface", "stores.interface")),
)
"""Sections of the reference. A test compares them with `lookalike.__all__`."""

VERSIONS = """\
// Written by docs/site_hooks.py: the versions in this folder. No JSON: pages opened as files cannot read it.
const versions = [%s];
const script = document.currentScript;
const links = versions.map((version) => {
  const page = new URL(`${version}/index.html`, script.src);
  return `<li class="md-version__item"><a class="md-version__link" href="${page}">${version}</a></li>`;
});
document.querySelector(".md-header__topic").insertAdjacentHTML(
  "beforeend",
  `<div class="md-version">
  <button class="md-version__current" aria-label="Version">${script.dataset.version}</button>
  <ul class="md-version__list">${links.join("")}</ul></div>`,
);
"""

FRONT = '<!doctype html><meta http-equiv="refresh" content="0; url={}/index.html">\n'

LINK = re.compile(r"(\]\()([^)\s#]+)((?:#[^)\s]*)?\))")


def on_config(config: MkDocsConfig) -> None:
    """Build into a folder of the version; list the pages that the navigation does not name at its end, so
    that a new page is not lost."""
    config.site_dir = str(Path(config.site_dir) / __version__)
    pages = {file.relative_to(ROOT / "docs").as_posix() for file in (ROOT / "docs").rglob("*.md")}
    if missing := sorted(pages - set(re.findall(r"[\w./-]+\.md", str(config.nav)))):
        config.nav.append({"More": missing})


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for source, site in OUTSIDE.items():
        files.append(File.generated(config, site, abs_src_path=str(ROOT / source)))
    files.append(File.generated(config, "reference.md", content=reference_page()))
    files.append(File.generated(config, "gallery.md", content=gallery_page()))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links point to where the site has what they name."""
    site = page.file.src_uri
    source = INSIDE.get(site, f"docs/{site}")

    def moved(found: re.Match[str]) -> str:
        start, target, end = found.groups()
        if "://" in target or site in ("reference.md", "gallery.md"):
            return found[0]
        path = os.path.normpath(PurePosixPath(source).parent / target).replace(os.sep, "/")
        new = OUTSIDE.get(path, path.removeprefix("docs/"))
        return (
            f"{start}{os.path.relpath(new, PurePosixPath(site).parent).replace(os.sep, '/')}{end}"
        )

    return LINK.sub(moved, markdown)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Let pages opened as files search without a network, for which the plugin `offline` loads a script, and
    show the version, with a choice of the others."""
    shim = get_relative_url("iframe-worker.js", page.url)
    output = output.replace("https://unpkg.com/iframe-worker/shim", shim)
    versions = "../" * (page.url.count("/") + 1) + "versions.js"
    script = f'<script src="{versions}" data-version="{__version__}"></script>'
    return output.replace("</body>", f"{script}</body>")


def on_post_build(config: MkDocsConfig) -> None:
    """List the versions that were built so far, the newest first, and let the front page lead to it."""
    top = Path(config.site_dir).parent
    found = [file.parent.name for file in top.glob("[0-9]*/index.html")]
    found.sort(key=lambda name: [int(part) for part in re.findall(r"\d+", name)], reverse=True)
    (top / "versions.js").write_text(VERSIONS % ", ".join(f'"{name}"' for name in found))
    (top / "index.html").write_text(FRONT.format(found[0]))


def reference_page() -> str:
    """Return the page of the Python reference; mkdocstrings fills it in."""
    parts = ["# Python reference\n"]
    for title, names in REFERENCE:
        parts.append(f"## {title}\n")
        for name in names:
            path = name if name.startswith("lookalike.") else f"lookalike.{name}"
            parts.append(f"::: {path}\n    options:\n      heading_level: 3\n")
    return "\n".join(parts)


def gallery_page() -> str:
    """Return every image of the documentation once, with its description and the page that explains it."""
    parts = ["# Gallery\n"]
    seen = set()
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        page = file.relative_to(ROOT).as_posix()
        shown = OUTSIDE.get(page, page.removeprefix("docs/"))
        text = file.read_text(encoding="utf-8")
        title = re.findall(r"^# (.+)$", text, re.MULTILINE)[0]
        for description, link in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", text):
            image = os.path.normpath(PurePosixPath(page).parent / link).removeprefix("docs/")
            if image not in seen:
                seen.add(image)
                parts.append(f"![{description}]({image})\n\n{description} ([{title}]({shown}))\n")
    return "\n".join(parts)


class FieldLists(griffe.Extension):  # type: ignore[misc]
    """Writes the lists of parameters and fields of our docstrings, two columns of plain text, as lists, and
    examples (`>>>`) as code."""

    EXAMPLE = re.compile(r"(?:^(?:>>>|\.\.\.) .*\n?)+", re.MULTILINE)
    ROW = re.compile(r"(?P<names>[`\w*.]+(?:, [`\w*.]+)*)  +(?P<text>\S.*)")

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of each class, function and module."""
        if obj.docstring:
            if obj.path == "lookalike.query.Query":  # its options are added when it is imported
                obj.docstring.value = inspect.cleandoc(Query.__doc__ or "")
            obj.docstring.value = self.with_lists(obj.docstring.value)

    def with_lists(self, text: str) -> str:
        """Return a docstring with lists and code in Markdown."""
        text = self.EXAMPLE.sub(self._code, text)
        lines: list[str] = []
        inside = False
        for line in text.splitlines():
            row = self.ROW.fullmatch(line)
            if row and "`" not in row["names"]:
                lines += [] if inside else [""]
                names = ", ".join(f"`{name}`" for name in row["names"].split(", "))
                lines.append(f"* {names}: {row['text']}")
                inside = True
            elif inside and line.startswith("  "):
                lines.append(f"  {line.strip()}")
            else:
                lines += [""] if inside and line.strip() else []
                inside = False
                lines.append(line)
        return "\n".join(lines)

    @staticmethod
    def _code(example: re.Match[str]) -> str:
        lines = (re.sub(r" *# doctest:.*", "", line[4:]) for line in example[0].splitlines())
        return "\n".join(("```python", *lines, "```", ""))
