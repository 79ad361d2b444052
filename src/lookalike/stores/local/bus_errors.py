"""Faults in mapped files: a file that is cut, or a disk that cannot be read, must not end the process.

Reading a mapped page that is no longer in its file, or cannot be read from the disk, raises SIGBUS, which
ends a process. Here its handler maps zeros over the rest of the mapping, as the X server does for shared
memory, and counts the fault. Whoever has read mapped vectors compares the counter afterwards, so nothing that
was computed from the zeros is used (`snapshot`). Only for files of a library's spaces, and on 64-bit Linux;
elsewhere SIGBUS ends the process as before. Windows does not cut mapped files.
"""

from __future__ import annotations

import mmap
import re
import signal
import sys

MAPPED = re.compile(
    rb"/spaces/[a-z0-9-]+/(?:vectors|ids|ann)-[\w-]+\.(?:f32|f16|i64|faiss)(?: \(deleted\))?$"
)

# <signal.h> and <sys/mman.h> of Linux; equal for glibc and musl on x86-64 and AArch64.
SA_SIGINFO = 4
MAP_FIXED = 0x10
ADDRESS_OFFSET = 16  # of si_addr in siginfo_t

_faults = 0
_installed: list[object] = []


def faults() -> int:
    """Return how many faults in mapped files this process has survived."""
    return _faults


def install() -> None:
    """Install the handler, once. SIGBUS of other mappings goes to the handler before, or ends the process."""
    if _installed or sys.platform != "linux" or sys.maxsize < 1 << 32:
        return
    import ctypes

    class SigAction(ctypes.Structure):
        _fields_ = (
            ("handler", ctypes.c_void_p),
            ("mask", ctypes.c_ulong * 16),
            ("flags", ctypes.c_int),
            ("restorer", ctypes.c_void_p),
        )

    system = ctypes.CDLL(None, use_errno=True)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = (
        ctypes.c_void_p,
        ctypes.c_size_t,
        *(ctypes.c_int,) * 3,
        ctypes.c_long,
    )
    before = SigAction()

    def on_fault(number: int, info: int, context: int) -> None:
        global _faults
        address = ctypes.c_size_t.from_address(info + ADDRESS_OFFSET).value
        end = _end_of_mapping(address)
        if end is not None:
            start = address - address % mmap.PAGESIZE
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED
            if system.mmap(start, end - start, mmap.PROT_READ, flags, -1, 0) == start:
                _faults += 1
                return
        # The instruction runs again, and this time meets the handler that was there before.
        system.sigaction(number, ctypes.byref(before), None)

    handle = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(on_fault)
    action = SigAction(handler=ctypes.cast(handle, ctypes.c_void_p), flags=SA_SIGINFO)
    if system.sigaction(signal.SIGBUS, ctypes.byref(action), ctypes.byref(before)) == 0:
        _installed.append(handle)  # kept for ever: the system calls it


def _end_of_mapping(address: int) -> int | None:
    """Return where the mapping of a space's file ends that holds this address; None if there is none."""
    with open("/proc/self/maps", "rb") as maps:  # noqa: PTH123 - in a signal handler, as little as possible
        for line in maps:
            start, _, end = line.split(None, 1)[0].partition(b"-")
            if int(start, 16) <= address < int(end, 16):
                return int(end, 16) if MAPPED.search(line.rstrip(b"\n")) else None
    return None
