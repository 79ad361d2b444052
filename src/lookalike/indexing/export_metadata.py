"""Write metadata of images into XMP sidecars beside them. No image is ever changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lookalike.duplicates.companions import FolderListings
from lookalike.errors import Outcome
from lookalike.files import atomic_write
from lookalike.images.metadata.xmp_write import exported_fields, write_xmp
from lookalike.indexing.sidecars import MAX_BYTES, check_inside, reason
from lookalike.object_storage import is_url
from lookalike.stores.interface import Image, Root
from lookalike.stores.metadata import CAPTION_NAMES


@dataclass(frozen=True, slots=True)
class MetadataExport:
    """What became of the sidecars.

    written    sidecars written, new or changed (with `dry_run`: that would be)
    unchanged  sidecars that said all of it already
    kept       sidecars with another title, caption, rating or colour label, which stayed
    failed     paths of sidecars that could not be written, each with the reason
    """

    written: tuple[Path, ...] = ()
    unchanged: int = 0
    kept: int = 0
    failed: tuple[tuple[str, str], ...] = ()


def export_metadata(
    images: Sequence[Image],
    roots: Sequence[Root],
    *,
    replace: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MetadataExport:
    """Write what tables and sidecars say about images into XMP sidecars; see `Library.export_metadata`."""
    folders = {root.id: root for root in roots}
    listings = FolderListings()
    written: list[Path] = []
    failed: list[tuple[str, str]] = []
    unchanged = kept = 0
    for done, image in enumerate(images, start=1):
        root = folders[image.root]
        stated = {**image.facts, **image.metadata}
        texts = (stated.get(name) for name in CAPTION_NAMES)
        caption = next((one for one in texts if isinstance(one, str) and one.strip()), None)
        fields = exported_fields({**stated, "caption": caption})
        if image.outcome is Outcome.INDEXED and image.metadata and fields:
            sidecar = root.path / f"{image.path}.xmp"
            try:
                sidecar = _sidecar_of(root, image, listings)
                packet = _read(sidecar)
                changed, stayed = write_xmp(packet, fields, replace=replace)
                kept += stayed
                unchanged += changed is None
                if changed is not None:
                    written.append(sidecar)
                    if not dry_run:
                        _write(sidecar, changed)
            except (OSError, ValueError) as error:
                failed.append((str(sidecar), reason(error)))
        if progress is not None:
            progress(done, len(images))
    return MetadataExport(tuple(written), unchanged, kept, tuple(failed))


def _sidecar_of(root: Root, image: Image, listings: FolderListings) -> Path:
    """Return the sidecar that describes this image alone; it need not exist. Raises OSError, ValueError."""
    if root.imported or is_url(root.path) or not (file := root.path / image.path).is_file():
        raise ValueError("its image is no file on this machine")
    check_inside(file.parent, root.path)
    known = listings.companions(file).sidecars
    found = [one for one in known if one.suffix.lower() == ".xmp"]
    full = file.with_name(file.name + ".xmp")
    sidecar = next((one for one in found if one.stem == file.name), found[0] if found else full)
    if sidecar.is_symlink():
        raise ValueError("a link: replace it by a file, or delete it")
    return sidecar


def _read(sidecar: Path) -> bytes | None:
    if not sidecar.exists():
        return None
    with sidecar.open("rb") as handle:
        packet = handle.read(MAX_BYTES + 1)
    if len(packet) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES >> 20} MB")
    return packet


def _write(sidecar: Path, packet: bytes) -> None:
    mode = sidecar.stat().st_mode if sidecar.exists() else None
    with atomic_write(sidecar) as out:
        out.write(packet)
    if mode is not None:
        sidecar.chmod(mode & 0o777)
