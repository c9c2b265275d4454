import numpy as np
import pandas as pd
import pytest
import soundfile

from whet.core.errors import DataError
from whet.data.audio import decode
from whet.data.audio_folder import read_audio
from whet.data.folder import read_folder
from whet.data.read import hash_contents
from whet.data.store import AudioStore, DiskCache, MemoryCache

MEGABYTES = 1 << 20


@pytest.fixture
def audio(tmp_path):
    """Two class folders of tones in several formats, of one second at 8 kHz."""
    root = tmp_path / "audio"
    for k, name in enumerate(("high", "low")):
        (root / name).mkdir(parents=True)
        for i, suffix in enumerate(("wav", "flac", "ogg")):
            tone = 0.3 * np.sin(np.arange(8000) * (0.9 - 0.5 * k) + i)
            soundfile.write(root / name / f"{i}.{suffix}", tone, 8000)
    (root / "low" / "notes.txt").write_text("no audio clip")
    return root


def test_class_folders(audio):
    table = read_audio(audio)
    assert table.classes == ("high", "low")
    assert table.frame["id"].tolist() == [
        f"{c}/{i}.{s}" for c in table.classes for i, s in enumerate(("wav", "flac", "ogg"))
    ]
    assert table.frame[["start", "end"]].isna().all().all()
    assert "not audio clips by their suffix" in table.notes[0] and "1 .txt" in table.notes[0]
    with pytest.raises(DataError, match=r"no images in class folders found"):
        read_folder(audio)


def test_a_table_may_name_parts_of_files(audio):
    rows = [("high/0.wav", "a", "0", "0.5", "1"), ("high/0.wav", "b", "0.5", "", "2"), ("low/1.flac", "a", "", "", "1")]
    path = audio / "table.csv"
    pd.DataFrame(rows, columns=["audio", "label", "start", "end", "fold"]).to_csv(path, index=False)
    table = hash_contents(read_audio(path), 2)
    assert table.frame["id"].tolist() == ["high/0.wav#0-0.5", "high/0.wav#0.5-", "low/1.flac"]
    assert table.frame["group"].tolist() == ["high/0.wav", "high/0.wav", ""]  # parts of one file stay together
    assert table.frame["fold"].tolist() == ["1", "2", "1"]
    assert table.frame["start"].tolist()[:2] == [0, 0.5] and np.isnan(table.frame["end"].iloc[1])
    assert table.frame["digest"].nunique() == 3


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [("x", "1", r"row 2: start 'x' must be a non-negative number"), ("2", "1", r"row 2: end 1 must be after the start, 2"),
     ("-1", "1", r"start '-1'"), ("", "0", r"end 0 must be after the start, 0")],
)  # fmt: skip
def test_parts_that_cannot_be(audio, start, end, message):
    path = audio / "table.tsv"
    path.write_text(f"file\tlabel\tstart\tend\nhigh/0.wav\ta\t{start}\t{end}\nlow/0.wav\tb\t\t\n")
    with pytest.raises(DataError, match=message):
        read_audio(path)


def test_one_part_twice_is_refused(audio):
    path = audio / "table.csv"
    path.write_text("file,label,start\nhigh/0.wav,a,0.1\nhigh/0.wav,a,0.10\n")
    with pytest.raises(DataError, match="listed more than once"):
        read_audio(path)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_kept_waves_are_the_same_and_are_decoded_once(audio, tmp_path, where, monkeypatch):
    path = audio / "table.csv"
    path.write_text("file,label,start,end\nhigh/0.wav,a,0.1,0.3\nhigh/0.wav,b,0.3,0.7\nlow/2.ogg,a,,\n")
    frame = hash_contents(read_audio(path), 1).frame
    cache = MemoryCache(MEGABYTES) if where == "memory" else DiskCache(tmp_path / "cache", MEGABYTES, MEGABYTES)
    columns = (frame["path"], frame["digest"], 16000, frame["start"].to_numpy(), frame["end"].to_numpy())
    expected = [decode(audio / "high" / "0.wav", 16000, 0.1, 0.3), decode(audio / "high" / "0.wav", 16000, 0.3, 0.7),
                decode(audio / "low" / "2.ogg", 16000)]  # fmt: skip
    without = AudioStore(*columns)
    assert all(np.array_equal(without.open(i), expected[i]) for i in range(3))
    keeping = AudioStore(*columns, cache)
    assert all(np.array_equal(keeping.open(i), expected[i]) for i in range(3))
    monkeypatch.setattr("whet.data.store.decode", lambda *_: pytest.fail("decoded again"))
    assert all(np.array_equal(keeping.open(i), expected[i]) and keeping.open(i).dtype == np.float32 for i in range(3))
    if where == "disk":  # another run finds them too
        again = AudioStore(*columns, DiskCache(tmp_path / "cache", MEGABYTES, 0))
        assert np.array_equal(again.open(1), expected[1])


def test_a_file_that_changed_is_not_kept(audio, tmp_path):
    frame = hash_contents(read_audio(audio), 1).frame
    cache = MemoryCache(MEGABYTES)
    store = AudioStore(frame["path"], frame["digest"], 8000, cache=cache)
    soundfile.write(frame["path"].iloc[0], np.zeros(100), 8000, format="WAV")
    assert not store.open(0).any()
    assert cache.get(store._key(0)) is None
