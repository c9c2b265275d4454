"""Process-wide settings that affect speed. They are set once, before heavy work, and never on import."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import sys
import threading
import time
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGEST_MMAP_THRESHOLD = 32 << 20  # glibc accepts no more


def keep_freed_memory() -> None:
    """Let the C library keep freed memory for the next tensor instead of returning it to the system.

    Returning it costs a page fault per 4 KiB when the next activation of the same size is allocated: with glibc's defaults a
    MobileNet step spends a third of its time there. Has no effect with other C libraries.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def process_began() -> float:
    """The start time of this process, on the clock of `time.monotonic`. A time budget includes the imports, which are slow on a
    busy machine. Where the system does not report it, the processor time used so far is subtracted from the current time."""
    with contextlib.suppress(OSError, IndexError, ValueError, AttributeError):
        after_name = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        since_boot = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
        return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot)
    return time.monotonic() - time.process_time()


class QuietC:
    """While any thread is inside, C code's output to `stderr` is discarded; Python's `sys.stderr` is unaffected. For decoders that
    print a message per damaged frame and have no option to disable it. Has no effect without glibc."""

    def __init__(self) -> None:
        self._lock, self._inside = threading.Lock(), 0
        self._loud: int | None = None
        self._nowhere: int | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1 and (stream := self._stream()) is not None:
                self._loud, stream.value = stream.value, self._nowhere

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._nowhere is not None and (stream := self._stream()) is not None:
                stream.value = self._loud

    def _stream(self) -> ctypes.c_void_p | None:
        """The C library's pointer to its error stream; opens the null stream if needed."""
        if not sys.platform.startswith("linux"):
            return None
        try:
            libc = ctypes.CDLL(None)
            libc.gnu_get_libc_version  # noqa: B018  other C libraries do not allow writing to the pointer
            if self._nowhere is None:
                libc.fopen.restype = ctypes.c_void_p
                self._nowhere = libc.fopen(b"/dev/null", b"w")
            return ctypes.c_void_p.in_dll(libc, "stderr") if self._nowhere else None
        except (OSError, AttributeError, ValueError):
            return None


@functools.cache
def one_thread_after_fork() -> None:
    """Use one thread of torch and OpenCV in processes forked from this one. The parent's thread pools have no threads there, and
    waiting for them would deadlock."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_one_thread)


def _one_thread() -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def hush_fabric() -> None:
    """Lightning Fabric would print its settings on every start."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def usable_cores() -> int:
    """The number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def torch_cores() -> int:
    """The number of cores for torch: all, or OMP_NUM_THREADS, as in torch itself."""
    threads = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return min(usable_cores(), max(1, int(threads))) if threads.isdecimal() else usable_cores()


def available_memory() -> int:
    """Bytes available without swapping: the limit of the system and of this process's control group."""

    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    found = [pages * size]
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1]))
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        found.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(0, min(found))
