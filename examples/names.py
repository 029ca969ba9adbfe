"""Invent names, character by character: first from the three before, then from all of them.

    python examples/names.py                train both, let them write, draw what one expects
    python examples/names.py --epochs 5     in less time, and not quite so well

Two networks learn from 353 names which character follows, or that the name ends. The first, of
Bengio et al. (2003), sees the last three characters, each as a row of numbers that it learns. The
second, a GRU, reads the name from its start and keeps in mind what it needs. Then both write names
of their own. The cost is that of 40 names held out: ln 27 = 3.30 is to know nothing, 2.50 to count
pairs of characters, and 2.3 what the networks reach in some seconds; that of their own names would
fall much lower, for so few can be learned by heart. The picture shows the second one reading
"christina": after "chr" it waits for a vowel, after "chris" for a t, and then for the end.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from autonn import (
    GRU,
    Dropout,
    Embedding,
    Flatten,
    Linear,
    Module,
    Outputs,
    Sequential,
    SoftmaxCrossEntropy,
    Tanh,
    fit,
    optim,
    softmax,
)

PLOTS = Path("plots")
NAMES = """
aaron abigail ada adam adele adrian agatha agnes alan albert alexander alfred alice alison amanda
amber amelia amy andrea andrew angela anita anna annabel anthony antonia april archibald arnold
arthur astrid audrey august aurelia austin barbara barnaby beatrice benedict benjamin bernadette
bernard bertha beverly blanche bonnie brenda brian bridget bruce bryan camilla carl carmen caroline
cassandra catherine cecilia cedric charles charlotte chester chloe christian christina christopher
clara clarence claudia clement clifford colin conrad constance cora cordelia cornelia crispin
cynthia cyril daisy daniel daphne darren david deborah delia denise dennis derek diana dominic
dorothy douglas duncan edgar edith edmund edward edwin eileen elaine eleanor elijah elizabeth ella
ellen elliot elsa emily emma enid eric ernest esther ethan ethel eugene eva evelyn fabian felicity
felix ferdinand fiona flora florence frances francis frank frederick gabriel gavin gemma geoffrey
george gerald geraldine gerard gertrude gilbert giles gladys gloria gordon grace graham gregory
gwendolyn hannah harold harriet harry harvey hazel heather hector helen helena henrietta henry
herbert hermione hester hilary hilda horace howard hubert hugh humphrey ian ida imogen ingrid irene
iris irma isaac isabel isidore ivan jack jacob jacqueline james jane janet jasmine jason jasper
jean jemima jennifer jeremy jerome jessica joan joanna jocelyn john jonathan joseph josephine
joshua joyce judith julia julian juliet justin karen karl katherine keith kenneth kevin kirsten
lambert laura laurence lavinia leah leo leonard leonora leopold leslie lewis lilian linda lionel
louis louisa lucas lucian lucinda lucy luther lydia mabel madeleine magnus malcolm marcus margaret
marian marina marion mark marjorie marshall martha martin mary matilda matthew maude maurice
maximilian melanie melissa mercy michael mildred millicent miranda miriam mona monica morgan morris
muriel myra nadia nancy naomi natalie nathan neil nicholas nina noah nora norbert norman octavia
olive oliver olivia oscar oswald owen pamela patience patricia patrick paul paula penelope percival
peter philip phoebe phyllis priscilla quentin rachel ralph ramona raymond rebecca reginald richard
rita robert robin roderick roger roland rosalind rose rosemary rowan roxanne rufus rupert russell
ruth sabina sally samantha samuel sarah sebastian selina serena sheila sibyl sidney sigmund silvia
simon solomon sonia sophia stanley stella stephen stuart susan sylvester sylvia tabitha tamara
terence teresa thelma theodora theodore thomas timothy tobias trevor tristan ursula valentine
valerie vanessa vera verena vernon veronica victor victoria vincent viola violet virginia vivian
walter warren wendy wilfred wilhelmina william winifred winston xavier yolanda yvonne zachary zoe
""".split()  # noqa: SIM905
LETTERS = ".abcdefghijklmnopqrstuvwxyz"  # the dot stands before a name and after it
LONGEST = max(map(len, NAMES)) + 1

Numbers = NDArray[np.int64]


def as_sequences(names: list[str]) -> tuple[Numbers, Numbers]:
    """Return what is read and what follows, (names, LONGEST) each; -1 is where the name is over."""
    read, follows = np.zeros((len(names), LONGEST), int), np.full((len(names), LONGEST), -1)
    for k, name in enumerate(names):
        numbers = [LETTERS.index(letter) for letter in f".{name}."]
        read[k, : len(name) + 1], follows[k, : len(name) + 1] = numbers[:-1], numbers[1:]
    return read, follows


def as_triples(names: list[str]) -> tuple[Numbers, Numbers]:
    """Return three characters a row, and the one that follows."""
    rows = [[LETTERS.index(letter) for letter in f"...{name}."] for name in names]
    triples = [(row[k : k + 3], row[k + 3]) for row in rows for k in range(len(row) - 3)]
    return np.array([read for read, _ in triples]), np.array([next for _, next in triples])


def invent(model: Module, width: int | None, count: int, rng: np.random.Generator) -> list[str]:
    """Draw names from a network that sees so many characters, or all."""
    names = []
    for _ in range(count):
        name = "." if width is None else "." * width
        while len(name) < 20 and (name[-1] != "." or not name.strip(".")):
            seen = name if width is None else name[-width:]
            logits = model.predict(np.array([[LETTERS.index(letter) for letter in seen]]))
            chances = np.asarray(
                softmax(logits.reshape(-1, 27)[-1] / 0.7)
            )  # a little bolder than it is
            name += str(rng.choice(list(LETTERS), p=chances))
        names.append(name.strip("."))
    return names


def draw(model: Module, name: str) -> None:
    """Draw what a network expects after each character of a name, the darker the likelier."""
    read = np.array([[LETTERS.index(letter) for letter in f".{name}"]])
    chances = np.asarray(softmax(model.predict(read)[0]))
    figure = Figure(figsize=(5, 7), layout="constrained")
    ax = figure.subplots()
    ax.imshow(chances.T, cmap="Greys", aspect="auto", vmin=0, vmax=0.7)
    for k, letter in enumerate(f"{name}."):  # what did come
        ax.text(k, LETTERS.index(letter), letter, color="#D55E00", ha="center", va="center")
    ax.set_xticks(range(len(name) + 1), ["start", *name])
    ax.set_yticks(range(27), ["end", *LETTERS[1:]])
    ax.set(xlabel="after this letter", ylabel="it expects this one")
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "names.png", dpi=150)


def cost_of_pairs(names: list[str], held_out: list[str]) -> float:
    """Return the cost of a guess from one character, by counting pairs; each counts once more."""
    counts = np.ones((27, 27))
    read, follows = as_triples(names)
    np.add.at(counts, (read[:, -1], follows), 1)
    chances = counts / counts.sum(axis=1, keepdims=True)
    read, follows = as_triples(held_out)
    return float(-np.mean(np.log(chances[read[:, -1], follows])))


def main() -> None:
    """Train both networks, let each invent names, and draw the letters."""
    parser = argparse.ArgumentParser(description="Invent names, character by character.")
    parser.add_argument("--epochs", type=int, default=20, help="(default: 20)")
    epochs = parser.parse_args().epochs

    rng = np.random.default_rng(0)
    order = [str(name) for name in rng.permutation(NAMES)]
    names, held_out = order[:-40], order[-40:]
    mlp = Sequential(
        Embedding(27, 8, rng=rng), Flatten(), Dropout(0.2, rng=rng),
        Linear(24, 64, rng=rng), Tanh(), Dropout(0.2, rng=rng), Linear(64, 27, rng=rng),
    )  # fmt: skip
    gru = Sequential(
        Embedding(27, 8, rng=rng), GRU(8, 32, rng=rng), Outputs(), Dropout(0.5, rng=rng),
        Linear(32, 27, rng=rng),
    )  # fmt: skip
    loss = SoftmaxCrossEntropy(ignore_index=-1)
    print(f"{len(names)} names to learn from, {len(held_out)} held out")
    print(f"cost of a character, by counting pairs  {cost_of_pairs(names, held_out):.3f}")
    for title, model, shape, size in (
        ("from three characters", mlp, as_triples, 32),
        ("from all before", gru, as_sequences, 16),
    ):
        (read, follows), (new, truth) = shape(names), shape(held_out)
        optimizer = optim.AdamW(lr=optim.one_cycle(0.01, epochs * -(-len(read) // size)))
        fit(
            model, read, follows, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=size,
            seed=0,
        )  # fmt: skip
        print(f"\n{f'cost, {title}':<40}{float(loss(model.predict(new), truth)):.3f}")
        print(" ".join(invent(model, 3 if model is mlp else None, 12, rng)))
    draw(gru, "christina")
    print(f"\nWhat the second expects, letter by letter, is in {PLOTS / 'names.png'}")


if __name__ == "__main__":
    main()
