"""Augmenting audio clips on one core: whet against audiomentations, method by method and as one policy, on clips of 5 s at 16 kHz.

The contenders take turns, batch by batch; counted are seconds of the processor, so that others on the machine do not matter. Every
method always acts. Waves go in and waves come out; masks are applied to spectrograms computed beforehand.

    pip install --no-deps audiomentations==0.43.1 numpy-minmax numpy-rms python-stretch
    python benchmarks/augment_audio.py [--repeats 15]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import audiomentations as A
import numpy as np
import torch

import record
from whet.core.audio_view import AudioView
from whet.core.recipe import parse_methods
from whet.core.rng import Rng
from whet.core.stages import Draws, TransformsBatch
from whet.models.mel import LogMel, MelSettings
from whet.render.audio import AudioRenderer
from whet.training.plan import ordered

RATE, SECONDS, BATCH, CLIPS = 16000, 5, 16, 64
T = RATE * SECONDS

METHODS: dict[str, tuple[dict[str, Any], Callable[[], Any]]] = {
    "add_noise": ({"prob": 1.0}, lambda: A.AddGaussianSNR(min_snr_db=5, max_snr_db=30, p=1)),
    "gain": ({"max_db": 6}, lambda: A.Gain(-6, 6, p=1)),
    "time_shift": ({"max_fraction": 0.2}, lambda: A.Shift(-0.2, 0.2, p=1)),
    "time_stretch": ({"max_factor": 1.25}, lambda: A.TimeStretch(0.8, 1.25, p=1)),
    "spec_augment": ({"masks": 1}, lambda: A.TimeMask(0.0, 0.1, fade_duration=0.0, p=1)),
    "pitch_shift": ({"max_semitones": 2}, lambda: A.PitchShift(-2, 2, p=1)),
    "polarity": ({"prob": 1.0}, lambda: A.PolarityInversion(p=1)),
    "band_pass": ({"prob": 1.0}, lambda: A.BandPassFilter(p=1)),
    "clip_distortion": ({"prob": 1.0, "max_share": 0.1}, lambda: A.ClippingDistortion(0, 10, p=1)),
    "random_gap": ({"prob": 1.0, "max_fraction": 0.1}, lambda: A.TimeMask(0.0, 0.1, fade_duration=0.005, p=1)),
}
POLICY = ("add_noise", "gain", "time_shift", "time_stretch", "spec_augment")


class Whet:
    def __init__(self, names: tuple[str, ...]) -> None:
        methods = ordered(parse_methods([{name: METHODS[name][0]} for name in names]))
        self._draws = [method for method in methods if isinstance(method, Draws)]
        self._batch_transforms = [method for method in methods if isinstance(method, TransformsBatch)]
        self._rng, self._epoch = Rng(0), 0

    def __call__(self, waves_BT: np.ndarray, mels_BCLM: torch.Tensor) -> Any:
        self._epoch += 1
        index_B, out_BT = np.arange(len(waves_BT)), np.empty((len(waves_BT), T), dtype=np.float32)
        view = AudioView.whole(np.full(len(waves_BT), T), RATE, T)
        names = [method.name for method in self._draws]
        for method, rng in zip(self._draws, self._rng.batches(names, self._epoch, index_B)):
            view = method.draw(view, rng)  # type: ignore[arg-type, assignment]
        if self._draws:
            renderer = AudioRenderer(view)
            for i, wave in enumerate(waves_BT):
                renderer.render(i, wave, out_BT[i])
        for method in self._batch_transforms:
            mels_BCLM = method.transform_batch(mels_BCLM, self._rng.batch(method.name, self._epoch, index_B))
        return out_BT, mels_BCLM


class Audiomentations:
    """For spec_augment there is their mask of time alone, which acts on the wave: it has no masks on spectrograms that work."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._pipeline = A.Compose([METHODS[name][1]() for name in names])

    def __call__(self, waves_BT: np.ndarray, mels_BCLM: torch.Tensor) -> Any:
        return [self._pipeline(wave, sample_rate=RATE) for wave in waves_BT]


def compared(names: tuple[str, ...], batches: list[tuple[np.ndarray, torch.Tensor]], repeats: int) -> dict[str, Any]:
    contenders: dict[str, Callable[..., Any]] = {"whet": Whet(names), "audiomentations": Audiomentations(names)}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run(*batches[0])  # warm up
    for _ in range(repeats):
        taken = dict.fromkeys(contenders, 0.0)
        for batch in batches:
            for name, run in contenders.items():
                start = time.process_time()
                run(*batch)
                taken[name] += time.process_time() - start
        for name, value in taken.items():
            seconds[name].append(value)
    return {
        "clips_per_second": {
            name: record.summary([CLIPS / value for value in taken]) for name, taken in seconds.items()
        },
        "whet_times_audiomentations": record.summary(
            [b / a for a, b in zip(seconds["whet"], seconds["audiomentations"])]
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for everyone
    torch.set_num_threads(1)
    noise_NT = 0.05 * Rng(0).batch("clips", 0, np.arange(CLIPS)).normal((T,))
    tone_T = 0.3 * np.sin(np.cumsum(np.linspace(0.05, 1.0, T)))
    waves_NT = (noise_NT + tone_T).astype(np.float32)
    log_mel = LogMel(MelSettings())
    batches = [
        (waves_NT[i : i + BATCH], log_mel(torch.from_numpy(waves_NT[i : i + BATCH]))) for i in range(0, CLIPS, BATCH)
    ]
    results = {"policy": compared(POLICY, batches, repeats)}
    for name in METHODS:
        results[name] = compared((name,), batches, repeats)
    for name, found in results.items():
        rates = "  ".join(f"{c} {v['median']:6.0f}/s" for c, v in found["clips_per_second"].items())
        times = found["whet_times_audiomentations"]
        print(f"{name:16s} {rates}   {times['median']:.2f}x ({times['min']:.2f} … {times['max']:.2f})", flush=True)
    question = f"5 s clips augmented a processor second, one core, in turn batch by batch; policy: {', '.join(POLICY)}"
    record.write("augment_audio", question, results, ("scipy", "soxr", "audiomentations"))


if __name__ == "__main__":
    main()
