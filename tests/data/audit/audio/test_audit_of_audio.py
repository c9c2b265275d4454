"""Each check of audio clips finds what is planted, and nothing in clean audio clips."""

import shutil

import numpy as np
import pytest
from tests.data.audit.audio.conftest import RATE, melody, save

from whet.checking import check
from whet.core.spec import DataSpec
from whet.data import read_data
from whet.data.audit import audit, audit_survey, check_near_duplicates, clean, probe_shortcuts, write_cleaned
from whet.data.audit.audio import audio_print as module
from whet.data.audit.audio.audio_print import audio_print
from whet.data.audit.audio.durations import check_durations
from whet.data.audit.audio.formats import check_formats
from whet.data.audit.audio.levels import check_levels


def kinds(found):
    return {finding.kind: finding for finding in found}


def test_clean_audio_raise_no_alarm(audio):
    found = check(audio)
    assert not [f for f in found.findings if f.severity != "fact" and not f.kind.startswith("few")]
    assert not found.cleaned.dropped and not [probe for probe in found.probes if probe.telling]


def test_what_a_audio_print_tells(tmp_path):
    wave = np.concatenate([np.zeros(RATE // 2), melody(0), np.zeros(RATE // 4)]).astype(np.float32)
    print_ = audio_print(save(np.stack([wave, wave], axis=1), tmp_path / "a.wav").read_bytes())
    assert (print_["rate"], print_["channels"], print_["format"], print_["subtype"]) == (RATE, 2, b"WAV", b"PCM_16")
    assert print_["seconds"] == pytest.approx(2.25) and print_["peak"] == pytest.approx(0.5, abs=1e-3)
    assert (print_["before"], print_["after"]) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.25, abs=0.02))
    assert print_["level"] == pytest.approx(10 * np.log10(np.mean(wave**2)), abs=0.01)
    part = audio_print((tmp_path / "a.wav").read_bytes(), 0.5, 1.0)
    assert part["seconds"] == pytest.approx(0.5) and part["before"] < 0.02


# --- copies -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["softer", "ogg", "rate", "later", "cut", "odd shift"])
def test_copies_that_are_not_the_same_bytes(how, audio, survey):
    wave = melody(6)
    name = audio / "a" / "copy.wav"
    match how:
        case "softer":
            save(0.05 * wave, name)
        case "ogg":
            save(wave, name.with_suffix(".ogg"), format="OGG", subtype="VORBIS")
        case "rate":
            save(wave[::2], name, RATE // 2)  # with aliases of what lies above
        case "later":
            save(np.concatenate([np.zeros(RATE // 2, np.float32), wave])[: len(wave)], name)
        case "cut":
            save(wave[RATE // 2 :], name)
        case "odd shift":
            save(np.concatenate([np.zeros(5137, np.float32), wave]), name)
    found = kinds(check_near_duplicates(survey(audio)))
    (pair,) = found["near-duplicates"].groups
    assert {word.rpartition(".")[0] for word in pair} == {"a/6", "a/copy"}
    assert ("shifted" in found["near-duplicates"].notes[0]) is (how in ("later", "cut", "odd shift"))


def test_conflicts_leaks_and_the_cleaned_table(tmp_path, survey):
    for number in range(40):
        part, label = ("train", "train", "val", "test")[number // 2 % 4], "ab"[number % 2]
        save(melody(number, label), tmp_path / "data" / part / label / f"{number}.wav")
    train, test = tmp_path / "data" / "train", tmp_path / "data" / "test"
    shutil.copy(test / "a" / "6.wav", train / "a" / "leak.wav")
    save(0.2 * melody(14), train / "a" / "near.wav")  # of a test audio clip
    save(0.2 * melody(1, "b"), train / "a" / "conflict.wav")
    (train / "a" / "bad.wav").write_bytes(b"RIFF no audio clip")
    seen = survey(tmp_path / "data")
    found = kinds(audit_survey(seen))
    assert found["leak across splits"].groups == (("test/a/6.wav", "train/a/leak.wav"),)
    assert found["near-duplicate leak"].groups == (("test/a/14.wav", "train/a/near.wav"),)
    assert found["near-duplicate conflict"].groups == (("train/a/conflict.wav", "train/b/1.wav"),)
    assert found["unreadable"].groups == (("train/a/bad.wav",),)
    gone = {entry.id for entry in clean(seen).dropped}
    assert gone == {f"train/{name}.wav" for name in ("a/leak", "a/near", "a/conflict", "b/1", "a/bad")}
    table, _ = write_cleaned(seen, clean(seen), tmp_path)
    assert not clean(survey(table)).dropped and len(read_data(DataSpec(path=str(table)))) == 39


def test_parts_of_a_file_are_samples_of_their_own(tmp_path, survey):
    save(np.concatenate([melody(number, "ab"[number % 2]) for number in range(24)]), tmp_path / "long.wav")
    lines = [f"long.wav,{'ab'[k % 2]},{1.5 * k},{1.5 * (k + 1)},g{k}" for k in range(24)]
    lines.append("long.wav,a,0.2,1.5,g0")  # once more, cut at the beginning
    (tmp_path / "t.csv").write_text("\n".join(["file,label,start,end,group", *lines]) + "\n")
    seen = survey(tmp_path / "t.csv")
    (pair,) = kinds(check_near_duplicates(seen))["near-duplicates"].groups
    assert pair == ("long.wav#0-1.5", "long.wav#0.2-1.5")
    table, _ = write_cleaned(seen, clean(seen), tmp_path)
    assert read_data(DataSpec(path=str(table))).frame["end"].tolist() == [1.5 * (k + 1) for k in range(24)]


# --- odd audio clips ---------------------------------------------------------------------------------------------------------
def test_durations_silence_and_clipping(audio, survey):
    save(melody(90, seconds=12.0), audio / "a" / "long.wav")
    save(np.zeros(24_000, np.float32), audio / "a" / "zero.wav")
    save(1e-4 * melody(91), audio / "a" / "faint.wav", subtype="PCM_24")
    save(np.clip(6 * melody(92), -1, 1), audio / "b" / "loud.wav")
    save(2 * melody(93), audio / "b" / "full.wav")  # touches full scale once
    seen = survey(audio)
    assert kinds(check_durations(seen))["odd duration"].lines() == ["a/long.wav  (12.00 s)"]
    found = kinds(check_levels(seen))
    assert found["silent"].groups == (("a/faint.wav",), ("a/zero.wav",)) and found["silent"].notes[1] == "all zero"
    assert found["clipped"].groups == (("b/loud.wav",),)


@pytest.mark.parametrize("what", ["rate", "channels", "file format", "duration"])
def test_what_belongs_to_one_class(what, tmp_path, survey):
    for number in range(40):
        wave, rate, label = melody(number), RATE, "ab"[number % 2]
        options, suffix = {}, "wav"
        if label == "a" and what == "rate":
            wave, rate = melody(number, rate=22_050), 22_050
        elif label == "a" and what == "channels":
            wave = np.stack([wave, wave], axis=1)
        elif label == "a" and what == "file format":
            suffix = "flac"
        elif label == "a":
            wave = wave[:-1600]
        save(wave, tmp_path / label / f"{number}.{suffix}", rate, **options)
    seen = survey(tmp_path)
    found = kinds([*check_formats(seen), *check_durations(seen)])
    assert found[f"{what} predicts the class"].severity == "warning"
    assert sum(kind.endswith("predicts the class") for kind in found) == 1


def test_mixed_rates_are_a_fact(audio, survey):
    save(melody(90, rate=8000), audio / "a" / "low.wav", 8000)
    (finding,) = check_formats(survey(audio))
    assert finding.kind == "mixed rates" and finding.severity == "fact" and finding.groups == (("a/low.wav",),)


# --- shortcuts, labels, cache -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("clue", ["duration", "silence", "level"])
def test_shortcuts(clue, tmp_path, survey):
    for number in range(80):
        wave, label = melody(number), "ab"[number % 2]
        if label == "a":
            wave = {
                "duration": wave[:-4000],
                "silence": np.concatenate([np.zeros(4000, np.float32), wave[4000:]]),
                "level": 0.3 * wave,
            }[clue]
        save(wave, tmp_path / label / f"{number}.wav")
    probes = {probe.name: probe for probe in probe_shortcuts(survey(tmp_path))}
    assert probes[clue].telling and probes[clue].accuracy > 0.9


def test_suspected_labels(audio):
    for number in range(40, 120):
        label = "ab"[number % 2]
        save(melody(number, label), audio / ("b" if number == 50 else label) / f"{number}.wav")
    found = kinds(check(audio).findings)
    assert ("b/50.wav",) in found["suspected labels"].groups[:2]


def test_known_contents_are_not_opened_again(audio, survey, monkeypatch):
    first = survey(audio).prints_N
    monkeypatch.setattr(module, "audio_print", None)
    assert survey(audio).prints_N.tobytes() == first.tobytes()


@pytest.mark.slow
def test_esc10(shared):
    found = kinds(audit(read_data(DataSpec(path=str(shared / "data" / "esc10" / "meta.csv"))), threads=2))
    assert not {"unreadable", "label conflict", "near-duplicate conflict", "odd duration"} & set(found)


def test_audio_that_are_not_heard_whole_are_counted(survey, tmp_path):
    """4 of 8 audio clips of 12 s, heard for 10 s each: 8 of 72 seconds lie beyond."""
    for number in range(8):
        label = "ab"[number % 2]
        wave = melody(number, label, seconds=12 if number < 4 else 6, rate=2000)
        save(wave, tmp_path / "s" / label / f"{number}.wav", rate=2000)
    found = {finding.kind: finding for finding in check_durations(survey(tmp_path / "s"))}
    finding = found["longer than the window"]
    assert finding.severity == "warning" and len(finding.groups) == 4
    assert (
        finding.text.startswith("4 of 8 audio clips are longer than the 10 s") and "11 % of all seconds" in finding.text
    )
