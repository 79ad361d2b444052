"""Globs of --include and --exclude: which files are taken and which folders are entered."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lookalike.errors import UsageError
from lookalike.files import compose


class Globs:
    """Patterns for paths relative to the source, with "/" as separator, ignoring case and Unicode form.

    `*` and `?` stay within one name, `**` crosses folders, `[abc]` and `[!abc]` are sets. A pattern
    without "/" is compared with the name at any depth (`*.jpg`, `thumbs`), one with "/" with the
    whole relative path (`2019/**`, `**/thumbs/*`). Exclusion wins over inclusion. An excluded folder
    is not entered; `include` applies to files only.

    root_exclude, below  further exclusions, for paths relative to a root that has the source at `below`
    """

    def __init__(
        self,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        root_exclude: Sequence[str] = (),
        below: str = "",
    ) -> None:
        self._include_names, self._include_paths = _compile(include)
        self._includes_all = not include
        self._below = f"{below}/" if below else ""
        self._exclusions = [("", *_compile(exclude))] if exclude else []
        if root_exclude:
            self._exclusions.append((self._below, *_compile(root_exclude)))

    def includes_file(self, relative: str, name: str) -> bool:
        """Return whether the file with this relative path and name is wanted."""
        for below, names, paths in self._exclusions:
            if _matches(names, paths, below + relative, name):
                return False
        return self._includes_all or _matches(
            self._include_names, self._include_paths, relative, name
        )

    def enters_folder(self, relative: str, name: str) -> bool:
        """Return whether there may be wanted files below this folder."""
        for below, names, paths in self._exclusions:
            # "thumbs/**" excludes everything below thumbs, so there is no need to enter it.
            path = below + relative
            if _matches(names, paths, path, name) or _matches(None, paths, path + "/", name):
                return False
        return True


def anchored(glob: str, below: str) -> str:
    """Return the glob for paths below a root that means the same as `glob` for a source at `below` in it."""
    if not below:
        return glob
    prefix = re.sub(r"([*?[])", r"[\1]", below)
    within = glob.removeprefix("./").lstrip("/") if "/" in glob else f"**/{glob}"
    return f"{prefix}/{within}"


def _matches(
    names: re.Pattern[str] | None, paths: re.Pattern[str] | None, relative: str, name: str
) -> bool:
    return (names is not None and names.fullmatch(compose(name)) is not None) or (
        paths is not None and paths.fullmatch(compose(relative)) is not None
    )


def _compile(globs: Sequence[str]) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None]:
    globs = [compose(glob) for glob in globs]
    names = [_translate(glob) for glob in globs if "/" not in glob]
    paths = [_translate(glob.removeprefix("./").lstrip("/")) for glob in globs if "/" in glob]
    return _any_of(names), _any_of(paths)


def _any_of(patterns: list[str]) -> re.Pattern[str] | None:
    flags = re.IGNORECASE | re.DOTALL
    try:
        return re.compile("|".join(patterns), flags) if patterns else None
    except re.error as error:
        raise UsageError(f"not a valid file pattern: {error}") from None


def _translate(glob: str) -> str:
    if not glob:
        raise UsageError("an empty pattern matches nothing; leave it out")
    out, at = [], 0
    while at < len(glob):
        if glob.startswith("**/", at):
            out.append("(?:.*/)?")
            at += 3
        elif glob.startswith("**", at):
            out.append(".*")
            at += 2
        elif glob[at] == "*":
            out.append("[^/]*")
            at += 1
        elif glob[at] == "?":
            out.append("[^/]")
            at += 1
        elif glob[at] == "[" and (end := glob.find("]", at + 2)) > 0:
            inside = re.sub(r"([\\\[\]^&~|])", r"\\\1", glob[at + 1 : end].lstrip("!^"))
            negated = glob[at + 1] in "!^"
            out.append(f"[{'^/' if negated else ''}{inside}]")
            at = end + 1
        else:
            out.append(re.escape(glob[at]))
            at += 1
    return "".join(out)
