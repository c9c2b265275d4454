"""Log-mel spectrograms on one core: whet's front end in torch against librosa, on clips of 5 s.

The contenders take turns, batch by batch. Counted are seconds of the processor, so that others on the machine do not matter.

    pip install librosa
    python benchmarks/log_mel.py [--repeats 15]
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from typing import Any

import librosa
import numpy as np
import torch

import record
from whet.core.rng import Rng
from whet.models.mel import LogMel, MelSettings

BATCH, SECONDS = 32, 5
SETTINGS = {
    "16 kHz, 1024, 320, 64 mels": MelSettings(),
    "16 kHz, 512, 160, 64 mels": MelSettings(n_fft=512, window=400, hop=160, low=125.0, high=7500.0),
    "22 kHz, 2048, 512, 128 mels": MelSettings(
        rate=22050, n_fft=2048, window=2048, hop=512, mels=128, low=0.0, high=11025.0
    ),
}


def ours(log_mel: LogMel, waves_BT: np.ndarray) -> np.ndarray:
    return log_mel(torch.from_numpy(waves_BT))[:, 0].transpose(1, 2).numpy()


def theirs(s: MelSettings, waves_BT: np.ndarray) -> np.ndarray:
    mel_BML = librosa.feature.melspectrogram(
        y=waves_BT, sr=s.rate, n_fft=s.n_fft, win_length=s.window, hop_length=s.hop, n_mels=s.mels, fmin=s.low, fmax=s.high
    )  # fmt: skip
    return np.log(mel_BML + s.floor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core, for everyone
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    for name, settings in SETTINGS.items():
        waves = Rng(0).batch("clips", 0, np.arange(BATCH)).normal((SECONDS * settings.rate,)).astype(np.float32)
        log_mel = LogMel(settings)
        contenders = {"whet": partial(ours, log_mel), "librosa": partial(theirs, settings)}
        difference = float(np.abs(contenders["whet"](waves) - contenders["librosa"](waves)).max())
        taken: dict[str, list[float]] = {contender: [] for contender in contenders}
        for _ in range(repeats):
            for contender, run in contenders.items():
                start = time.process_time()
                run(waves)
                taken[contender].append(time.process_time() - start)
        ratios = [b / a for a, b in zip(taken["whet"], taken["librosa"])]
        results[name] = {
            "clips_per_second": {c: record.summary([BATCH / t for t in times]) for c, times in taken.items()},
            "whet_times_librosa": record.summary(ratios),
            "largest_difference": difference,
        }
        rates = "  ".join(f"{c} {v['median']:5.0f}/s" for c, v in results[name]["clips_per_second"].items())
        times = results[name]["whet_times_librosa"]
        print(
            f"{name:30s} {rates}   {times['median']:.2f}x ({times['min']:.2f} … {times['max']:.2f})   {difference:.1e}"
        )
    question = "log-mel spectrograms of 5 s clips a processor second, one core, in turn batch by batch"
    record.write("log_mel", question, results, ("librosa", "scipy"))


if __name__ == "__main__":
    main()
