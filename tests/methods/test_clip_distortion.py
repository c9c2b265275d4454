import numpy as np
import pytest

from whet.core.audio_view import AudioCodec
from whet.methods import ClipDistortion


@pytest.mark.parametrize("share", [0.01, 0.1, 0.4])
def test_the_loudest_share_is_cut_to_the_loudest_of_the_rest(audio, hear, hiss, share):
    wave = hiss()
    out = hear(audio(wave).coded(AudioCodec("clip", np.array([share]))), wave)
    limit = np.abs(out).max()
    assert (np.abs(out) == limit).mean() == pytest.approx(share, abs=1e-3)
    quiet = np.abs(wave) < limit
    assert np.array_equal(out[quiet], wave[quiet])
    assert limit == pytest.approx(np.quantile(np.abs(wave), 1 - share), rel=1e-2)


def test_shares_are_in_their_range(draw_audio):
    share = draw_audio(ClipDistortion(prob=0.3, max_share=0.2)).codecs[0].setting_B
    assert (share > 0).mean() == pytest.approx(0.3, abs=0.03)
    assert 0.19 < share.max() <= 0.2
