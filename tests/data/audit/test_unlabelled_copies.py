"""Unlabelled samples that are copies of labelled ones, exact or nearly the same."""

import numpy as np
import pytest
from tests.data.audit.conftest import save, scene
from tests.data.test_unlabelled import write_texts

from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit import unlabelled as search
from whet.data.table import SPLITS


def first_of(table, split):
    return table.part(split).frame.iloc[0]


def number_of(id_):
    return int(id_.rpartition("/p")[2].removesuffix(".jpg"))


def test_images_that_are_nearly_held_out_samples_are_left_out(photos, tmp_path):
    plain = read_data(DataSpec(path=str(photos)))
    more = tmp_path / "more"
    for split in SPLITS:  # smaller, and encoded again
        pixels = scene(number_of(first_of(plain, split)["id"]))
        save(np.ascontiguousarray(pixels[::2, ::2]), more / f"{split}.jpg", quality=70)
    for number in range(100, 104):
        save(scene(number), more / f"{number}.jpg")
    table = read_data(DataSpec(path=str(photos), unlabelled=str(more)))
    assert sorted(table.part("unlabelled").frame["id"]) == [
        *(f"unlabelled/{number}.jpg" for number in range(100, 104)), "unlabelled/train.jpg",
    ]  # fmt: skip
    found = {one.id: (one.of, one.split, one.exact) for one in (*table.copies.held_out, *table.copies.train)}
    assert found == {f"unlabelled/{split}.jpg": (first_of(plain, split)["id"], split, False) for split in SPLITS}
    (note,) = [note for note in table.notes if "nearly the same as validation or test samples" in note]
    assert note.startswith("2 unlabelled images") and "unlabelled/test.jpg" in note and "unlabelled/val.jpg" in note
    assert any("1 unlabelled images are copies of training samples, or nearly the same" in note for note in table.notes)


def test_a_second_reading_does_not_search_again(photos, tmp_path, monkeypatch):
    save(scene(200), tmp_path / "more" / "x.jpg")
    spec = DataSpec(path=str(photos), unlabelled=str(tmp_path / "more"))
    first = read_data(spec)
    monkeypatch.setattr(search, "MEDIA", {})
    assert read_data(spec).copies == first.copies


def test_texts_that_differ_in_a_word_are_left_out(tmp_path):
    rows = [
        [f"the {word} container number {number} stands behind the old brick house at the river", label]
        for number, word in enumerate(("green", "yellow", "brown", "black") * 8)
        for label in ("glass" if number % 2 else "metal",)
    ]
    rows = [
        [f"{text} and {'x' * (3 + number)} {number * 7919} {number * 104729}", label]
        for number, (text, label) in enumerate(rows)
    ]
    path = write_texts(tmp_path / "texts.csv", rows)
    held_out = first_of(read_data(DataSpec(path=str(path))), "test")["text"]
    more = [[f"{held_out} indeed"], ["a sentence about another thing entirely, the weather of last week"]]
    table = read_data(DataSpec(path=str(path), unlabelled=str(write_texts(tmp_path / "more.csv", more, ("text",)))))
    assert table.part("unlabelled").frame["text"].tolist() == more[1]
    assert [one.split for one in table.copies.held_out] == ["test"] and not table.copies.held_out[0].exact


@pytest.mark.parametrize("split", ["val", "train"])
def test_audio_clips_at_another_level(tmp_path, split):
    import soundfile

    from whet.core.rng import Rng

    def clip(number, scale=1.0):
        rng, time = Rng(number).batch("clip", 0, [0]), np.arange(16_000) / 16_000
        pitches = rng.uniform(200, 3000, (12,))[0]
        steps = np.repeat(pitches, -(-len(time) // 12))[: len(time)]
        return scale * 0.3 * np.sin(2 * np.pi * np.cumsum(steps) / 16_000)

    for number in range(24):
        file = tmp_path / "clips" / "ab"[number % 2] / f"{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, clip(number), 16_000)
    original = first_of(read_data(DataSpec(path=str(tmp_path / "clips"))), split)
    (tmp_path / "more").mkdir()
    number = int(original["id"].rpartition("/")[2].removesuffix(".wav"))
    soundfile.write(tmp_path / "more" / "quiet.wav", clip(number, 0.4), 16_000)
    soundfile.write(tmp_path / "more" / "other.wav", clip(99), 16_000)
    table = read_data(DataSpec(path=str(tmp_path / "clips"), unlabelled=str(tmp_path / "more")))
    copies = table.copies.train if split == "train" else table.copies.held_out
    assert [(one.id, one.of, one.split) for one in copies] == [("unlabelled/quiet.wav", original["id"], split)]
    assert len(table.part("unlabelled")) == (2 if split == "train" else 1)
