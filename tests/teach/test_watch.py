"""`Watch` and `Film` show how a network learns, within their time, and change nothing of it."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tools.healthy import blobs

import autonn as an
from autonn import Dropout, Layer, ReLU, Sequential, Sigmoid, data, fit, load_digits, optim
from autonn.teach import Film, Watch, watch
from autonn.teach.watch import Budget
from autonn.training import History

SMALL: dict[str, Any] = {"show": "nowhere", "share": 1.0}


def small() -> tuple[Any, Any, Any, dict[str, Any]]:
    X, y = blobs()
    rng = np.random.default_rng(0)
    model = Sequential(Layer(4, 8, rng=rng), ReLU(), Dropout(0.2, rng=1), Layer(8, 3, rng=rng))
    return model, X, y, {"loss": an.SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=0.01)}


def test_nothing_of_what_is_learned_changes() -> None:
    learned = []
    for watched in (False, True):
        model, X, y, given = small()
        callbacks: list[Any] = []
        if watched:
            callbacks = [Watch(model, X, y, **given, **SMALL), Film(model, frames=3)]
            callbacks[0].measuring, callbacks[0].drawing = Budget(1e9), Budget(0.0, cost=1.0)
        history = fit(model, X, y, **given, epochs=6, batch_size=32, seed=0, callbacks=callbacks)
        learned.append((history, model.state_dict(), given["optimizer"].state_dict()))
        if watched:
            assert len(callbacks[0].measured) == 7
    (plain, own, state), (seen, weights, moments) = learned
    assert plain == seen
    assert all(np.array_equal(own[name], weights[name]) for name in own)
    assert all(np.array_equal(state[name], moments[name]) for name in state)


def test_the_vital_signs_are_what_they_say() -> None:
    X, y = blobs()
    model = Sequential(
        Layer(4, 8, rng=0, bias=[-99, -99, 0, 0, 0, 0, 0, 0]), ReLU(), Layer(8, 3, rng=1)
    )
    loss, optimizer = an.SoftmaxCrossEntropy(), optim.SGD(lr=0.5)
    (vitals,) = Watch(model, X, y, loss=loss, optimizer=optimizer, **SMALL).measured
    b, V = model[0].bias.data, model[2].weight.data
    slope = an.grad(lambda W: loss(an.relu(X @ W.T + b) @ V.T, y))
    size = np.linalg.norm(model[0].weight.data)
    assert vitals.epoch == 0
    assert vitals.gradients["0.weight"] == pytest.approx(
        np.linalg.norm(slope(model[0].weight.data)) / size
    )
    assert vitals.updates["0.weight"] == pytest.approx(0.5 * vitals.gradients["0.weight"])
    alive = (X @ model[0].weight.data.T + model[0].bias.data > 0).any(axis=0)
    assert vitals.quiet == {"model.1 ReLU()": np.mean(~alive)}
    assert not optimizer.parameters  # the copy was bound, not the optimiser itself


def test_it_takes_its_share_of_the_time_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    now, took = 0.0, {"_measure": 0.004, "_draw": 0.15}
    monkeypatch.setattr(watch, "time", types.SimpleNamespace(perf_counter=lambda: now))

    def working(name: str) -> Any:
        def work(self: Any) -> None:
            nonlocal now
            now += took[name]
            self.counts[name] = self.counts.get(name, 0) + 1

        return work

    for name in took:
        monkeypatch.setattr(Watch, name, working(name))
    monkeypatch.setattr(Watch, "counts", {}, raising=False)
    model, X, y, given = small()
    shown = Watch(model, X, y, **given, show="nowhere")
    Watch.counts.clear()  # type: ignore[attr-defined]
    start = now
    for epoch in range(3000):
        now += 0.01
        shown(History(cost=[1.0] * epoch))
        assert shown.spent <= 0.02 * (now - start)
    assert Watch.counts["_draw"] >= 2  # type: ignore[attr-defined]
    assert Watch.counts["_measure"] >= 40  # type: ignore[attr-defined]
    assert shown.spent == pytest.approx(
        sum(took[name] * n for name, n in Watch.counts.items())  # type: ignore[attr-defined]
    )


def test_what_was_dear_once_is_tried_again() -> None:
    budget = Budget(0.1, cost=1.0)
    budget.note(2.0)
    assert not budget.allows(30.0)
    budget.note(0.1)
    assert budget.cost == 1.0


def test_the_picture_shows_units_and_mistakes() -> None:
    digits = load_digits()
    X, y = digits.X[::25], digits.y[::25]
    model = Sequential(Layer(400, 9, rng=0), Sigmoid(), Layer(9, 10, rng=1), Sigmoid())
    given: dict[str, Any] = {"loss": an.CrossEntropy(), "optimizer": optim.SGD(lr=0.8)}
    with Watch(model, X, y, **given, images=data.as_images, show="nowhere") as shown:
        fit(model, X, y, **given, epochs=5, validation=(X[:20], y[:20]), callbacks=[shown])
    titles = {ax.get_title() for ax in shown.figure.axes}
    wrong = int(np.sum(model.predict(X).argmax(axis=1) != y))
    assert {"hidden units", f"worst of {wrong} mistakes", "dead or flat units"} <= titles
    (units,) = (ax for ax in shown.figure.axes if ax.get_title() == "hidden units")
    drawn: Any = units.images[0].get_array()
    limit = np.percentile(np.abs(model[0].weight.data), 99.5)
    assert np.allclose(drawn[:20, :20], data.as_images(model[0].weight.data[0]) / limit)
    cost = shown.figure.axes[0]
    assert len(cost.lines) == 2
    assert cost.lines[0].get_ydata().tolist() == pytest.approx(shown.history.cost)  # type: ignore[union-attr]


# ---- where it is shown


def test_in_a_notebook_one_picture_is_put_in_place_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[tuple[str, Any]] = []

    class Handle:
        def update(self, data: Any, raw: bool) -> None:
            shown.append(("update", data))

    def display(data: Any, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        shown.append(("display", data))
        return Handle()

    core: Any = types.ModuleType("IPython")
    core.version_info = (9, 0)
    core.get_ipython = lambda: types.SimpleNamespace(kernel=1)
    of_display: Any = types.ModuleType("IPython.display")
    of_display.display = display
    monkeypatch.setitem(sys.modules, "IPython", core)
    monkeypatch.setitem(sys.modules, "IPython.display", of_display)
    model, X, y, given = small()
    with Watch(model, X, y, **given) as watched:
        fit(model, X, y, **given, epochs=2, callbacks=[watched])
    words = [word for word, _ in shown]
    assert words[0] == "display"
    assert set(words[1:]) == {"update"}
    assert all(data["image/png"].startswith(b"\x89PNG") for _, data in shown)


def test_in_a_window_it_draws_and_lets_the_mouse_in(monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    monkeypatch.setattr(pyplot, "show", lambda block: None)
    monkeypatch.setattr(watch, "_has_windows", lambda: True)
    model, X, y, given = small()
    shown = Watch(model, X, y, **given, show="window")
    try:
        calls: list[str] = []
        monkeypatch.setattr(shown.figure.canvas, "draw", lambda: calls.append("draw"))
        monkeypatch.setattr(shown.figure.canvas, "flush_events", lambda: calls.append("flush"))
        shown.show()
        assert calls == ["draw", "flush"]
        assert pyplot.fignum_exists(shown.figure.number)
    finally:
        pyplot.close(shown.figure)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"show": "window"}, RuntimeError, "opens no window"),
        ({"show": "notebook"}, RuntimeError, "no notebook"),
        ({"show": "paper"}, ValueError, "Watch: show"),
        ({"share": 2}, ValueError, "Watch: share"),
        ({"loss": an.CrossEntropy}, TypeError, "Watch: loss is the class"),
        ({"X": np.full((200, 4), np.inf)}, ValueError, "Watch: X"),
    ],
)
def test_what_is_refused(
    given: dict[str, Any], error: type[Exception], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_has_windows", lambda: False)
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    model, X, y, usual = small()
    with pytest.raises(error, match=message):
        Watch(model, **({"X": X, "y": y} | usual | given))


# ---- the film


def test_a_film_of_the_boundary(tmp_path: Path) -> None:
    X, y = blobs(width=2)
    model = Sequential(Layer(2, 6, rng=0), an.Tanh(), Layer(6, 3, rng=1))
    film = Film(model, X, y, frames=4)
    given: dict[str, Any] = {"loss": an.SoftmaxCrossEntropy(), "optimizer": optim.Adam(lr=0.05)}
    history = fit(model, X, y, **given, epochs=9, callbacks=[film])
    assert film.epochs == [0, 4, 8]
    learned = model.state_dict()
    asked: list[Any] = []
    usual = film.draw

    def draw(figure: Any, model: Any) -> None:
        asked.append((model.state_dict(), usual(figure, model)))

    film.draw = draw
    film.save(tmp_path / "film.gif", fps=5, dpi=40)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.n_frames == 3  # type: ignore[attr-defined]
        assert gif.size == (256, 216)
        assert gif.info["loop"] == 0
        durations = []
        for k in range(3):
            gif.seek(k)
            durations.append(gif.info["duration"])
    assert durations == [200, 200, 2000]
    assert all(np.array_equal(learned[name], now) for name, now in model.state_dict().items())
    assert not np.array_equal(asked[0][0]["0.weight"], asked[1][0]["0.weight"])
    assert film.shots[1][1] == history.cost[3]
    assert asked[2][1].figure.get_suptitle() == f"epoch 8, cost {history.cost[7]:.4g}"


def test_a_film_of_the_hidden_units(tmp_path: Path) -> None:
    model = Sequential(Layer(400, 4, rng=0), Sigmoid(), Layer(4, 10, rng=1), Sigmoid())
    film = Film(model)
    film(History(cost=[1.0]))
    film.save(tmp_path / "film.gif", dpi=30)
    with Image.open(tmp_path / "film.gif") as gif:
        assert gif.format == "GIF"
    with pytest.raises(FileNotFoundError):
        film.save(tmp_path / "nowhere" / "film.gif", dpi=30)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Film(None), "Film: model"),  # type: ignore[arg-type]
        (lambda: Film(Layer(2, 2), np.eye(2)), "together"),
        (lambda: Film(Layer(2, 2), frames=1), "Film: frames"),
        (lambda: Film(Layer(4, 2)).save("film.gif", fps=0), "fps"),
    ],
)
def test_what_is_no_film(make: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_windows_are_where_pyplot_opens_some(monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot: Any = types.ModuleType("matplotlib.pyplot")
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", pyplot)
    for backend, opens in (("agg", False), ("TkAgg", True), ("qtagg", True), ("pdf", False)):
        pyplot.get_backend = lambda backend=backend: backend
        assert watch._has_windows() is opens
