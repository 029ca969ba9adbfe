"""Teach a small network to read handwritten digits, and look at what it has learned.

    python examples/digits.py                          the main job: train, measure, draw
    python examples/digits.py show                     look at some of the digits first
    python examples/digits.py train --optimizer lbfgs  train in another way
    python examples/digits.py predict 7 1234 4999      let the trained network read these
    python examples/digits.py predict photo.png        or a digit that you wrote yourself
    python examples/digits.py evaluate                 count how many it reads rightly
    python examples/digits.py page                     draw in a browser, and teach it there

The digits are those of a well-known machine learning course: 5,000 of them, 500 of each kind, as
pictures of 20 x 20 grey pixels. So the network has 400 inputs, one for each pixel; a layer of 25
hidden units; and 10 outputs, one for each digit. The output that is closest to 1 is the answer.

Read this file from top to bottom: the network, how it learns, what is measured and drawn. The
command line comes last, and has little to do with neural networks.
"""

from __future__ import annotations

import argparse
import math
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from autonn import (
    CrossEntropy,
    Layer,
    Sequential,
    Sigmoid,
    data,
    export,
    files,
    fit,
    l2_penalty,
    load_digits,
    no_grad,
    optim,
    plots,
)
from autonn.files import FileFormatError
from autonn.nn import init
from autonn.training import History, ProgressBar, accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PIXELS, CLASSES = 400, 10

# The course keeps its weights in two text files, one for each layer; their names are its own, too.
WEIGHTS = [Path("weights/TrainedW1.in"), Path("weights/TrainedW2.in")]
PLOTS = Path("plots")
PAGE = Path("digits.html")

# Which digits are held out must not depend on anything: only then can `evaluate` and `train`, today
# and tomorrow, talk about the same thousand.
SPLIT_SEED = 0

# --- The data ------------------------------------------------------------------------------------


class Examples(NamedTuple):
    """Pictures, one a row of X, and the digits y that they show."""

    X: NDArray[np.float64]
    y: NDArray[np.int64]


def split_digits() -> tuple[Examples, Examples]:
    """Keep 1,000 of the 5,000 digits away from the training, 100 of each kind.

    A network can know its training examples by heart and be lost when it meets new ones. What it
    is worth shows only on digits that it has never seen.
    """
    digits = load_digits()
    X, y, X_held_out, y_held_out = data.split(digits.X, digits.y, test=1000, rng=SPLIT_SEED)
    return Examples(X, y), Examples(X_held_out, y_held_out)


def all_digits() -> Examples:
    """Take all 5,000, as the course itself does."""
    digits = load_digits()
    return Examples(digits.X, digits.y)


# --- The network ---------------------------------------------------------------------------------

# Where the weights start. They have to differ, or all hidden units would learn the same; and they
# should be small, since far from 0 the sigmoid is flat and the network learns slowly.
STARTS: dict[str, init.Initialiser] = {
    "glorot": init.glorot_uniform,  # within sqrt(6 / (inputs + outputs)) of 0
    "uniform": init.uniform(0.12),  # within 0.12 of 0
    "normal": init.normal,  # the bell curve of width 1: rather large
}


def network(hidden: int = 25, start: str = "glorot", seed: int = 0) -> Sequential:
    """Build the network: two layers, each followed by the sigmoid, which maps all to 0..1."""
    rng = np.random.default_rng(seed)
    weight = STARTS[start]
    return Sequential(
        Layer(PIXELS, hidden, weight=weight, rng=rng),
        Sigmoid(),
        Layer(hidden, CLASSES, weight=weight, rng=rng),
        Sigmoid(),
    )


def network_from(paths: Sequence[Path]) -> Sequential:
    """Build the network that was saved; the file itself says how many hidden units it has."""
    theta1 = files.read_weights(*paths)[0]
    model = network(hidden=len(theta1))
    files.load_weights(model, *paths)
    return model


# --- Learning ------------------------------------------------------------------------------------


def learn(
    model: Sequential,
    training: Examples,
    held_out: Examples | None,
    *,
    optimizer: optim.Optimizer,
    iterations: int,
    penalty: float,
) -> History:
    """Change the weights, step by step, so that the cost on the training examples falls.

    The held-out digits are only measured, so that the progress bar and the curves can show them;
    no weight ever depends on them.
    """
    # Steps that are far too long cause warnings; `require_finite` says it in plainer words.
    with ProgressBar(iterations) as bar, warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return fit(
            model,
            training.X,
            training.y,
            loss=CrossEntropy(),
            optimizer=optimizer,
            l2=penalty,
            epochs=iterations,
            validation=held_out,
            callbacks=[bar],
        )


def cost(model: Sequential, examples: Examples, penalty: float) -> float:
    """Measure what the training makes small: how wrong the answers are, and how large the weights.

    The penalty on large weights keeps the network from learning every quirk of its examples.
    """
    X, y = examples
    with no_grad():
        return float(CrossEntropy()(model(X), y) + l2_penalty(model, penalty, examples=len(X)))


# --- Pictures ------------------------------------------------------------------------------------


def save(picture: Figure | Axes, path: Path) -> Path:
    """Write a figure, or the one that the axes belong to, as a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cast("Figure", picture.figure).savefig(path, dpi=150)
    return path


def draw_what_was_learned(
    model: Sequential, history: History, examples: Examples, folder: Path, seed: int
) -> dict[Path, str]:
    """Draw what a number can't say; return which file shows what."""
    probabilities = model.predict(examples.X)
    predicted, actual = probabilities.argmax(axis=1), examples.y
    images = data.as_images(examples.X)
    some = np.random.default_rng(seed).choice(len(images), 64, replace=False)
    pictures: dict[str, tuple[Figure | Axes, str]] = {
        "digits.png": (
            plots.digits(images[some], predicted[some], wrong=(predicted != actual)[some]),
            "64 digits as the network reads them; mistakes are framed",
        ),
        "hidden_units.png": (
            plots.hidden_units(model[0].weight.data),
            "what each hidden unit looks for: ink on orange, none on purple",
        ),
        "confusion_matrix.png": (
            plots.confusion_matrix(predicted, actual),
            "which digit is taken for which",
        ),
        "worst_mistakes.png": (
            plots.worst_mistakes(images, probabilities, actual),
            "the mistakes that the network was surest of",
        ),
    }
    if len(history):
        pictures["learning_curve.png"] = (draw_curve(history), "cost and accuracy, as they went")
    return {save(p, folder / name): shows for name, (p, shows) in pictures.items()}


def draw_curve(history: History) -> Figure:
    """Draw how the training went; the held-out cost, which has no penalty, can't be compared."""
    shown = ("cost", "accuracy", "validation_accuracy")
    measured = {name: vars(history)[name] for name in shown}
    return plots.learning_curve({name: series for name, series in measured.items() if series})


# --- The commands --------------------------------------------------------------------------------


class Complaint(Exception):
    """Something that the user can put right, said in one sentence."""


def show(options: argparse.Namespace) -> None:
    """Draw some of the digits, chosen by lot, each with its label."""
    digits = load_digits()
    rng = np.random.default_rng(options.seed)
    rows = rng.choice(len(digits.y), options.count, replace=False)
    figure = plots.digits(digits.images[rows], digits.y[rows])
    path = save(figure, options.plots / "random_digits.png")
    print(f"{options.count} of the {len(digits.y):,} digits are in {path}")


def train(options: argparse.Namespace) -> None:
    """Do the main job: train the network, measure it, write its weights, draw pictures."""
    training, held_out = (all_digits(), None) if options.all else split_digits()
    model, start = untrained(options)
    optimizer, iterations, way = chosen_way(options)
    prepare_folders(options)

    apart = len(held_out.y) if held_out else 0
    print(f"{len(training.y):,} handwritten digits to learn from, {apart:,} held out\n")
    print(model.summary())
    # Flushed, so that who reads through a pipe sees it before the long wait.
    print(f"\n{way}, lambda {options.penalty:g},\nfrom {start}", flush=True)
    history = learn(
        model,
        training,
        held_out,
        optimizer=optimizer,
        iterations=iterations,
        penalty=options.penalty,
    )
    require_finite(history)
    print_how_it_ended(history, iterations)

    print(f"\ntraining cost      {cost(model, training, options.penalty):8.4f}")
    print(f"training accuracy  {accuracy(model, *training):8.2%}")
    if held_out:
        print(f"held-out accuracy  {accuracy(model, *held_out):8.2%}")

    files.save_weights(model, *options.save)
    seen = held_out or training
    pictures = draw_what_was_learned(model, history, seen, options.plots, options.seed)
    print_what_was_written(options.save, pictures, "held-out" if held_out else "training")
    print_what_next(options)


def predict(options: argparse.Namespace) -> None:
    """Let the network read the digits with these indices, and the pictures in these files."""
    indices = [given for given in options.given if isinstance(given, int)]
    paths = [given for given in options.given if isinstance(given, Path)]
    digits = load_digits()
    for index in indices:
        if not 0 <= index < len(digits.y):
            last = len(digits.y) - 1
            raise Complaint(f"index {index} is out of range: the digits are numbered 0 to {last}")
    images = [data.read_digit(path) for path in paths]
    model = trained(options.weights)
    if indices:
        predict_rows(model, digits, indices, options.plots)
    if paths:
        predict_files(model, np.array(images), paths, options.plots)


def predict_rows(model: Sequential, digits: data.Digits, rows: list[int], folder: Path) -> None:
    """Let the network read some of the 5,000, and compare with what they are."""
    probabilities = model.predict(digits.X[rows])
    predicted, actual = probabilities.argmax(axis=1), digits.y[rows]
    print("index  predicted  probability  actual")
    for row, index in enumerate(rows):
        sure = probabilities[row, predicted[row]]
        verdict = "" if predicted[row] == actual[row] else "  wrong"
        print(f"{index:5}  {predicted[row]:9}  {sure:11.2f}  {actual[row]:6}{verdict}")

    titles = [f"predicted {digit}" for digit in predicted]
    figure = plots.digits(digits.images[rows], titles, wrong=predicted != actual)
    print(f"\nThe picture is in {save(figure, folder / 'predictions.png')}")


def predict_files(
    model: Sequential, images: NDArray[np.float64], paths: list[Path], folder: Path
) -> None:
    """Let the network read pictures from outside, and show what it saw of them."""
    probabilities = model.predict(data.unroll(images))
    width = max(len(path.name) for path in paths)
    kinds = "".join(f"{digit:6}" for digit in range(CLASSES))
    print(f"{'':{width}}  predicted   probability of{kinds}")
    for path, row in zip(paths, probabilities, strict=True):
        chances = "".join(f"{chance:6.2f}" for chance in row)
        print(f"{path.name:{width}}  {row.argmax():9}{'':17}{chances}")

    figure = plots.readings(images, probabilities, [path.name for path in paths])
    print(f"\nWhat the network saw is in {save(figure, folder / 'readings.png')}")


def evaluate(options: argparse.Namespace) -> None:
    """Count how many digits the saved network reads rightly, in all and of each kind."""
    model = trained(options.weights)
    training, held_out = split_digits()
    parts = {"training": training, "held out": held_out}
    if options.all:
        parts = {"training": all_digits()}
    print(" ".join(map(str, options.weights)) + "\n")
    print("          " + "".join(f"{name:>10}" for name in parts))
    print("examples  " + "".join(f"{len(part.y):>10,}" for part in parts.values()))
    right = {name: model.predict(X).argmax(axis=1) == y for name, (X, y) in parts.items()}
    for digit in range(CLASSES):
        shares = [right[name][part.y == digit].mean() for name, part in parts.items()]
        print(f"digit {digit}   " + "".join(f"{share:10.2%}" for share in shares))
    print("all       " + "".join(f"{hits.mean():10.2%}" for hits in right.values()))
    if not options.all:
        print("\nHeld out are the 1,000 digits that `train` sets aside. Weights that came from")
        print("`train --all`, or from elsewhere, may have been trained on them: then use --all.")


def page(options: argparse.Namespace) -> None:
    """Write a page for the browser in which the network reads, and learns, your handwriting."""
    if options.page.suffix != ".html":
        raise Complaint(f"the page is kept in a file that ends in .html, not in {options.page}")
    export(trained(options.weights), options.page)
    print(f"{options.page} opens in any browser by a double click, also where there is no network")


# --- What the commands need ----------------------------------------------------------------------


def untrained(options: argparse.Namespace) -> tuple[Sequential, str]:
    """Build the network to start from, random or read from a file, and say which it is."""
    if options.initial_weights is None:
        model = network(options.hidden or 25, options.init, options.seed)
        return model, f"random weights ({options.init}, seed {options.seed})"
    model = network_from(weight_files(options.initial_weights))
    if options.hidden not in (None, model[0].outputs):
        raise Complaint(
            f"--hidden {options.hidden}: the initial weights have {model[0].outputs} hidden units"
        )
    return model, " ".join(map(str, options.initial_weights))


def trained(paths: list[Path]) -> Sequential:
    """Build the network from saved weights, or say how to get some."""
    for path in weight_files(paths):
        if not path.exists():
            makes_it = command("train") if paths == WEIGHTS else command("train", "--save", *paths)
            raise Complaint(f"there is no {path} yet; it is made by: {makes_it}")
    return network_from(paths)


def chosen_way(options: argparse.Namespace) -> tuple[optim.Optimizer, int, str]:
    """Choose between many plain steps and fewer well-considered ones, and say which it is."""
    if options.optimizer == "sgd":
        rate, iterations = options.learning_rate or 0.8, options.iterations or 800
        way = f"Gradient descent, {iterations:,} iterations, learning rate {rate:g}"
        return optim.SGD(lr=rate), iterations, way
    if options.learning_rate is not None:
        raise Complaint("--learning-rate is for sgd; L-BFGS finds the length of its steps itself")
    iterations = options.iterations or 400
    return optim.LBFGS(), iterations, f"L-BFGS, at most {iterations:,} iterations"


def weight_files(paths: list[Path]) -> list[Path]:
    """Check that the paths are one .mat file, or two text files."""
    kinds = [path.suffix.lower() == ".mat" for path in paths]
    if kinds not in ([True], [False, False]) or len(set(paths)) < len(paths):
        given = " ".join(map(str, paths))
        raise Complaint(f"weights are kept in one .mat file or in two text files, not in {given}")
    return paths


def prepare_folders(options: argparse.Namespace) -> None:
    """Make the folders now: nobody wants to hear of a wrong path after the training."""
    options.plots.mkdir(parents=True, exist_ok=True)
    for path in weight_files(options.save):
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise Complaint(f"{path} is a folder, and can't be the file of the weights")


def require_finite(history: History) -> None:
    """Refuse to go on with a network that was thrown out of all bounds."""
    if history.diverged:
        raise Complaint("the weights grew beyond all bounds; try a smaller --learning-rate")


def print_how_it_ended(history: History, iterations: int) -> None:
    """Say so if there were fewer iterations than asked for."""
    done = f"iteration {len(history):,} of {iterations:,}"
    if history.interrupted:
        print(f"Stopped by Ctrl-C at {done}; what was learned until then is kept.")
    elif len(history) < iterations:
        print(f"The search ended by itself at {done}.")


def print_what_was_written(weights: list[Path], pictures: dict[Path, str], part: str) -> None:
    """List the files."""
    width = max(len(str(path)) for path in [*weights, *pictures])
    print(f"\nWritten (the pictures show {part} digits):")
    for path in weights:
        print(f"  {path!s:{width}}  weights, in the course's format")
    for path, shows in pictures.items():
        print(f"  {path!s:{width}}  {shows}")


def print_what_next(options: argparse.Namespace) -> None:
    """Suggest what to try with the weights that were just written."""
    weights = [] if options.save == WEIGHTS else ["--weights", *options.save]
    print("\nTry next:")
    print(f"  {command('predict', 7, 1234, 4999, *weights)}")
    print(f"  {command('evaluate', *['--all'] * options.all, *weights)}")
    print(f"  {command('page', *weights)}")
    if options.optimizer == "sgd":
        print(f"  {command('train', '--optimizer', 'lbfgs')}")


def command(*words: object) -> str:
    """Spell out a command as it is typed, with this very Python."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return shlex.join([str(python), sys.argv[0], *map(str, words)])


# --- The command line ----------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    """Complains in one line, where argparse would print its whole usage first."""

    def error(self, message: str) -> NoReturn:
        """Leave with the status 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def number(
    kind: Callable[[str], float], fits: Callable[[float], bool], wanted: str
) -> Callable[[str], float]:
    """Make a reader of numbers that says what it wanted."""

    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return read


counting = number(int, lambda n: n >= 1, "a whole number of at least 1")
natural = number(int, lambda n: n >= 0, "a whole number of at least 0")
positive = number(float, lambda x: 0 < x < math.inf, "a positive, finite number")
not_negative = number(float, lambda x: 0 <= x < math.inf, "a finite number of at least 0")
some = number(int, lambda n: 1 <= n <= 400, "a whole number from 1 to 400")


def index_or_file(text: str) -> int | Path:
    """Read a number as an index; anything else has to be the path of a file."""
    try:
        return int(text)
    except ValueError:
        if not Path(text).exists():
            wanted = "neither the index of a digit nor the path of a file"
            raise argparse.ArgumentTypeError(f"{text!r} is {wanted}") from None
        return Path(text)


def parser() -> Parser:
    """Describe the command line."""
    top = Parser(
        prog="digits.py",
        description="Teach a small network to read handwritten digits, and look at what it has "
        "learned. Without a command it does `train`, and takes the same options.",
        epilog="`digits.py COMMAND --help` tells more about a command.",
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_show(commands)
    add_train(commands)
    add_predict(commands)
    add_evaluate(commands)
    add_page(commands)
    return top


def add_command(commands: Any, run: Callable[[argparse.Namespace], None], brief: str) -> Parser:
    """Add a command that is called as its function is."""
    added = cast(
        Parser, commands.add_parser(run.__name__, help=brief, description=brief, allow_abbrev=False)
    )
    added.set_defaults(run=run)
    return added


def add_plots(command: Parser) -> None:
    """Add the option that says where pictures go."""
    text = "the folder for the pictures; it is made if need be (default: plots)"
    command.add_argument("--plots", type=Path, default=PLOTS, metavar="DIR", help=text)


def add_weights(command: Parser) -> None:
    """Add the option that says where the trained weights are."""
    command.add_argument(
        "--weights",
        type=Path,
        nargs="+",
        default=WEIGHTS,
        metavar="FILE",
        help="the trained weights: one .mat file, or two text files "
        f"(default: {WEIGHTS[0]} {WEIGHTS[1]})",
    )


def add_show(commands: Any) -> None:
    """Describe `show`."""
    command = add_command(commands, show, "draw some of the digits, chosen by lot")
    command.add_argument(
        "--count", type=some, default=100, metavar="N", help="how many, 1 to 400 (default: 100)"
    )
    command.add_argument(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="of the lot; another seed draws other digits (default: 0)",
    )
    add_plots(command)


def add_train(commands: Any) -> None:
    """Describe `train`."""
    command = add_command(
        commands,
        train,
        "train the network on 4,000 digits, measure it on 1,000 others, "
        "write its weights and pictures",
    )
    add = command.add_argument
    add(
        "--optimizer",
        choices=["sgd", "lbfgs"],
        default="sgd",
        help="gradient descent on all examples, or the L-BFGS search (default: sgd)",
    )
    add(
        "--iterations",
        type=counting,
        metavar="N",
        help="how many steps to take (default: 800 for sgd, at most 400 for lbfgs)",
    )
    add(
        "--lambda",
        type=not_negative,
        default=1.0,
        dest="penalty",
        metavar="L",
        help="how strongly large weights are penalised; 0 is not at all (default: 1)",
    )
    add(
        "--learning-rate",
        type=positive,
        metavar="A",
        help="the course's alpha, the length of sgd's steps (default: 0.8)",
    )
    add(
        "--hidden",
        type=counting,
        metavar="N",
        help="the number of hidden units (default: 25, or as many as in --initial-weights)",
    )
    add(
        "--seed",
        type=natural,
        default=0,
        metavar="N",
        help="of the random start and of the choice of pictures (default: 0)",
    )
    start = command.add_mutually_exclusive_group()
    start.add_argument(
        "--init",
        choices=list(STARTS),
        default="glorot",
        help="how the random weights are drawn: within sqrt(6 / (in + out)), within 0.12, or "
        "from the standard normal distribution (default: glorot)",
    )
    start.add_argument(
        "--initial-weights",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="start from these weights: one .mat file, or two text files such as W1.in W2.in",
    )
    add(
        "--all",
        action="store_true",
        help="train on all 5,000, as the course does; then nothing is held out",
    )
    add(
        "--save",
        type=Path,
        nargs="+",
        default=WEIGHTS,
        metavar="FILE",
        help="where the weights go: one .mat file, or two text files "
        f"(default: {WEIGHTS[0]} {WEIGHTS[1]})",
    )
    add_plots(command)


def add_predict(commands: Any) -> None:
    """Describe `predict`."""
    command = add_command(commands, predict, "read some digits with the trained network")
    command.add_argument(
        "given",
        type=index_or_file,
        nargs="+",
        metavar="INDEX|FILE",
        help="which of the digits, 0 to 4999 (they are sorted, 500 of each, so that 0 to 499 "
        "are zeros and 500 to 999 are ones), or picture files, each with one handwritten "
        "digit of any size and colour; they come before the options",
    )
    add_weights(command)
    add_plots(command)


def add_evaluate(commands: Any) -> None:
    """Describe `evaluate`."""
    command = add_command(
        commands,
        evaluate,
        "count how many digits the trained network reads rightly, in all and of each kind",
    )
    command.add_argument(
        "--all",
        action="store_true",
        help="for weights that were trained on all 5,000 digits: no digit was held out",
    )
    add_weights(command)


def add_page(commands: Any) -> None:
    """Describe `page`."""
    command = add_command(
        commands, page, "make a page in which the network reads what you draw, and learns from it"
    )
    command.add_argument(
        "page",
        type=Path,
        nargs="?",
        default=PAGE,
        metavar="PAGE",
        help=f"where it goes, a file that ends in .html (default: {PAGE})",
    )
    add_weights(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; what the user can put right is said in one line, without a traceback."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "train")
    command_line = parser()
    options = command_line.parse_args(words)
    try:
        options.run(options)
    except (Complaint, FileFormatError, MemoryError) as error:
        command_line.error(str(error))
    except OSError as error:
        command_line.error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except KeyboardInterrupt:
        command_line.exit(130, "stopped\n")


if __name__ == "__main__":
    main()
