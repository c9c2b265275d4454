"""The board in a real browser: what a person does with it."""

from __future__ import annotations

import shutil
import threading

import pytest
from tests.serving.chromium import BINARY, Chromium

from whet.board.page import write_board
from whet.board.server import server
from whet.core.run_folder import RunFolder
from whet.evaluate.compare import compare_runs

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BINARY is None, reason="there is no Chromium")]
NAMES = "[...document.querySelectorAll('#results .name')].map((one) => one.innerText.trim())"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def page(browser, runs, tmp_path):
    out = tmp_path / "board.html"
    write_board(runs, out)
    browser.requests.clear()
    browser.send("Page.navigate", url=out.as_uri())
    browser.until("document.querySelectorAll('#results tbody tr').length > 0 && document.title.startsWith('runs')")
    return browser


def put(browser, selector, value):
    browser.do(
        f"{{ const one = document.querySelector('{selector}'); one.value = '{value}'; one.dispatchEvent(new Event('input')); }}"
    )


def test_sorted_by_score_and_filtered_by_a_word(page):
    page.do("document.querySelector('[data-sort=score]').click()")
    names = page.do(NAMES)
    assert len(names) == 8 and {*names[:3]} == {"strong-s0", "strong-s1", "strong-s2"}
    page.do("document.querySelector('[data-sort=score]').click()")
    assert page.do(NAMES) == names[::-1] or {*page.do(NAMES)[-3:]} == {*names[:3]}
    put(page, "#find", "single resnet9")
    assert page.do(NAMES) == ["more/single"]
    put(page, "#find", "nothing like it")
    assert page.do(NAMES) == [] and "Nothing matches" in page.do("document.querySelector('#results').innerText")


def test_curves_of_the_chosen_runs(page):
    page.do("for (let one; (one = document.querySelector('#results input:checked')); ) one.click()")
    assert page.do("document.querySelectorAll('#curves svg').length") == 0
    page.do("for (const n of [0, 1, 2]) document.querySelectorAll('#results input')[n].click()")
    assert page.do(
        "[...document.querySelectorAll('#curves svg')].map((one) => one.querySelectorAll('path').length)"
    ) == [3, 3]


def test_either_order_of_a_pair(page, runs):
    """The figures of `whet compare`, with the sign turned where the two are exchanged."""
    folders = [RunFolder(runs / f"{name}-s{seed}") for name in ("plain", "strong") for seed in range(3)]
    _, (found,), _ = compare_runs(folders)
    d = found.difference
    texts = [f"{100 * value:+.1f}".replace("-", "−") for value in (d.mean, d.low, d.high, -d.mean, -d.high, -d.low)]
    put(page, "#a", "plain-s1")
    put(page, "#b", "strong-s0")
    shown = page.do("document.querySelector('#pair').innerText")
    assert (
        texts[0] in shown
        and f"{texts[1]} to {texts[2]}" in shown
        and "strong minus plain" in shown
        and "helps" in shown
    )
    assert "120 test samples; common seeds: 3" in shown
    put(page, "#a", "strong-s0")
    put(page, "#b", "plain-s1")
    shown = page.do("document.querySelector('#pair').innerText")
    assert (
        texts[3] in shown
        and f"{texts[4]} to {texts[5]}" in shown
        and "plain minus strong" in shown
        and "hurts" in shown
    )


def test_pairs_that_cannot_be_compared(page):
    put(page, "#a", "plain-s0")
    put(page, "#b", "plain-s1")
    assert "Two runs of one recipe" in page.do("document.querySelector('#pair').innerText")
    put(page, "#b", "other")
    assert "cannot be paired" in page.do("document.querySelector('#pair').innerText")
    put(page, "#b", "more/single")
    assert "not assessed" in page.do("document.querySelector('#pair').innerText")


def test_it_requests_nothing(page):
    assert [url for url in page.requests if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(page, width):
    page.size(width, 900)
    assert page.do("document.documentElement.scrollWidth") <= width
    assert (
        page.do(
            "Math.max(...[...document.querySelectorAll('select, .big')].map((one) => one.getBoundingClientRect().right))"
        )
        <= width
    )


def test_the_live_page_shows_a_new_run_and_keeps_what_was_chosen(browser, runs, tmp_path):
    shutil.copytree(runs / "plain-s0", tmp_path / "runs" / "one")
    with server(tmp_path / "runs", 0) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        browser.send("Page.navigate", url=f"http://127.0.0.1:{running.server_address[1]}/")
        browser.until("document.querySelectorAll('#results tbody tr').length === 1 && location.protocol === 'http:'")
        put(browser, "#find", "one two")
        put(browser, "#find", "")
        shutil.copytree(runs / "strong-s0", tmp_path / "runs" / "two")
        browser.until("document.querySelectorAll('#results tbody tr').length === 2")
        assert browser.do("document.querySelectorAll('#results input:checked').length") == 1
        report = browser.do("fetch(document.querySelector('#results a').href).then((one) => one.status)")
        assert report == 200
        running.shutdown()
        thread.join()
