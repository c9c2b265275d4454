"""The environment of a run, for interpreting its timings and repeating it. It contains no user name, path or environment
variable."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

import torch

_PACKAGES = (
    "whet",
    "torch",
    "transformers",
    "lightning-fabric",
    "numpy",
    "scipy",
    "opencv-python-headless",
    "simplejpeg",
    "Pillow",
)


def environment(device: torch.device) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch_threads": torch.get_num_threads(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            for line in handle:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
