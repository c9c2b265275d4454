"""The script of a report, in a headless Chromium."""

import pytest
from tests.serving.chromium import BINARY, Chromium

from whet.core.run_folder import RunFolder
from whet.evaluate.evidence import read_evidence
from whet.report import build_report
from whet.report.sections.thresholds import at, counts

pytestmark = [pytest.mark.skipif(BINARY is None, reason="there is no Chromium"), pytest.mark.slow]


@pytest.fixture(scope="module")
def browser(finished_run, tmp_path_factory):
    build_report(RunFolder(finished_run))
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        one.send("Page.navigate", url=(finished_run / "report.html").as_uri())
        one.until("document.querySelector('#chooser') && !document.querySelector('#chooser').hidden")
        yield one


def key(browser, name):
    for kind in ("keyDown", "keyUp"):
        browser.send(
            "Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode={"ArrowRight": 39}[name]
        )


def test_the_chooser_computes_as_we_do_and_obeys_the_keyboard(browser, finished_run):
    given = counts(read_evidence(RunFolder(finished_run), "test"), 1000)
    browser.do(
        "(document.querySelector('#chooser-slider').focus(), document.querySelector('#chooser-slider').value = 499)"
    )
    key(browser, "ArrowRight")
    assert browser.do("document.querySelector('#chooser-threshold').textContent") == "50.0 %"
    expected = at(given, 500)
    shown = browser.do(
        "['precision', 'recall', 'answered', 'wrong'].map((name) => document.querySelector('#chooser-' + name).textContent)"
    )
    assert shown[:3] == [f"{100 * expected[name]:.1f} %" for name in ("precision", "recall", "answered")]
    assert shown[3] == str(expected["wrong"])


def test_the_goal_is_the_lowest_threshold_that_reaches_it_on_validation_samples(browser, finished_run):
    given = counts(read_evidence(RunFolder(finished_run), "val"), 1000)
    browser.do("(document.querySelector('#chooser-goal').value = 90, document.querySelector('#chooser-find').click())")
    precision = [at(given, step)["precision"] for step in range(1000)]
    reached = [step for step, value in enumerate(precision) if value is not None and value >= 0.9]
    if reached:
        assert browser.do("document.querySelector('#chooser-slider').value") == str(reached[0])
    said = browser.do("document.querySelector('#chooser-answer').textContent")
    assert said.startswith("Found on the validation" if reached else "No threshold")


def test_the_map_is_one_stop_of_the_tab_key_and_the_arrows_move_in_it(browser):
    assert browser.do("document.querySelectorAll('#map .dot[tabindex=\"0\"]').length") == 1
    browser.do(
        "{ const xs = [...document.querySelectorAll('#map > div > svg .dot')];"
        " const x = (dot) => +dot.getAttribute('transform').slice(10).split(',')[0];"
        " xs.sort((a, b) => x(a) - x(b))[0].focus(); }"
    )
    before = browser.do("document.querySelector('#map-id').textContent")
    key(browser, "ArrowRight")
    assert browser.do("document.querySelector('#map-id').textContent") != before
    assert browser.do("document.activeElement.classList.contains('now')")


def test_nothing_is_requested_and_nothing_is_refused(browser):
    assert all(url.startswith(("file:", "data:")) for url in browser.requests)
