"""ONNX Runtime: the best provider there is, a thread for each core, one line for its errors."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.cpu import physical_cores
from lookalike.errors import MissingExtra, UsageError, raise_interrupt

Array = NDArray[np.generic]

# Best first. TensorRT is left out: it compiles for minutes before the first picture.
_PROVIDERS = (
    "CUDAExecutionProvider",
    "CoreMLExecutionProvider",
    "DmlExecutionProvider",
    "CPUExecutionProvider",
)

_BATCH = 4  # pictures a pass on one core, at most: more leave its caches and gain nothing
_FEW_WEIGHTS = 32 << 20  # bytes
_BATCH_ELSEWHERE = 32  # on a graphics card, which needs more to be busy

_NUMBERS = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(uint8)": np.uint8,
}


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """How a network runs here, for people: provider, threads in all, pictures in one batch at most."""

    provider: str
    threads: int
    batch: int


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: its name, the numbers it takes, and its shape (None: any)."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


def expected_facts(batch: int = _BATCH) -> RuntimeFacts | None:
    """How a network would run here, without loading one (the runtime itself is imported); None where
    there is no runtime. `batch` is that on a processor. Networks with a fixed batch or dynamic
    quantisation get batches of 1."""
    try:
        available = _import_runtime().get_available_providers()
    except MissingExtra:
        return None
    provider = next(name for name in _PROVIDERS if name in available)
    on_processor = provider == "CPUExecutionProvider"
    return RuntimeFacts(provider, physical_cores(), batch if on_processor else _BATCH_ELSEWHERE)


def batch_for(weights: int) -> int:
    """Pictures a pass on a core for a network of so many bytes of weights.

    Few weights are read again for each picture in less time than several pictures' numbers take to leave
    the caches and come back: one at a time MobileNetV2 (13 MB) is 6 to 13 % faster than four, a ResNet-18
    (43 MB) 5 % slower, a ViT-B/32 (334 MB) 22 % (`benchmarks/passes.py`).
    """
    return 1 if weights <= _FEW_WEIGHTS else _BATCH


class Session:
    """A loaded network. `close` gives its memory back; so does forgetting it.

    On a processor, `threads` pictures are worked on at the same time, each by one thread of its
    own, rather than one picture by all threads: small layers do not divide well. Threads that have
    nothing to do sleep: ONNX Runtime's default is to spin, which on two cores shared with the
    decoder cost 20 ms of processor time a picture instead of 11 (MobileNetV2).

    batch  pictures a pass on a processor (`batch_for`); alone: one a pass, wherever it runs
    """

    def __init__(
        self,
        path: Path,
        *,
        content: bytes | None = None,
        batch: int = _BATCH,
        alone: bool = False,
    ) -> None:
        runtime = _import_runtime()
        available = runtime.get_available_providers()
        providers = [name for name in _PROVIDERS if name in available]
        self._threads = physical_cores()
        on_processor = providers[:1] == ["CPUExecutionProvider"]
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # its errors arrive as exceptions
        options.intra_op_num_threads = 1 if on_processor else self._threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Weights in a second file are looked for beside the graph, also when it comes as bytes.
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(path.parent)
        )
        try:
            session = runtime.InferenceSession(
                str(path) if content is None else content, options, providers=providers
            )
        except Exception as error:  # its exceptions have no common class
            raise UsageError(f"{path} cannot be loaded by ONNX Runtime: {_first(error)}") from None
        self._session: Any = session
        self.path = path
        self.inputs = {port.name: port for port in map(_port, session.get_inputs())}
        self.outputs = {port.name: port for port in map(_port, session.get_outputs())}
        self._provider = str(session.get_providers()[0])
        self._on_processor = self._provider == "CPUExecutionProvider"
        self.batch = 1 if alone else batch if self._on_processor else _BATCH_ELSEWHERE
        self._partly: Any = runtime.RunOptions()
        self._partly.only_execute_path_to_fetches = True

    def facts(self) -> RuntimeFacts:
        return RuntimeFacts(self._provider, self._threads, self.batch)

    def metadata(self) -> dict[str, str]:
        """What the file says of itself, by key."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """One pass. Only what leads to `outputs` is computed."""
        if self._session is None:
            raise UsageError(f"the model {self.path} was closed; load it again")
        try:
            found: list[Array] = self._session.run(list(outputs), dict(feeds), self._partly)
        except Exception as error:
            raise UsageError(f"{self.path} fails in ONNX Runtime: {_first(error)}") from None
        return found

    def streams(self) -> int:
        """How many passes it pays to run at the same time."""
        alone = getattr(_calling, "single_threaded", False)
        return self._threads if self._on_processor and not alone else 1

    def concurrency(self) -> tuple[int, int]:
        """How many passes at a time keep this machine busy, and with how many pictures each."""
        return self.streams(), self.batch

    def close(self) -> None:
        self._session = None


_calling = threading.local()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run the networks called by this thread on this thread only, because it is one of several."""
    _calling.single_threaded = True
    try:
        yield
    finally:
        _calling.single_threaded = False


def run_all(streams: int, work: Sequence[Any], one: Any) -> list[Any]:
    """`one(item)` for each item of `work`, `streams` of them at the same time, in order."""
    if streams == 1 or len(work) < 2:
        return [one(item) for item in work]
    with ThreadPoolExecutor(min(streams, len(work)), thread_name_prefix="network") as pool:
        return list(pool.map(one, work))


def _port(described: Any) -> Port:
    shape = tuple(n if isinstance(n, int) and n > 0 else None for n in described.shape or ())
    return Port(described.name, np.dtype(_NUMBERS.get(described.type, np.float32)), shape)


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise_interrupt(error)
        raise MissingExtra(
            "ONNX Runtime, which this model needs, cannot be loaded "
            f"({' '.join(str(error).split())[:150]}): pip install --force-reinstall onnxruntime"
        ) from error
    return onnxruntime


def _first(error: Exception) -> str:
    """The first line of an error without the runtime's own prefixes."""
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return text.rpartition("] : ")[2][:200]
