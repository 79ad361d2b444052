"""Registry of extractors: which ones exist, and how a name becomes an extractor.

To register an extractor, add one line to `EXTRACTORS`. Its module is imported when it is first loaded.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import LookalikeError, UnknownExtractor, UsageError
from lookalike.extractors.interface import PCA, REGIONS, Extractor
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# The entry point group in which other packages offer extractors.
ENTRY_POINT_GROUP = "lookalike.extractors"

_PCA = re.compile(rf"(?P<base>.+){re.escape(PCA)}(?P<dim>\d+)")
_SUFFIXES = re.compile(rf"({re.escape(REGIONS)}|{re.escape(PCA)}\d+)*$")


@dataclass(frozen=True, slots=True)
class Registration:
    """An extractor that can be loaded by name.

    factory         "module:callable"; called without arguments, or with the text after "name:"
    summary         one line for lists
    dim             length of its vectors; None where the model decides
    argument        what may follow "name:", for people; empty if nothing may
    needs_argument  something must follow
    """

    factory: str
    summary: str
    dim: int | None
    similarity: Similarity = "cosine"
    argument: str = ""
    needs_argument: bool = False


_HERE = "lookalike.extractors"
_MODEL = "PRESET, FOLDER or OWNER/NAME[@REVISION][:VARIANT][:crop]"

EXTRACTORS: Mapping[str, Registration] = {
    "lookalike": Registration(
        f"{_HERE}.builtin:BuiltinExtractor", "content and colours (built-in network)", 384
    ),
    "color": Registration(f"{_HERE}.color:Color", "colours, overall and near the centre", 384),
    "shape": Registration(f"{_HERE}.shape:Shape", "edges, whatever the colours (HOG)", 3780),
    "keypoints": Registration(
        f"{_HERE}.vlad:VladExtractor", "the same object, cropped or rotated (SIFT)", 1024
    ),
    "keypoints-orb": Registration(
        f"{_HERE}.vlad:keypoints_by_orb", "keypoints by ORB: faster, finds less", 1024
    ),
    "efficientnet-lite2": Registration(
        f"{_HERE}.efficientnet_lite:load_efficientnet_lite2",
        "kinds of things, also by words (extra efficientnet)",
        1280,
    ),
    "onnx": Registration(
        f"{_HERE}.onnx:load_onnx",
        "any ONNX image model",
        None,
        argument=_MODEL,
        needs_argument=True,
    ),
    "clip": Registration(
        f"{_HERE}.clip:load_clip", "CLIP and SigLIP: images and text", None, argument=_MODEL
    ),
    "timm": Registration(
        f"{_HERE}.timm:load_timm",
        "any network of timm",
        None,
        argument="NAME",
        needs_argument=True,
    ),
    "trained": Registration(
        f"{_HERE}.trained:load_trained",
        "your own model, made by `lookalike train`",
        None,
        argument="FOLDER",
        needs_argument=True,
    ),
    "text": Registration(
        f"{_HERE}.text_in_images:TextInImages", "text in images, by words (extra text)", 512
    ),
    "histogram": Registration(
        f"{_HERE}.histogram:Histogram", "plain histograms of red, green and blue", 96
    ),
    "pixels": Registration(f"{_HERE}.pixels:PixelsGrey", "the image itself, 64×64 in grey", 4096),
    "dhash": Registration(f"{_HERE}.hashes:DHash", "difference hash, 64 bits: finds copies", 64),
    "phash": Registration(f"{_HERE}.hashes:PHash", "perceptual hash, 64 bits: finds copies", 64),
}

HASHES = ("phash", "dhash")
"""Extractors that only find copies: no search uses them unless it names them, or there is nothing else."""


def load(spec: str) -> Extractor:
    """Return the extractor of that name.

    Examples: "color", "onnx:resnet50", "color+regions", "./my-model" (a folder written by `lookalike
    train`), or the name of a plug-in.

    Raises UnknownExtractor, listing the known names; UsageError where a plug-in is broken; and whatever
    the extractor raises about the text after the colon.
    """
    if spec.endswith(REGIONS):
        from lookalike.extractors.regions import RegionExtractor

        return RegionExtractor(load(spec.removesuffix(REGIONS)))
    if reduced := _PCA.fullmatch(spec):
        from lookalike.extractors.pca_extractor import PcaExtractor

        return PcaExtractor(load(reduced["base"]), int(reduced["dim"]))
    spec = _expand_folder(spec)
    name, colon, argument = spec.partition(":")
    if registration := EXTRACTORS.get(name):
        if colon and not registration.argument:
            raise UnknownExtractor(f"{name} takes nothing after its name: write {name!r}")
        if registration.needs_argument and not argument:
            raise UnknownExtractor(f"{name} needs a model: write {name}:{registration.argument}")
        return _call(_import(registration.factory), argument, colon)
    if plugin := plugins().get(name):
        return _load_plugin(plugin, spec)
    raise UnknownExtractor(_unknown(spec))


def names() -> list[str]:
    """Return all names that `load` knows, plug-ins last; families such as "onnx:" end in a colon.

    Plug-ins are not imported for this.
    """
    own = [f"{name}:" if offer.argument else name for name, offer in EXTRACTORS.items()]
    return own + sorted(name for name in plugins() if name not in EXTRACTORS)


def is_known(spec: str) -> bool:
    """Return whether there is an extractor of that name, without loading it."""
    base = _SUFFIXES.sub("", spec)
    name = base.partition(":")[0]
    return name in EXTRACTORS or os.sep in base or base.startswith(".") or name in plugins()


def parse(text: str, *, folders: bool = True) -> list[str]:
    """Split a comma-separated list of names: "color,shape" → ["color", "shape"], without duplicates.

    A comma in the argument of a family belongs to it ("onnx:a,b/model" is one name), unless a known name
    follows. The folder of a trained model is expanded to its full name, unless `folders` is False: then no
    name is taken for a path, and the disk is not looked at.
    """
    known = {name.rstrip(":") for name in names()}
    found: list[str] = []
    for piece in text.split(","):
        starts_a_name = piece.strip().partition(":")[0] in known
        if found and ":" in found[-1] and not starts_a_name:
            found[-1] += "," + piece
        elif piece.strip():
            name = piece.strip()
            found.append(_expand_folder(name) if folders else name)
    return list(dict.fromkeys(found))


@cache
def plugins() -> Mapping[str, EntryPoint]:
    """Return the entry points of other packages by name, not imported; built-in names take precedence.

    What is installed later is found by the next process.
    """
    from importlib.metadata import (
        entry_points,  # takes 60 ms, which a search by color does not need
    )

    found = entry_points(group=ENTRY_POINT_GROUP)
    return {point.name: point for point in found if point.name not in EXTRACTORS}


def _expand_folder(spec: str) -> str:
    """Turn "./my-model" into "trained:/home/…/my-model"; return everything else unchanged.

    A built-in name is never a folder. A spec that looks like a path but holds no trained model goes to
    the family all the same, whose error says what is wrong with it.
    """
    found = _SUFFIXES.search(spec)
    suffixes = found.group() if found else ""
    path = spec[: len(spec) - len(suffixes)]
    if path.partition(":")[0] in EXTRACTORS:
        return spec
    from lookalike.models.files import is_trained  # imports the network: 25 ms

    folder = Path(os.path.expanduser(path))  # noqa: PTH111 - "~nobody" stays as it is
    if is_trained(folder):
        return f"trained:{folder.resolve().as_posix()}{suffixes}"
    looks_like_a_path = path.startswith((".", "~")) or folder.is_absolute()
    return f"trained:{path}{suffixes}" if looks_like_a_path else spec


def _import(factory: str) -> Callable[..., Any]:
    module, _, attribute = factory.partition(":")
    imported: Callable[..., Any] = getattr(import_module(module), attribute)
    return imported


def _call(factory: Callable[..., Any], argument: str, colon: str) -> Extractor:
    extractor: Extractor = factory(argument) if colon else factory()
    return extractor


def _load_plugin(plugin: EntryPoint, spec: str) -> Extractor:
    _, colon, argument = spec.partition(":")
    package = f" of the package {plugin.dist.name} {plugin.dist.version}" if plugin.dist else ""
    label = f"the extractor {plugin.name!r}{package} ({plugin.value})"
    try:
        extractor = _call(plugin.load(), argument, colon)
    except LookalikeError:
        raise
    except Exception as error:
        raise UsageError(
            f"{label} cannot be loaded: {type(error).__name__}: {error}; update or remove it"
        ) from error
    required = ("name", "revision", "dim", "similarity", "pixels", "runs_in", "extract")
    missing = [attribute for attribute in required if not hasattr(extractor, attribute)]
    if missing:
        raise UsageError(f"{label} is not an extractor: it lacks {', '.join(missing)}")
    return extractor


def _unknown(spec: str) -> str:
    from difflib import get_close_matches

    known = names()
    name = spec.partition(":")[0]
    close = get_close_matches(name, [word.rstrip(":") for word in known], n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"no extractor is called {spec!r}. {hint}There are: {', '.join(known)}"
