"""The page in a real browser: it draws, reads and learns as NumPy does, and reaches everybody."""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tools.browser import CHROMIUM, DRIVER, chromium, looked_at, violations
from tools.drawings import mnist
from tools.exit_networks import NETWORKS
from tools.javascript import furthest, program_of, script_of
from tools.read_papers import WAYS, read_papers

import autonn as an
from autonn import data, nn, optim
from autonn.exits import learning_step

pytest.importorskip("selenium.webdriver")
actions = pytest.importorskip("selenium.webdriver.common.actions.action_builder")
inputs = pytest.importorskip("selenium.webdriver.common.actions.pointer_input")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not there"
)

# Ten digits of a hand of its own, as lines between points of the paper, 0 to 10 in both directions.
HAND = {
    0: "5,1 2,3 2,7 5,9 8,7 8,3 5,1", 1: "4,3 6,1 6,9", 2: "2,3 4,1 7,2 7,4 2,9 8,9",
    3: "2,1 7,1 5,5 7,7 5,9 2,8", 4: "6,9 6,1 2,6 8,6", 5: "8,1 3,1 3,5 6,4 8,6 6,9 2,9",
    6: "7,1 3,4 2,7 4,9 7,8 7,6 4,5 2,7", 7: "2,1 8,1 4,9 4,5 7,5",
    8: "5,5 2,3 5,1 8,3 2,7 5,9 8,7 5,5", 9: "7,4 4,5 3,3 5,1 7,2 7,4 5,9",
}  # fmt: skip


def lines(digit: int) -> list[list[float]]:
    return [[20 * float(c) for c in point.split(",")] for point in HAND[digit].split()]


@pytest.fixture(scope="module")
def digits() -> Any:
    """Digits to learn from, and others: rows, MNIST's own pictures and what they are."""
    loaded = an.load_digits()
    rows = np.arange(len(loaded.y))[:, None]
    known, y, others, y_others = data.split(rows, loaded.y, test=1000, rng=0)
    known, others = known[:, 0], others[:, 0]
    return loaded.X[known], y, loaded.X[others], mnist()[others], y_others


@pytest.fixture(scope="module")
def model(digits: Any) -> Any:
    X, y, *_ = digits
    network = nn.Sequential(
        nn.Layer(400, 25, rng=0), nn.Sigmoid(), nn.Layer(25, 10, rng=1), nn.Sigmoid()
    )
    few = slice(None, None, 4)
    an.fit(
        network, X[few], y[few], loss=an.CrossEntropy(), optimizer=optim.LBFGS(), l2=1.0, epochs=40
    )
    return network


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


@pytest.fixture(scope="module")
def path(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page") / "digits.html"
    an.export(model, made)
    return made


@pytest.fixture(scope="module")
def sliders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page of a network of two numbers."""
    made = tmp_path_factory.mktemp("page") / "spirals.html"
    model = nn.Sequential(nn.Layer(2, 8, rng=0), nn.Tanh(), nn.Layer(8, 3, rng=1))
    an.export(model, made, inputs={"x": (-1, 1), "y": (-2, 2)}, classes=["a", "b", "</script>"])
    return made


@pytest.fixture
def page(browser: Any, path: Path) -> Iterator[Any]:
    """The page, opened anew; what it said on the console is an error."""
    browser.get(path.as_uri())
    yield browser
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "DEBUG"] == []


def paper(dark: str) -> Any:
    """Return the paper as a picture, from the ink's bytes as text."""
    return 1 - np.frombuffer(base64.b64decode(dark), np.uint8).reshape(200, 200) / 255


def result(page: Any) -> str:
    return str(page.find_element("id", "result").text)


DRAW = "strokes.length = 0; strokes.push(arguments[0]); look();"
# The ink goes as text, a byte a pixel: lists of 40,000 numbers take the driver a second.
SEEN = """
    const dark = String.fromCharCode(...ink().map((v) => Math.round(255 * v)));
    return [btoa(dark), current && Array.from(rolled(current))];
"""


def test_it_is_small_and_asks_for_nothing(page: Any, path: Path) -> None:
    assert path.stat().st_size <= 80_000
    asked = [e["message"] for e in page.get_log("performance")
             if '"Network.requestWillBeSent"' in e["message"]]  # fmt: skip
    assert len(asked) <= 1


def test_it_reads_as_numpy_does(page: Any, model: Any, digits: Any) -> None:
    X = digits[2][::5]
    script = "return arguments[0].map(x => Array.from(read(Float64Array.from(x)).at(-1)))"
    np.testing.assert_allclose(page.execute_script(script, X.tolist()), model.predict(X), atol=1e-6)


def test_drawings_are_centred_as_photos_are(page: Any) -> None:
    """Also where a pen left a dot at a corner, which is no part of the digit."""
    rng = np.random.default_rng(0)
    compared = 0
    for k in range(12):
        points = np.cumsum(rng.normal(size=(rng.integers(3, 8), 2)) * (25, 45), axis=0)
        points = (points - points.mean(axis=0) + 100 + rng.normal(size=2) * 15).clip(20, 180)
        dot = "" if k % 2 else "strokes.push([[190, 10]]);"
        dark, seen = page.execute_script(DRAW.replace("look", dot + "look") + SEEN, points.tolist())
        try:
            expected = data.digit_from_image(paper(dark))
        except ValueError:
            continue  # it is no digit, which the page does not ask
        np.testing.assert_allclose(np.reshape(seen, (20, 20)), expected, atol=1e-8)
        compared += 1
    assert compared > 7


@pytest.mark.parametrize("way", WAYS)
def test_held_out_digits_on_the_paper_are_read_as_often_as_by_numpy(
    page: Any, model: Any, digits: Any, way: str
) -> None:
    of, y = digits[-2:]
    found = read_papers(page, model, of[::77], y[::77], way)
    assert found.page == found.numpy > 9
    assert found.other == found.refused == 0
    assert found.furthest < 1e-8


@pytest.mark.parametrize("kind", ["mouse", "pen", "touch"])
def test_it_is_drawn_on_with(page: Any, kind: str) -> None:
    pointer = inputs.PointerInput(kind, kind)
    builder = actions.ActionBuilder(page, mouse=pointer)
    canvas = page.find_element("id", "paper")
    box = page.execute_script(
        "const b = arguments[0].getBoundingClientRect(); return [b.left, b.top, b.width]", canvas
    )
    spots = [(int(box[0] + box[2] * x), int(box[1] + box[2] * y))
             for x, y in ((0.5, 0.15), (0.5, 0.5), (0.5, 0.85))]  # fmt: skip
    builder.pointer_action.move_to_location(*spots[0])
    builder.pointer_action.pointer_down()
    for spot in spots[1:]:
        builder.pointer_action.move_to_location(*spot)
    builder.pointer_action.pointer_up()
    builder.perform()
    assert result(page).startswith("1,")
    page.find_element("id", "undo").click()
    assert result(page) == "Draw something."


def test_samples_are_a_way_in_for_the_keyboard(page: Any) -> None:
    read = []
    for button in page.find_elements("css selector", "#samples button"):
        button.send_keys("\n")
        read.append(result(page)[0])
    assert "".join(read) == "0123456789"
    parts = page.execute_script("return $('because-text').textContent")
    assert parts.startswith("Blue speaks for 9")
    dark = page.execute_script("return ink().reduce((a, b) => a + b, 0)")
    assert 1000 < dark < 10_000  # the paper shows it too


def test_nothing_is_left_of_what_was_cleared(page: Any) -> None:
    told = "return ['result', 'shares', 'because-text', 'layers'].map((id) => $(id).textContent)"
    number = re.compile(r"\d\.\d|%|speaks")
    page.find_element("css selector", "#samples button").click()
    assert all(number.search(text) for text in page.execute_script(told)[1:])
    page.find_element("id", "clear").click()
    assert not any(map(number.search, page.execute_script(told)))
    assert page.execute_script("return ink().every((v) => v === 0)")
    page.find_element("css selector", "#lessons button").click()
    assert page.find_element("id", "lesson").text == "Draw something first, or load a sample."


def test_a_parameter_that_is_one_number_is_learned_too(browser: Any, tmp_path: Path) -> None:
    class Scaled(an.Module):
        def __init__(self) -> None:
            self.scale = an.Tensor(0.5, requires_grad=True)
            self.layer = an.Layer(2, 3, rng=0)

        def forward(self, x: Any) -> Any:
            return self.scale * self.layer(x)

    model, path = Scaled(), tmp_path / "scaled.html"
    an.export(model, path, inputs={"x": (-1, 1), "y": (-1, 1)}, rate=0.1)
    step = learning_step(model, an.SoftmaxCrossEntropy(), optim.SGD(lr=0.1))
    x, y = np.array([[0.5, -1.0]]), np.array([2])
    cost, after, _ = step(model.state_dict(), {}, x, y)
    browser.get(path.as_uri())
    got = browser.execute_script(
        "const x = Float64Array.of(0.5, -1), cost = step(x, 2), changed = weights.flatMap((w) => "
        "Array.from([w].flat(), (v) => (typeof v === 'number' ? [v] : Array.from(v))).flat()); "
        "$('forget').click(); return [cost, changed, weights.find((w) => typeof w === 'number')];"
    )
    expected = np.concatenate([np.reshape(a, -1) for a in after.values()])
    np.testing.assert_allclose(got[1], expected, atol=1e-6)
    np.testing.assert_allclose([got[0], got[2]], [cost, 0.5], atol=1e-6)
    assert browser.get_log("browser") == []


def read_by(page: Any, hand: dict[int, Any]) -> list[bool]:
    """Tell which digits of a hand are read rightly."""
    right = []
    for digit, points in hand.items():
        page.execute_script(DRAW, points)
        right.append(result(page)[0] == str(digit))
    return right


def test_taught_ten_digits_of_a_new_hand_it_reads_them(page: Any) -> None:
    """Of a hand that writes as in a mirror."""
    teach = "const done = arguments[1]; teach(arguments[0], costs => done(Array.from(costs)));"
    mirrored = {digit: [[200 - x, y] for x, y in lines(digit)] for digit in HAND}
    before = read_by(page, mirrored)
    assert sum(before) < 8
    for digit, points in mirrored.items():
        page.execute_script(DRAW, points)
        costs = page.execute_async_script(teach, digit)
        assert costs[-1] <= costs[0]
        assert page.find_element("id", "lesson").text.endswith(f"learned that this is {digit}.")
    assert all(read_by(page, mirrored))
    page.find_element("id", "forget").click()
    assert read_by(page, mirrored) == before


def test_a_network_of_two_numbers_has_sliders_and_a_map(browser: Any, sliders: Path) -> None:
    model = nn.Sequential(nn.Layer(2, 8, rng=0), nn.Tanh(), nn.Layer(8, 3, rng=1))
    browser.get(sliders.as_uri())
    browser.execute_script("$('slider-0').value = 0.5; $('slider-1').value = -1; moved();")
    expected = model.predict([[0.5, -1.0]])[0]
    got = browser.execute_script("return Array.from(read(current).at(-1))")
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert result(browser).startswith(["a", "b", "</script>"][int(expected.argmax())])
    colours = browser.execute_script(
        "const c = $('boundary'); return c.getContext('2d').getImageData(0, 0, 60, 60).data.length"
    )
    assert colours == 4 * 3600
    assert browser.get_log("browser") == []


def test_programs_give_in_the_browser_what_they_give_in_numpy(browser: Any) -> None:
    browser.get("about:blank")
    cases = []
    for make, x in NETWORKS.values():
        if x.dtype.kind == "f":
            model = make().eval()

            def f(p: Any, x: Any, model: Any = model) -> Any:
                return np.sum(np.sin(an.functional_call(model, p, x)))

            cases.append((an.value_and_grad(f, argnums=(0, 1)), (model.state_dict(), x)))
    script = script_of([program_of(f, *args) for f, args in cases])
    results = browser.execute_script(f"{script}\nreturn results;")
    for (f, args), result in zip(cases, results, strict=True):
        assert furthest(result, f(*args)) < 1e-12


def kept_out(browser: Any, path: Path, before: str = "") -> list[str]:
    """Ask what keeps somebody out, on a wide screen and a phone, in light and in the dark."""
    pytest.importorskip("axe_core_python")
    found, colours = [], set()
    for phone, dark in itertools.product([False, True], repeat=2):
        with looked_at(browser, phone=phone, dark=dark):
            browser.get(path.as_uri())
            browser.execute_script(before)
            found += violations(browser)
            wide, room, colour = browser.execute_script(
                "return [document.documentElement.scrollWidth, innerWidth, "
                "getComputedStyle(document.body).backgroundColor]"
            )
            assert wide <= room == (390 if phone else 1200), "it has to be scrolled sideways"
            colours.add(colour)
    assert len(colours) == 2, "the dark is not dark"
    return found


SAMPLE = "document.querySelectorAll('#samples button')[3].click();"


def test_nobody_is_kept_out(browser: Any, path: Path, sliders: Path) -> None:
    assert kept_out(browser, path, SAMPLE) == kept_out(browser, sliders) == []


def test_a_button_without_a_name_is_noticed(browser: Any, path: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    broken.write_text(path.read_text().replace(">Undo</button>", "></button>"))
    found = kept_out(browser, broken)
    assert len(found) == 4
    assert all(line.startswith('button-name: <button id="undo">') for line in found)
