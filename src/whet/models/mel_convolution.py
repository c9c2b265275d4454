"""The log-mel spectrogram as one convolution, for runtimes without a fast Fourier transform."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whet.models.mel import LogMel, MelSettings


class LogMelByConvolution(nn.Module):
    """The same as `LogMel`, in operations that ONNX has. Everything linear in the samples of a frame (subtracting its mean, the
    pre-emphasis, the window, the Fourier transform) is one kernel for each frequency's real and imaginary part."""

    kernels_FW: Tensor
    bands_FM: Tensor

    def __init__(self, log_mel: LogMel) -> None:
        super().__init__()
        self.settings = log_mel.settings
        kernels = torch.from_numpy(_kernels(self.settings, log_mel.window.double().cpu().numpy())).float()
        self.register_buffer("kernels_FW", kernels[:, None], persistent=False)
        self.register_buffer("bands_FM", log_mel.bands_FM.clone(), persistent=False)

    def forward(self, wave_BT: Tensor) -> Tensor:
        s = self.settings
        left, right = (s.window // 2, s.window - s.window // 2) if s.centred else (0, 0)
        missing = s.window - wave_BT.shape[1] - left - right
        wave_B1T = F.pad(wave_BT, (left, right + max(0, missing)))[:, None]
        real_BFL, imaginary_BFL = F.conv1d(wave_B1T, self.kernels_FW, stride=s.hop).chunk(2, dim=1)
        energy_BFL = real_BFL * real_BFL + imaginary_BFL * imaginary_BFL
        if s.power != 2:
            energy_BFL = energy_BFL.sqrt() if s.power == 1 else energy_BFL ** (s.power / 2)
        mel_BLM = energy_BFL.transpose(1, 2) @ self.bands_FM
        mel_BLM = mel_BLM + s.floor if s.floored == "add" else mel_BLM.clamp_min(s.floor)
        return mel_BLM.log()[:, None]


def _kernels(s: MelSettings, window_W: np.ndarray) -> np.ndarray:
    """float64 (2 F, W): the real parts, then the imaginary ones."""
    angle_FW = 2 * np.pi / s.n_fft * np.outer(np.arange(s.n_fft // 2 + 1), np.arange(s.window))
    kernels_FW = np.concatenate([np.cos(angle_FW), -np.sin(angle_FW)]) * window_W
    if s.emphasis:  # frame[t] - emphasis * frame[t - 1], the first sample with itself
        after_FW = np.concatenate([kernels_FW[:, 1:], np.zeros((len(kernels_FW), 1))], axis=1)
        after_FW[:, 0] += kernels_FW[:, 0]
        kernels_FW = kernels_FW - s.emphasis * after_FW
    if s.levelled:
        kernels_FW = kernels_FW - kernels_FW.mean(axis=1, keepdims=True)
    return kernels_FW
