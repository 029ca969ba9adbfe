"""The progress bar, by where it is seen; and a history that shows itself."""

from __future__ import annotations

import sys
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from tools.runs import X, Y, network, train

from autonn.training import History, ProgressBar, progress

HISTORY = History(cost=[1.5, 1.23456], accuracy=[0.25, 0.5], validation_accuracy=[0.5, 0.25])


def test_a_log_gets_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar(40) as bar:
        history = train(network(), epochs=40, callbacks=[bar])
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert [line.split(":")[0] for line in lines] == [f"epoch {k} of 40" for k in range(4, 41, 4)]
    cost, accuracy = history.cost[-1], history.accuracy[-1]
    assert lines[-1] == f"epoch 40 of 40: cost {cost:.4f}, accuracy {accuracy:.2%}"


def test_a_run_that_ends_early_has_its_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    def stop(history: History) -> None:
        if len(history) == 7:
            raise StopIteration

    with ProgressBar(20) as bar:
        train(network(), epochs=20, callbacks=[bar, stop])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"epoch {k} of 20" for k in (2, 4, 6, 7)]
    with ProgressBar(3) as bar:  # of fewer epochs than ten, each has one
        train(network(), epochs=3, callbacks=[bar])
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_a_terminal_gets_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with ProgressBar(5) as bar:
        bar(HISTORY)
    shown = capsys.readouterr().err
    assert "2/5" in shown
    assert "cost=1.2346, accuracy=50.00%, held out=25.00%" in shown


class Handle:
    """What IPython returns for what it shows and may change: keeps all that it was."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def display(self, value: Any, display_id: bool) -> Handle:
        assert display_id
        self.update(value)
        return self

    def update(self, value: Any) -> None:
        self.shown.append(value._repr_html_())


def test_a_notebook_gets_a_table_that_is_not_changed_too_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handle, now = Handle(), [0.0]
    monkeypatch.setattr(progress, "_display_of_a_notebook", lambda: handle.display)
    monkeypatch.setattr("autonn.training.progress.time.monotonic", lambda: now[0])

    def wait(history: History) -> None:
        now[0] += 0.06

    with ProgressBar(20) as bar:
        train(network(), epochs=20, callbacks=[bar, wait])
    assert 5 < len(handle.shown) < 9
    rows = ElementTree.fromstring(f"<a>{handle.shown[-1]}</a>").findall("table/tr")
    assert [row[0].text for row in rows] == ["epoch", *map(str, range(11, 21))]
    assert "epoch 20 of 20, 1 s" in handle.shown[-1]


# ---- a history


def test_a_history_says_where_it_ended() -> None:
    assert repr(History()) == "History(0 epochs)"
    assert repr(History(cost=[np.inf], diverged=True)) == "History(1 epoch: cost inf, diverged)"
    assert repr(HISTORY).endswith("cost 1.2346, accuracy 50.00%, held out 25.00%)")
    assert HISTORY.series().keys() == {"cost", "accuracy", "validation_accuracy"}


def test_a_history_shows_its_curve_and_its_last_epochs() -> None:
    history = train(network(), epochs=40, validation=(X, Y))
    page = ElementTree.fromstring(f"<a>{history._repr_html_()}</a>")
    lines = page.findall("svg/polyline")
    assert len(lines) == 2
    heights = [float(point.split(",")[1]) for point in lines[0].attrib["points"].split()]
    assert len(heights) == 40
    assert heights == sorted(heights)  # downwards, as the cost went
    assert [row[0].text for row in page.findall("table/tr")] == ["epoch", *map(str, range(36, 41))]
    assert len(History(cost=[1.0] * 10_000)._repr_html_()) < 5_000
    assert "svg" not in History(cost=[np.nan, np.inf])._repr_html_()
    assert "svg" in History(cost=[np.nan, 1.0, 2.0])._repr_html_()
