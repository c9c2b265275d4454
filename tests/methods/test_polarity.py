import numpy as np
import pytest

from whet.methods import Gain, Polarity


def test_a_share_is_turned_and_the_rest_is_as_it_was(draw_audio, hear, tone):
    wave, view = tone(), draw_audio(Polarity(prob=0.3))
    turned = view.gain_B < 0
    assert turned.mean() == pytest.approx(0.3, abs=0.03)
    assert np.array_equal(hear(view, wave, int(turned.argmax())), -wave)
    assert np.array_equal(hear(view, wave, int(turned.argmin())), wave)


def test_with_gain_it_is_one_factor(draw_audio):
    assert set(np.sign(draw_audio(Polarity(prob=1.0)).gain_B)) == {-1.0}
    assert Polarity.order == Gain.order
