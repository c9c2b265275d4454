import numpy as np
import pytest

from whet.methods import RandomGap


def test_a_gap_is_silent_and_the_rest_is_as_it_was(draw_audio, hear, hiss):
    wave, view = hiss(), draw_audio(RandomGap(prob=1.0, max_fraction=0.2), B=20)
    for i in range(20):
        first, last = view.gaps[0].span_BN2[i, 0]
        out = hear(view, wave, i)
        assert np.array_equal(out[:first], wave[:first]) and np.array_equal(out[last:], wave[last:])
        assert not out[first + 80 : last - 80].any()
        assert (np.abs(out[first:last]) <= np.abs(wave[first:last])).all()


def test_shares_and_lengths(draw_audio):
    span = draw_audio(RandomGap(prob=0.5, max_fraction=0.2)).gaps[0].span_BN2[:, 0]
    width = span[:, 1] - span[:, 0]
    assert (width > 0).mean() == pytest.approx(0.5, abs=0.03)
    assert width.mean() / 16000 == pytest.approx(0.5 * 0.1, abs=0.004)
    assert span.min() >= 0 and span.max() <= 16000
