import numpy as np
import pytest

from whet.methods import Equalizer


def test_tones_rise_and_fall_as_the_curve_says(draw_audio, hear, tone):
    view = draw_audio(Equalizer(max_db=12), B=6)
    for i in range(6):
        for hertz in (500, 1000, 3000):
            wave = tone(hertz)
            rise = 20 * np.log10(hear(view, wave, i)[2000:-2000].std() / wave[2000:-2000].std())
            assert rise == pytest.approx(np.interp(hertz, view.frequencies(), view.response_BF[i]), abs=0.4)


def test_octaves_are_uniform_and_the_curve_is_smooth(draw_audio):
    view = draw_audio(Equalizer(max_db=6))
    at = [int(np.abs(view.frequencies() - 60 * 2**k).argmin()) for k in (3, 5)]
    for k in at:
        assert view.response_BF[:, k].min() < -5 and view.response_BF[:, k].max() > 5
        assert view.response_BF[:, k].mean() == pytest.approx(0, abs=0.3)
    assert abs(np.corrcoef(view.response_BF[:, at[0]], view.response_BF[:, at[1]])[0, 1]) < 0.06
    assert np.abs(np.diff(view.response_BF[:, 8:], axis=1)).max() < 3
