"""Complete JPEG files that lack their last bytes.

Webcams and phones leave out the end marker, and downloads lose their last block; all viewers show such files.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import numpy as np

from lookalike.images.pixel_spec import Pixels

MAX_MISSING = 0.02
"""Share of the pixels that may be missing."""

_END = b"\xff\xd9"
_INTERVAL_BYTES = 256  # of noise between two restart markers


def with_end(data: bytes) -> tuple[bytes, str] | None:
    """Return a JPEG that ends early with an end marker, and a note for people.

    None if more than `MAX_MISSING` of the image is missing.
    """
    body = data.rstrip(b"\x00")
    if body.endswith(_END):
        return None  # what is missing is not the end
    if body.endswith(b"\xff"):  # half of the marker, or a 255 of the image, which zero follows
        body = body + b"\x00" if len(body) < len(data) else body[:-1]
    if not _has_all_scans(body):
        return None
    whole = body + _END
    missing = _missing_share(body, whole)
    if missing > MAX_MISSING:
        return None
    if missing == 0:
        return whole, "its end marker is missing; the image is complete"
    return whole, f"the last {max(missing, 0.001):.1%} of the image is missing"


def _missing_share(body: bytes, whole: bytes) -> float:
    """Return the share of the pixels that the file does not determine.

    Those change when noise follows the file instead of its end.
    """
    bytes_of_noise = np.random.default_rng(0).integers(0, 255, len(body) + 4096, dtype=np.uint8)
    noise = bytes_of_noise.tobytes()  # never 255, which begins a marker
    restart = _last_restart(body)
    if restart is not None:  # the decoder expects a marker after each interval
        parts = (noise[at : at + _INTERVAL_BYTES] for at in range(0, len(noise), _INTERVAL_BYTES))
        markers = (bytes([0xFF, 0xD0 + (restart + n) % 8]) for n in range(1, len(noise)))
        noise = b"".join(part + marker for part, marker in zip(parts, markers, strict=False))
    one, other = _tolerant(whole), _tolerant(body + noise + _END)
    return float((one != other).any(axis=2).mean())


def _tolerant(data: bytes) -> Pixels:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
        return np.atleast_3d(np.asarray(image))


def _last_restart(body: bytes) -> int | None:
    """Return the number of the last restart marker, 7 before the first one; None without intervals."""
    if not any(marker == 0xDD for marker, _ in _segments(body)):
        return None
    scan = body.rfind(b"\xff\xda")
    found = max((body.rfind(bytes([0xFF, 0xD0 + n]), scan), n) for n in range(8))
    return found[1] if found[0] >= 0 else 7


def _has_all_scans(body: bytes) -> bool:
    """Return whether every coefficient of every component is sent to its last bit (progressive JPEG).

    A sequential file has one scan for each component, or one for all.
    """
    components: set[int] = set()
    progressive = False
    bits: dict[tuple[int, int], int] = {}  # lowest bit sent so far, by component and coefficient
    for marker, segment in _segments(body):
        if marker in (0xC0, 0xC1, 0xC2) and len(segment) >= 6:
            progressive = marker == 0xC2
            components = set(segment[6 : 6 + 3 * segment[5] : 3])
        elif marker == 0xDA and segment:
            count = segment[0]
            scanned = segment[1 : 1 + 2 * count : 2]
            first, last, approximation = struct.unpack_from(">BBB", segment, 1 + 2 * count)
            for component in scanned:
                for coefficient in range(first, min(last, 63) + 1):
                    bits[component, coefficient] = approximation & 15
    wanted = range(64) if progressive else range(1)
    return all(bits.get((one, number)) == 0 for one in components for number in wanted)


def _segments(body: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the markers that have a segment, with its content."""
    at = 2
    while (at := body.find(b"\xff", at)) >= 0 and at + 4 <= len(body):
        marker = body[at + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            at += 1 if marker == 0xFF else 2
            continue
        (size,) = struct.unpack_from(">H", body, at + 2)
        yield marker, body[at + 4 : at + 2 + size]
        at += 2 + max(size, 2)
