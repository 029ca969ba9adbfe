"""The main example does what it says, and tells its user what went wrong in one sentence."""

import functools
import importlib.util
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imsave
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from autonn import files, load_digits

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "digits.py"
CTRL_C = os.name != "nt"
PICTURES = ["confusion_matrix", "digits", "hidden_units", "learning_curve", "worst_mistakes"]


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("digits_example", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


digits = load_example()
digits.load_digits = functools.cache(load_digits)  # unpacking them every time would take long


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time; where it is not in question it is left out."""
    monkeypatch.setattr(digits, "draw_what_was_learned", lambda *_: {})


@pytest.fixture
def titles(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the titles of all pictures that are saved."""
    found: list[str] = []
    savefig = Figure.savefig

    def note(figure: Figure, *args: Any, **kwargs: Any) -> None:
        found.extend(ax.get_title() for ax in figure.axes)
        savefig(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", note)
    return found


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[Any, ...]]:
    """Collect what the pictures of a training are given to show, and leave them undrawn."""
    given: dict[str, tuple[Any, ...]] = {}
    names = ["digits", "hidden_units", "confusion_matrix", "worst_mistakes", "learning_curve"]
    draw = {name: lambda *shows, name=name, **_: given.update({name: shows}) for name in names}
    monkeypatch.setattr(digits, "plots", SimpleNamespace(**draw))
    monkeypatch.setattr(digits, "save", lambda picture, path: path)
    return given


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw the pictures, but leave their files empty."""
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: path.touch())


def start(*words: str, folder: Path = Path()) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
    )


def train(*words: str, iterations: int = 3) -> None:
    digits.main(["train", "--iterations", str(iterations), *words])


def printed_accuracy(output: str, part: str) -> str:
    found = re.search(rf"^{part} accuracy +([\d.]+%)$", output, re.M)
    assert found, output
    return found[1]


def complaints(errors: str) -> str:
    """Return what was said beside the progress, of which a log has a line now and then."""
    return re.sub(r"^epoch .*\n", "", errors, flags=re.MULTILINE)


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    with pytest.raises(SystemExit) as left:
        digits.main(words)
    assert left.value.code == 2
    error = complaints(capsys.readouterr().err)
    assert error.count("\n") == 1
    return error


def png_size(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


# --- The main job --------------------------------------------------------------------------------


class Job(NamedTuple):
    """What a process did: where, with which status, and what it said."""

    folder: Path
    status: int
    output: str
    errors: str


@pytest.fixture(scope="module")
def main_job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Run the main job as its user does, and stop it by Ctrl-C where that can be sent."""
    folder = tmp_path_factory.mktemp("main")
    process = start("--iterations", "1000000" if CTRL_C else "3", folder=folder)
    assert process.stdout is not None
    before = []
    for line in iter(process.stdout.readline, ""):
        before.append(line)
        if line.startswith("from random weights"):
            break
    if CTRL_C:
        time.sleep(1.0)  # for the first iteration to begin
        process.send_signal(signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()  # it would train for days
    return Job(folder, process.returncode, "".join(before) + output, errors)


def test_the_main_job_needs_no_command(main_job: Job) -> None:
    folder, status, output, errors = main_job
    assert (status, complaints(errors)) == (0, "")
    assert "4,000 handwritten digits to learn from, 1,000 held out" in output
    assert re.search(
        r"^Gradient descent, [\d,]+ iterations, learning rate 0.8, lambda 1,$", output, re.M
    )
    printed_accuracy(output, "training")
    printed_accuracy(output, "held-out")
    written = [*(f"plots/{name}.png" for name in PICTURES), *map(str, digits.WEIGHTS)]
    for name in written:
        assert (folder / name).is_file()
        assert name in output
    assert sorted(p.name for p in folder.rglob("*.*")) == sorted(Path(n).name for n in written)
    for name in PICTURES:
        assert all(500 < side < 2000 for side in png_size(folder / f"plots/{name}.png"))


@pytest.mark.skipif(not CTRL_C, reason="Windows has no SIGINT to send to a single process")
def test_ctrl_c_keeps_what_was_learned(main_job: Job) -> None:
    stopped = r"^Stopped by Ctrl-C at iteration [\d,]+ of 1,000,000;"
    assert re.search(stopped, main_job.output, re.M), main_job.output
    untrained = digits.network()
    kept = digits.network_from([main_job.folder / path for path in digits.WEIGHTS])
    assert not np.array_equal(untrained[0].weight.data, kept[0].weight.data)


def test_defaults_are_the_first_tutorials() -> None:
    options = digits.parser().parse_args(["train"])
    optimizer, iterations, _ = digits.chosen_way(options)
    assert (repr(optimizer), iterations, options.penalty) == ("SGD(lr=0.8)", 800, 1.0)
    options = digits.parser().parse_args(["train", "--optimizer", "lbfgs"])
    optimizer, iterations, _ = digits.chosen_way(options)
    assert (repr(optimizer), iterations) == ("LBFGS()", 400)


def test_the_held_out_digits_are_a_thousand_others_a_hundred_of_each() -> None:
    training, held_out = digits.split_digits()
    assert_array_equal(np.bincount(held_out.y), [100] * 10)
    assert_array_equal(np.bincount(training.y), [400] * 10)
    rows = {row.tobytes() for row in training.X}
    assert not any(row.tobytes() in rows for row in held_out.X)


def test_training_learns_from_the_training_digits_and_measures_the_held_out(
    shown: dict[str, tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    train(iterations=40)
    output = capsys.readouterr().out
    model = digits.network_from(digits.WEIGHTS)
    training, held_out = digits.split_digits()
    for part, name in ((training, "training"), (held_out, "held-out")):
        share = np.mean(model.predict(part.X).argmax(axis=1) == part.y)
        assert share > 0.6
        assert printed_accuracy(output, name) == f"{share:.2%}"
    assert_array_equal(shown["confusion_matrix"][1], held_out.y)
    assert_array_equal(shown["hidden_units"][0], model[0].weight.data)
    assert set(shown["learning_curve"][0]) == {"cost", "accuracy", "validation_accuracy"}
    cost = digits.cost(model, training, 1.0)
    assert f"training cost {cost:13.4f}\n" in output
    assert digits.cost(digits.network(), training, 1.0) > 2 * cost


def test_all_trains_on_all_and_holds_nothing_out(
    shown: dict[str, tuple[Any, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    train("--all", "--optimizer", "lbfgs", "--plots", "else/where")
    output = capsys.readouterr().out
    assert "5,000 handwritten digits to learn from, 0 held out" in output
    assert "held-out accuracy" not in output
    assert "Written (the pictures show training digits)" in output
    assert "evaluate --all" in output
    assert all(f"else/where/{name}.png" in output for name in PICTURES)
    assert_array_equal(shown["confusion_matrix"][1], digits.load_digits().y)
    assert [len(part) for part in shown["worst_mistakes"]] == [5000] * 3
    assert set(shown["learning_curve"][0]) == {"cost", "accuracy"}


@pytest.mark.usefixtures("no_pictures")
def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    for name, seed in (("a.mat", "5"), ("b.mat", "5"), ("c.mat", "6")):
        train("--seed", seed, "--save", name)
    assert Path("a.mat").read_bytes() == Path("b.mat").read_bytes()
    assert Path("a.mat").read_bytes() != Path("c.mat").read_bytes()


@pytest.mark.usefixtures("no_pictures")
def test_an_option_changes_the_weights() -> None:
    train("--save", "usual.mat")
    usual = files.read_weights("usual.mat")
    for option in ("--lambda 30", "--learning-rate 0.1", "--init normal"):
        train("--save", "other.mat", *option.split())
        other = files.read_weights("other.mat")
        assert all(not np.array_equal(a, b) for a, b in zip(usual, other, strict=True)), option


# --- Weights -------------------------------------------------------------------------------------


@pytest.mark.parametrize("paths", [["w/deep.mat"], ["TrainedW1.in", "TrainedW2.in"]])
@pytest.mark.usefixtures("no_pictures")
def test_evaluate_finds_the_accuracies_that_train_printed(
    paths: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    train("--hidden", "7", "--save", *paths, iterations=10)
    output = capsys.readouterr().out
    assert f"evaluate --weights {' '.join(paths)}\n" in output
    digits.main(["evaluate", "--weights", *paths])
    evaluated = capsys.readouterr().out
    total = re.search(r"^all +(\S+) +(\S+)$", evaluated, re.M)
    assert total, evaluated
    assert total[1] == printed_accuracy(output, "training")
    assert total[2] == printed_accuracy(output, "held-out")
    assert total[1] != total[2]
    held_out = [float(x) for x in re.findall(r"^digit \d +\S+ +(\S+)%$", evaluated, re.M)]
    assert len(held_out) == 10
    assert f"{np.mean(held_out):.2f}%" == total[2]  # since there is a hundred of each


@pytest.mark.usefixtures("no_pictures")
def test_evaluate_all_counts_all(capsys: pytest.CaptureFixture[str]) -> None:
    train("--all", iterations=5)
    trained = printed_accuracy(capsys.readouterr().out, "training")
    digits.main(["evaluate", "--all"])
    output = capsys.readouterr().out
    assert re.search(rf"^all +{re.escape(trained)}$", output, re.M)
    assert "held out" not in output


@pytest.mark.usefixtures("no_pictures")
def test_page_is_made_of_what_was_trained(capsys: pytest.CaptureFixture[str]) -> None:
    train(iterations=2)
    assert " page\n" in capsys.readouterr().out
    digits.main(["page"])
    assert capsys.readouterr().out.startswith("digits.html opens in any browser")
    assert 0 < Path("digits.html").stat().st_size <= 80_000


@pytest.mark.usefixtures("no_pictures")
def test_initial_weights_are_where_the_training_starts(capsys: pytest.CaptureFixture[str]) -> None:
    first = ["W1.in", "W2.in"]
    train("--hidden", "6", "--seed", "1", "--save", *first)
    # A step of next to nothing leaves them where they were; the seed must make no difference.
    train("--initial-weights", *first, "--learning-rate", "1e-12", "--seed", "9", "--save", "n.mat")
    assert "from W1.in W2.in\n" in capsys.readouterr().out
    for before, after in zip(files.read_weights(*first), files.read_weights("n.mat"), strict=True):
        np.testing.assert_allclose(after, before, rtol=0, atol=1e-9)
    # Three steps and three more are six.
    train("--initial-weights", *first, "--save", "3+3.mat")
    train("--hidden", "6", "--seed", "1", "--save", "6.mat", iterations=6)
    assert Path("3+3.mat").read_bytes() == Path("6.mat").read_bytes()


# --- Looking -------------------------------------------------------------------------------------


def test_show_draws_digits_by_lot(titles: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for seed in ("1", "1", "2"):
        digits.main(["show", "--count", "4", "--seed", seed])
    assert "4 of the 5,000 digits are in plots/random_digits.png" in capsys.readouterr().out
    assert set(titles) <= set("0123456789")
    assert titles[:4] == titles[4:8] != titles[8:]
    assert min(png_size(Path("plots/random_digits.png"))) > 500


def test_predict_titles_the_pictures_with_the_class(
    titles: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    model = digits.network(seed=3)
    files.save_weights(model, "some.mat")
    given, data = [4999, 0, 1234], digits.load_digits()
    predicted = model.predict(data.X[given]).argmax(axis=1)
    digits.main(["predict", *map(str, given), "--weights", "some.mat", "--plots", "p"])
    assert [title.removeprefix("\N{MULTIPLICATION SIGN} ") for title in titles] == [
        f"predicted {k}" for k in predicted
    ]
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:4]]
    for row, index, k in zip(rows, given, predicted, strict=True):
        assert row[:2] == [str(index), str(k)]
        assert row[3:] == [str(data.y[index])] + ["wrong"] * bool(data.y[index] != k)
    assert min(png_size(Path("p/predictions.png"))) > 300


def written(path: str, ink: NDArray[np.float64]) -> None:
    """Write dark blue ink on a larger yellow paper."""
    page = np.pad(ink.clip(0, 1), 9)[..., None]
    kind = Path(path).suffix[1:] or "png"
    imsave(path, (1 - page) * [1, 1, 0.7] + page * [0.1, 0.1, 0.5], format=kind)


def test_predict_reads_files_and_shows_what_the_network_saw(
    titles: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    model = digits.network(seed=3)
    files.save_weights(model, "some.mat")
    Path("deep").mkdir()
    written("deep/one.png", digits.load_digits().images[600])
    written("2.jpg", digits.load_digits().images[1100])
    digits.main(["predict", "deep/one.png", "2.jpg", "--weights", "some.mat", "--plots", "p"])
    header, *rows, blank, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["predicted", "probability", "of", *"0123456789"]
    assert len({len(line) for line in (header, *rows)}) == 1
    images = [digits.data.read_digit(path) for path in ("deep/one.png", "2.jpg")]
    probabilities = model.predict(digits.data.unroll(images))
    for row, name, chances in zip(rows, ["one.png", "2.jpg"], probabilities, strict=True):
        words = [name, f"{chances.argmax()}", *(f"{chance:.2f}" for chance in chances)]
        assert row.split() == words
    assert (blank, last) == ("", f"What the network saw is in {Path('p/readings.png')}")
    assert titles == ["one.png", "", "2.jpg", ""]
    assert min(png_size(Path("p/readings.png"))) > 900


@pytest.mark.usefixtures("sketched")
def test_predict_takes_indices_and_files_together(capsys: pytest.CaptureFixture[str]) -> None:
    files.save_weights(digits.network(), "some.mat")
    written("7", digits.load_digits().images[600])
    digits.main(["predict", "./7", "7", "--weights", "some.mat"])
    output = capsys.readouterr().out
    assert re.search(r"^    7 +\d +0\.\d\d +0( +wrong)?$", output, re.M)
    assert re.search(r"^7 +\d( +0\.\d\d){10}$", output, re.M)
    assert Path("plots/predictions.png").exists()
    assert Path("plots/readings.png").exists()


# --- What can go wrong ---------------------------------------------------------------------------


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        digits.main(["--help"])
    assert left.value.code == 0
    output = capsys.readouterr().out
    assert all(name in output for name in ("show", "train", "predict", "evaluate", "page"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("predict 5000", "index 5000 is out of range: the digits are numbered 0 to 4999"),
        ("predict -1", "index -1 is out of range"),
        ("predict one.png", "'one.png' is neither the index of a digit nor the path of a file"),
        ("predict bad.in", "bad.in: content: found no such kind's .* as PNG or JPEG"),
        ("predict folder.mat", "folder.mat: content: found a folder"),
        ("predict blank.png", "blank.png: picture: found a single colour, .*; draw it larger"),
        (
            "predict two.png",
            "two.png: picture: found several pieces as large as a digit, .* to it$",
        ),
        ("predict 3", r"no weights/TrainedW1.in yet; it is made by: \S*python\S* \S+ train$"),
        ("evaluate", r"no weights/TrainedW1.in yet; it is made by: \S*python\S* \S+ train$"),
        ("evaluate --weights no.mat", r"no no.mat yet; it is made by: .* train --save no.mat$"),
        ("evaluate --weights one.in", "one .mat file or in two text files, not in one.in"),
        ("evaluate --weights bad.in bad.in", "one .mat file or in two text files"),
        ("evaluate --weights bad.in worse.in", "bad.in: Theta1: found"),
        ("evaluate --weights bad.mat", "bad.mat"),
        ("page", r"no weights/TrainedW1.in yet; it is made by: \S*python\S* \S+ train$"),
        ("page no.txt --weights good.mat", "ends in .html, not in no.txt"),
        ("evaluate --weights small.mat", r"small.mat: .*\(25, 401\)"),
        ("train --initial-weights no.in none.in", "no.in: No such file"),
        ("train --initial-weights good.mat --hidden 24", "initial weights have 25 hidden units"),
        ("train --initial-weights good.mat --init normal", "not allowed with"),
        ("train --optimizer lbfgs --learning-rate 1", "finds the length of its steps itself"),
        ("train --save folder.mat", "folder.mat is a folder"),
        ("train --save w1.in w2.in w3.in", "two text files"),
        ("train --plots bad.mat", "bad.mat: File exists"),
        ("train --iterations 2 --learning-rate 1e300", "try a smaller --learning-rate"),
        ("--iterations 0", "'0' is not a whole number of at least 1"),
        ("--iterations 1.5", "'1.5' is not a whole number"),
        ("--hidden -3", "'-3' is not a whole number"),
        ("--lambda nan", "'nan' is not a finite number"),
        ("--lambda -1", "'-1' is not a finite number of at least 0"),
        ("--learning-rate 0", "'0' is not a positive"),
        ("--seed -1", "'-1' is not a whole number of at least 0"),
        ("show --count 401", "'401' is not a whole number from 1 to 400"),
        ("evalute", "invalid choice: 'evalute'"),
        ("--no-such-option", "--no-such-option"),
    ],
)
def test_an_error_of_the_user_is_one_sentence(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("bad.in", "worse.in", "bad.mat"):
        Path(name).write_text("not a number\n")
    Path("folder.mat").mkdir()
    imsave("blank.png", np.ones((30, 30)), vmin=0, vmax=1)
    imsave("two.png", np.pad(np.tile(np.arange(30) % 15 < 3, (20, 1)), 9))
    files.save_weights(digits.network(), "good.mat")
    files.write_weights([np.ones((25, 5)), np.ones((10, 26))], "small.mat")
    assert re.search(sentence, complaint(capsys, *words.split()))
    assert not Path("weights/TrainedW1.in").exists()


def test_an_error_has_status_2_and_no_traceback_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "predict", "5000"])
    with pytest.raises(SystemExit) as left:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    output, errors = capsys.readouterr()
    assert (left.value.code, output) == (2, "")
    assert errors == "digits.py: index 5000 is out of range: the digits are numbered 0 to 4999\n"
