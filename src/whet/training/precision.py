"""Choose the faster precision: float32, or bfloat16 if the processor supports it."""

from __future__ import annotations

import copy
import time

import torch

from whet.models.net import Net

WORTH = 1.2  # bfloat16 must be faster by this factor; smaller differences are within timing noise


def has_bf16(device: torch.device) -> bool:
    """Whether the processor has native bfloat16 instructions."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = _cpu_flags()
    return bool({"avx512_bf16", "amx_bf16", "bf16"} & flags)


def _cpu_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as handle:
            for line in handle:
                if line.startswith(("flags", "Features")):
                    return set(line.split(":", 1)[1].split())
    except OSError:
        pass
    return set()


def choose_precision(net: Net, device: torch.device, size: int, *, batch: int = 8, repeats: int = 3) -> str:
    """Return "bf16" if the processor supports it and a probe of a few training steps is clearly faster, else "fp32"."""
    if not has_bf16(device):
        return "fp32"
    if device.type == "cuda":
        return "bf16"
    probe = copy.deepcopy(net).on(device).train()
    blank = probe.front.blank(batch, size)
    best = {True: float("inf"), False: float("inf")}
    for attempt in range(repeats + 1):
        for bf16 in (True, False):
            start = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                outputs = probe(blank)
            outputs.float().square().mean().backward()  # whatever the task predicts
            if attempt:  # the first attempt is a warm-up
                # The minimum of several, because noise only adds time.
                best[bf16] = min(best[bf16], time.perf_counter() - start)
    return "bf16" if best[False] > WORTH * best[True] else "fp32"
