"""ONNX Runtime sessions: the best available provider, one thread per core, one-line errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.cpu import physical_cores
from lookalike.errors import MissingExtra, UsageError, raise_interrupt

Array = NDArray[np.generic]
T = TypeVar("T")
R = TypeVar("R")

# Best first. TensorRT is left out: it compiles for minutes before the first image.
_PROVIDERS = (
    "CUDAExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
    "CPUExecutionProvider",
)

_BATCH = 4  # images per pass on one core, at most: more leave its caches and gain nothing
_SMALL_WEIGHTS = 32 << 20  # bytes
_GPU_BATCH = 32  # a graphics card needs more images to be busy

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """How a network runs on this machine: provider, total threads, maximum images per batch."""

    provider: str
    threads: int
    batch: int


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of a graph: name, dtype, and shape (None: any size)."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def expected_runtime(batch: int = _BATCH) -> RuntimeInfo | None:
    """Return how a network would run here, without loading one; None without ONNX Runtime.

    `batch` is the batch on a CPU. Networks with a fixed batch or dynamic quantisation get batches of 1.
    """
    try:
        available = import_runtime().get_available_providers()
    except MissingExtra:
        return None
    provider = next(name for name in _PROVIDERS if name in available)
    on_cpu = provider == "CPUExecutionProvider"
    return RuntimeInfo(provider, physical_cores(), batch if on_cpu else _GPU_BATCH)


def batch_for(weights: int) -> int:
    """Return the images per pass on one core for a network with that many bytes of weights.

    Small weights are read again for each image faster than the activations of several images leave the
    caches and come back: one at a time, MobileNetV2 (13 MB) is 6 to 13 % faster than four, a ResNet-18
    (43 MB) 5 % slower, a ViT-B/32 (334 MB) 22 % slower (`benchmarks/passes.py`).
    """
    return 1 if weights <= _SMALL_WEIGHTS else _BATCH


class Session:
    """A loaded network. `close`, or dropping the last reference, frees its memory.

    On a CPU, several images are processed at the same time by one thread each, rather than one image by all
    threads: small layers do not parallelise well. Idle threads sleep; ONNX Runtime's default is to spin,
    which on two cores shared with the decoder took 20 ms of processor time per image instead of 11
    (MobileNetV2).

    batch          images per pass on a CPU (see `batch_for`)
    single_images  one image per pass wherever it runs
    """

    def __init__(
        self,
        path: Path,
        *,
        content: bytes | None = None,
        batch: int = _BATCH,
        single_images: bool = False,
    ) -> None:
        runtime = import_runtime()
        available = runtime.get_available_providers()
        providers = [name for name in _PROVIDERS if name in available]
        self._threads = physical_cores()
        on_cpu = providers[:1] == ["CPUExecutionProvider"]
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # its errors arrive as exceptions
        options.intra_op_num_threads = 1 if on_cpu else self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Weights in a second file are looked up next to the graph, also when the graph comes as bytes.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(path.parent)
        )
        try:
            session = runtime.InferenceSession(
                str(path) if content is None else content, options, providers=providers
            )
        except Exception as error:  # its exceptions have no common class
            message = _first_line(error)
            raise UsageError(f"{path} cannot be loaded by ONNX Runtime: {message}") from None
        self._session: Any = session
        self.path = path
        self.inputs = {port.name: port for port in map(_port, session.get_inputs())}
        self.outputs = {port.name: port for port in map(_port, session.get_outputs())}
        self._on_cpu = session.get_providers()[0] == "CPUExecutionProvider"
        self.batch = 1 if single_images else batch if self._on_cpu else _GPU_BATCH
        self._run_options: Any = runtime.RunOptions()
        self._run_options.only_execute_path_to_fetches = True

    def metadata(self) -> dict[str, str]:
        """Return the custom metadata in the model file."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Run one pass and return these outputs. Only what they depend on is computed."""
        if self._session is None:
            raise UsageError(f"the model {self.path} was closed; load it again")
        try:
            found: list[Array] = self._session.run(list(outputs), dict(feeds), self._run_options)
        except Exception as error:
            raise UsageError(f"{self.path} fails in ONNX Runtime: {_first_line(error)}") from None
        return found

    def streams(self) -> int:
        """Return how many passes should run at the same time."""
        alone = getattr(_thread, "single_threaded", False)
        return self._threads if self._on_cpu and not alone else 1

    def concurrency(self) -> tuple[int, int]:
        """Return how many concurrent passes keep this machine busy, and with how many images each."""
        return self.streams(), self.batch

    def close(self) -> None:
        """Free the network's memory; it cannot be run any more."""
        self._session = None


_thread = threading.local()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run the networks called by this thread on this thread only, because it is one of several."""
    _thread.single_threaded = True
    try:
        yield
    finally:
        _thread.single_threaded = False


def run_all(streams: int, work: Sequence[T], function: Callable[[T], R]) -> list[R]:
    """Return `function(item)` for each item in order, computing `streams` of them at the same time."""
    if streams == 1 or len(work) < 2:
        return [function(item) for item in work]
    with ThreadPoolExecutor(min(streams, len(work)), thread_name_prefix="network") as pool:
        return list(pool.map(function, work))


def _port(description: Any) -> Port:
    shape = tuple(n if isinstance(n, int) and n > 0 else None for n in description.shape or ())
    return Port(description.name, np.dtype(_DTYPES.get(description.type, np.float32)), shape)


def import_runtime() -> Any:
    """Return the module `onnxruntime`; MissingExtra with the remedy where it cannot be imported."""
    try:
        import onnxruntime
    except ImportError as error:
        raise_interrupt(error)
        raise MissingExtra(
            "ONNX Runtime, which this model needs, cannot be loaded "
            f"({' '.join(str(error).split())[:150]}): pip install --force-reinstall onnxruntime"
        ) from error
    return onnxruntime


def _first_line(error: Exception) -> str:
    """Return the first line of an error without the runtime's own prefixes."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.rpartition("] : ")[2][:200]
