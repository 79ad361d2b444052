"""Frames of videos, decoded by FFmpeg (PyAV): the key frames at which the picture has changed.

The demuxer is the one of the format that the first bytes show, and may open nothing but this file: FFmpeg's
own choice would follow playlists to the network.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import ImageError, Outcome
from lookalike.images.formats import FORMATS
from lookalike.images.metadata.exif import camera_name
from lookalike.images.metadata.facts import Facts, whole_position
from lookalike.images.metadata.moment import iso_moment
from lookalike.images.pixel_spec import Decoded, Pixels
from lookalike.workers.limits import Limits

MAX_FRAMES = 24
"""Frames of one video that are images of their own."""

PROBES = 96
"""Places of a video, spread evenly, at which key frames are compared."""

CHANGE = 12.0
"""Mean difference of two small grey versions, of 255, from which a frame counts as another scene."""

PLAIN = 4.0
"""Standard deviation of grey values below which a frame is empty, as the black one at the beginning."""

LIVE_SECONDS = 6.0
"""Longest video of a live photo."""

EXACT = 0.0015
"""Seconds by which a time that was rounded may differ."""

SKIPPED = 2.0
"""Seconds of a video from which jumping over them is faster than reading them."""

MARGIN = 10.0
"""Seconds before a time from which containers without an index of key frames are read."""

NO_FRAME = (
    "no frame of the video can be decoded: it has no key frame, or lacks its beginning; copy it"
    " again"
)

_NOT_INDEXED = frozenset({"mpegts", "mpeg", "flv"})

_SIDE = 32
_PLACE = re.compile(r"([+-]\d{1,2}(?:\.\d+)?)([+-]\d{1,3}(?:\.\d+)?)")


def decode_video(
    source: str | IO[bytes],
    kind: str,
    page: str,
    scale: Callable[[int, int], float],
    check_size: Callable[[int, int], None],
    limits: Limits,
) -> Decoded:
    """Decode the frame at "t=SECONDS", or the first that shows something, with the times of the others."""
    import av

    def opened() -> Any:
        options = {"protocol_whitelist": "file,pipe"}
        if not isinstance(source, str):
            source.seek(0)
        address = f"file:{source}" if isinstance(source, str) else source
        container = av.open(address, format=FORMATS[kind].demuxer, options=options)
        for one in container.streams.video:
            one.thread_count = 1  # every core already has its worker
        return container

    try:
        times: list[float] = []
        with opened() as container:
            stream = next(iter(container.streams.video), None)
            if stream is None and container.streams.audio:
                raise ImageError(Outcome.UNSUPPORTED, "has sound, but no video")
            if stream is None:
                raise ImageError(Outcome.UNREADABLE, "the video is incomplete; copy it again")
            if not stream.codec_context.width:  # which the first key frame states
                raise ImageError(Outcome.UNREADABLE, NO_FRAME)
            check_size(stream.codec_context.width, stream.codec_context.height)
            start = (container.start_time or 0) / av.time_base
            if not page:
                times = choose(_probe(container, stream, kind, limits.timeout / 3))
        wanted = times[0] if times else start + float(page.removeprefix("t=") or 0)
        with opened() as container:
            frame = _frame_at(container, container.streams.video[0], wanted, kind)
            facts = _facts(frame, kind, container)
            if not page:
                facts = replace(facts, frames=max(1, len(times)))
            pages = tuple(_page(t - start) for t in times[1:])
            return Decoded(_pixels(frame, scale), facts, pages, _is_short(container))
    except av.FFmpegError as error:
        raise ImageError(
            Outcome.UNREADABLE,
            f"the video is damaged or of an unusual kind ({error.strerror}); try to open it elsewhere",
        ) from None


def choose(probes: Iterable[tuple[float, NDArray[np.float32]]]) -> list[float]:
    """Return the times of the frames that show something new, at most `MAX_FRAMES`; of more, those that
    differ most from the one before.

    probes  times, and small grey versions, in their order
    """
    chosen: list[tuple[float, float]] = []
    before: NDArray[np.float32] | None = None
    for at, grey in probes:
        change = 255.0 if before is None else float(np.abs(grey - before).mean())
        if grey.std() < PLAIN or change < CHANGE:
            continue
        chosen.append((change, at))
        before = grey
    return sorted(at for _, at in sorted(chosen, reverse=True)[:MAX_FRAMES])


def _probe(
    container: Any, stream: Any, kind: str, seconds: float
) -> Iterator[tuple[float, NDArray[np.float32]]]:
    """Yield time and a small grey version of key frames, spread over the video, for so many seconds."""
    import av

    ends = time.monotonic() + seconds
    length = (container.duration or 0) / av.time_base
    start = (container.start_time or 0) / av.time_base
    next_time = start
    packets = _key_packets(container, stream)
    while time.monotonic() < ends:
        found = next(((at, one) for at, one in packets if at >= next_time - EXACT), None)
        if found is None:
            return
        at, packet = found
        frame = _decoded(stream, packet)
        if frame is not None:
            grey = frame.reformat(width=_SIDE, height=_SIDE, format="gray", interpolation="AREA")
            yield at, grey.to_ndarray().astype(np.float32)
        next_time = max(next_time, at) + max(length / PROBES, EXACT * 2)
        if kind not in _NOT_INDEXED and next_time > at + SKIPPED:
            with suppress(av.FFmpegError):
                container.seek(int(next_time * av.time_base))
                packets = _key_packets(container, stream)


def _key_packets(container: Any, stream: Any) -> Iterator[tuple[float, Any]]:
    """Yield the key frames from here on, not decoded, each with its time in seconds."""
    for packet in container.demux(stream):
        if packet.is_keyframe and packet.size:
            stamp = packet.dts if packet.pts is None else packet.pts
            yield float((stamp or 0) * (packet.time_base or stream.time_base)), packet


def _decoded(stream: Any, packet: Any) -> Any:
    """Return the frame of a packet with a key frame, or None if it cannot be decoded."""
    import av

    context = stream.codec_context
    with suppress(av.FFmpegError):
        found = context.decode(packet) or context.decode(None)
        context.flush_buffers()
        return found[0] if found else None
    context.flush_buffers()
    return None


def _frame_at(container: Any, stream: Any, at: float, kind: str) -> Any:
    """Return the key frame at a time or the last one before, or else the first frame that can be decoded.

    Raises ImageError.
    """
    import av

    back = MARGIN if kind in _NOT_INDEXED else 0.0
    if at > back:
        with suppress(av.FFmpegError):
            container.seek(int((at - back) * av.time_base))
    last = None
    for seconds, packet in _key_packets(container, stream):
        if last is not None and seconds > at + EXACT:
            break
        last = packet
        if seconds > at - EXACT:
            break
    frame = None if last is None else _decoded(stream, last)
    if frame is not None:
        return frame
    with suppress(av.FFmpegError):
        container.seek(0)
        for frame in container.decode(stream):
            return frame
    raise ImageError(Outcome.UNREADABLE, NO_FRAME)


def _page(seconds: float) -> str:
    """Return the name of the frame at a time; rounded up, so that the key frame before it is this one."""
    return f"t={math.ceil(max(0.0, seconds) * 1000 - 1e-6) / 1000:.3f}".rstrip("0").rstrip(".")


def _pixels(frame: Any, scale: Callable[[int, int], float]) -> Pixels:
    factor = scale(frame.width, frame.height)
    width, height = (max(1, math.ceil(side * factor)) for side in (frame.width, frame.height))
    small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    return np.ascontiguousarray(np.rot90(small.to_ndarray(), _quarters(frame)))


def _is_short(container: Any) -> bool:
    """Return whether a video may be that of a live photo: it says so, or lasts a few seconds."""
    import av

    said = any("content.identifier" in key for key in container.metadata)
    return said or 0 < (container.duration or 0) / av.time_base <= LIVE_SECONDS


def _quarters(frame: Any) -> int:
    """Return how many quarter turns against the clock make a frame upright."""
    return round(getattr(frame, "rotation", 0) / 90) % 4


def _facts(frame: Any, kind: str, container: Any) -> Facts:
    """Return size, time, camera and place of a video, as phones and cameras write them."""
    tags = {key.lower(): str(value) for key, value in container.metadata.items()}
    apple = {key.rpartition(".")[2]: value for key, value in tags.items() if "quicktime" in key}
    place = _PLACE.match(apple.get("iso6709", "") or tags.get("location", ""))
    position = whole_position(float(place[1]), float(place[2])) if place else None
    latitude, longitude = position or (None, None)
    width, height = frame.width, frame.height
    if _quarters(frame) % 2:
        width, height = height, width
    return Facts(
        width,
        height,
        kind,
        taken=iso_moment(apple.get("creationdate") or tags.get("creation_time", "")),
        camera=camera_name(apple.get("make", ""), apple.get("model", "")),
        latitude=latitude,
        longitude=longitude,
    )
