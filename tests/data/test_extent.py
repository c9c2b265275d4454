"""What a network is not shown is counted."""

import numpy as np
import pytest

from whet.data.extent import LONGEST_CLIP, Truncation, clip_seconds, words_in


def test_cut_samples_and_the_share_beyond_the_limit():
    found = Truncation.of([5, 10, 24, 26], 10)
    assert (found.cut, found.looked_at) == (2, 4)
    assert found.share == pytest.approx(30 / 65)
    assert found.text("audio clips", "10 s", "seconds") == (
        "2 of 4 audio clips are longer than 10 s and are truncated: 46 % of all seconds are lost"
    )
    assert Truncation.of([], 10).cut == 0 and Truncation.of([10.0], 10).cut == 0


def test_a_window_holds_95_of_100_audio_and_ten_seconds_at_most():
    assert clip_seconds([1.0] * 100) == 1.0
    assert clip_seconds([1.0] * 96 + [9.0] * 4) == 1.0
    assert clip_seconds([24.0] * 3) == LONGEST_CLIP
    assert clip_seconds(np.full(3, 0.01)) == 0.1


@pytest.mark.parametrize(("text", "count"), [("It's one, isn't it?", 10), ("塑料瓶 PET", 4), ("", 0), ("あいう", 3)])
def test_words_and_signs(text, count):
    assert words_in(text) == count
