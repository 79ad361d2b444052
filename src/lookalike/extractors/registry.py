"""Which extractors there are, and how a name becomes one.

To register an extractor, add one line to `EXTRACTORS`. Nothing is imported before it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import LookalikeError, UnknownExtractor, UsageError
from lookalike.extractors.interface import Extractor
from lookalike.vectors.similarity import Similarity

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

PLUGINS = "lookalike.extractors"
"""The entry point group in which other packages offer extractors."""


REGIONS = "+regions"
"""After a name: vectors of parts of the picture, too ("color+regions")."""

PCA = "+pca"
"""After a name, with a number: so many principal components of its vectors ("color+pca64")."""

_PCA = re.compile(r"(?P<whole>.+)\+pca(?P<kept>\d+)")
_ENDING = re.compile(r"(\+regions|\+pca\d+)*$")


@dataclass(frozen=True, slots=True)
class Offer:
    """An extractor that can be asked for by name.

    factory     "module:callable"; called without arguments, or with what follows "name:"
    summary     one line for lists
    dim         length of its vectors; None where the model decides
    takes       what may follow "name:", for people; empty if nothing may
    needs_text  something must follow
    """

    factory: str
    summary: str
    dim: int | None
    similarity: Similarity = "cosine"
    takes: str = ""
    needs_text: bool = False


_HERE = "lookalike.extractors"
_MODEL = "PRESET, FOLDER or OWNER/NAME[@REVISION][:VARIANT][:crop]"

EXTRACTORS: Mapping[str, Offer] = {
    "lookalike": Offer(
        f"{_HERE}.builtin:Lookalike", "what it shows and its colours (built-in network)", 384
    ),
    "color": Offer(f"{_HERE}.color:Color", "which colours, and which in the middle", 384),
    "shape": Offer(f"{_HERE}.shape:Shape", "where edges run, whatever the colours (HOG)", 3780),
    "keypoints": Offer(
        f"{_HERE}.visual_words:KeypointVectors", "the same thing, cropped or turned (SIFT)", 1024
    ),
    "keypoints-orb": Offer(
        f"{_HERE}.visual_words:keypoints_by_orb", "keypoints by ORB: faster, finds less", 1024
    ),
    "onnx": Offer(
        f"{_HERE}.onnx:load_onnx", "any ONNX image model", None, takes=_MODEL, needs_text=True
    ),
    "clip": Offer(
        f"{_HERE}.clip:load_clip", "CLIP and SigLIP: pictures and words", None, takes=_MODEL
    ),
    "timm": Offer(
        f"{_HERE}.timm:load_timm", "any network of timm", None, takes="NAME", needs_text=True
    ),
    "trained": Offer(
        f"{_HERE}.trained:load_trained",
        "your own, made by `lookalike train`",
        None,
        takes="FOLDER",
        needs_text=True,
    ),
    "histogram": Offer(
        f"{_HERE}.histogram:Histogram", "plain histograms of red, green and blue", 96
    ),
    "pixels": Offer(f"{_HERE}.pixels:PixelsGrey", "the picture itself, 64×64 in grey", 4096),
    "dhash": Offer(f"{_HERE}.hashes:DHash", "difference hash, 64 bits: finds copies", 64),
    "phash": Offer(f"{_HERE}.hashes:PHash", "perceptual hash, 64 bits: finds copies", 64),
}


def load(spec: str) -> Extractor:
    """The extractor of that name: "color", "onnx:resnet50", "./my-model" (a folder that `lookalike
    train` wrote), or one that a plug-in offers.

    Raises UnknownExtractor, listing the known ones; UsageError where a plug-in is broken, and
    whatever the extractor itself says about the text after the colon.
    """
    if spec.endswith(REGIONS):
        from lookalike.extractors.regions import Regions

        return Regions(load(spec.removesuffix(REGIONS)))
    if reduced := _PCA.fullmatch(spec):
        from lookalike.extractors.pca_extractor import Reduced

        return Reduced(load(reduced["whole"]), int(reduced["kept"]))
    spec = _of_folder(spec)
    name, colon, text = spec.partition(":")
    if offer := EXTRACTORS.get(name):
        if colon and not offer.takes:
            raise UnknownExtractor(f"{name} takes nothing after its name: write {name!r}")
        if offer.needs_text and not text:
            raise UnknownExtractor(f"{name} needs a model: write {name}:{offer.takes}")
        factory = _imported(offer.factory)
        return _made(factory, text, colon)
    if plugin := plugins().get(name):
        return _from_plugin(plugin, spec)
    raise UnknownExtractor(_unknown(spec))


def names() -> list[str]:
    """All names that `load` knows, those of plug-ins last; families such as "onnx:" with a colon.
    Plug-ins are not imported for this."""
    own = [f"{name}:" if offer.takes else name for name, offer in EXTRACTORS.items()]
    return own + sorted(name for name in plugins() if name not in EXTRACTORS)


def parse(text: str) -> list[str]:
    """Names out of a list with commas: "color,shape" → ["color", "shape"], each once.

    A comma inside the text of a family stays there ("onnx:a,b/model" is one name), unless what
    follows it begins with a known name. A folder that holds a trained model becomes its full name.
    """
    known = {name.rstrip(":") for name in names()}
    found: list[str] = []
    for piece in text.split(","):
        begins = piece.strip().partition(":")[0] in known
        if found and ":" in found[-1] and not begins:
            found[-1] += "," + piece
        elif piece.strip():
            found.append(_of_folder(piece.strip()))
    return list(dict.fromkeys(found))


def plugins() -> dict[str, EntryPoint]:
    """What other packages offer, by name, not imported. Names of our own cannot be taken."""
    from importlib.metadata import entry_points  # 60 ms, which a search by color need not wait for

    found = entry_points(group=PLUGINS)
    return {point.name: point for point in found if point.name not in EXTRACTORS}


def _of_folder(spec: str) -> str:
    """ "./my-model" → "trained:/home/…/my-model"; everything else as it is.

    A name of ours is never a folder. What begins like a path and is no trained model is handed to
    the family all the same, which says what is wrong with it.
    """
    found = _ENDING.search(spec)
    ending = found.group() if found else ""
    place = spec[: len(spec) - len(ending)]
    if place.partition(":")[0] in EXTRACTORS:
        return spec
    from lookalike.models.trained import is_trained  # brings the network along: 25 ms

    folder = Path(place).expanduser()
    if is_trained(folder):
        return f"trained:{folder.resolve().as_posix()}{ending}"
    looks = place.startswith((".", "~")) or folder.is_absolute()
    return f"trained:{place}{ending}" if looks else spec


def _imported(factory: str) -> Callable[..., Any]:
    module, _, attribute = factory.partition(":")
    made: Callable[..., Any] = getattr(import_module(module), attribute)
    return made


def _made(factory: Callable[..., Any], text: str, colon: str) -> Extractor:
    extractor: Extractor = factory(text) if colon else factory()
    return extractor


def _from_plugin(plugin: EntryPoint, spec: str) -> Extractor:
    _, colon, text = spec.partition(":")
    package = f" of the package {plugin.dist.name} {plugin.dist.version}" if plugin.dist else ""
    blame = f"the extractor {plugin.name!r}{package} ({plugin.value})"
    try:
        extractor = _made(plugin.load(), text, colon)
    except LookalikeError:
        raise
    except Exception as error:
        raise UsageError(
            f"{blame} cannot be loaded: {type(error).__name__}: {error}; update or remove it"
        ) from error
    wanted = ("name", "revision", "dim", "similarity", "needs", "place", "extract")
    missing = [word for word in wanted if not hasattr(extractor, word)]
    if missing:
        raise UsageError(f"{blame} is no extractor: it has no {', '.join(missing)}")
    return extractor


def _unknown(spec: str) -> str:
    from difflib import get_close_matches

    known = names()
    name = spec.partition(":")[0]
    close = get_close_matches(name, [word.rstrip(":") for word in known], n=1, cutoff=0.6)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    return f"no extractor is called {spec!r}. {hint}There are: {', '.join(known)}"
