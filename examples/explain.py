"""Follow every number of one forward and one backward pass, and find where one comes from.

    python examples/explain.py

XOR, "one or the other, but not both", on the smallest network that can learn it. What is printed is
the whole of backpropagation for its four examples, in the letters of the course: each line is a
formula in NumPy, and below it are the numbers that it gives. The gradients are then checked in the
only way that needs no calculus: each weight is moved a little, and the cost is computed again.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from autonn import CrossEntropy, Layer, Sequential, Sigmoid, explain

PLOTS = Path("plots")
X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([[0.0], [1.0], [1.0], [0.0]])
STEP = 1e-5


def by_moving(model: Sequential, k: int, row: int, column: int) -> float:
    """Return the slope of the cost for one number of Theta k, from two costs beside each other."""
    layer, costs = model[2 * (k - 1)], []
    for move in (STEP, -STEP):
        before = layer.theta
        moved = before.copy()
        moved[row, column] += move
        layer.theta = moved
        costs.append(CrossEntropy()(model(X), y).item())
        layer.theta = before
    return float(costs[0] - costs[1]) / (2 * STEP)


def main() -> None:
    """Explain the passes, one number, and a formula that is run; check, and draw."""
    rng = np.random.default_rng(1)
    model = Sequential(Layer(2, 2, rng=rng), Sigmoid(), Layer(2, 1, rng=rng), Sigmoid())
    told = explain(model, X, y, loss=CrossEntropy())
    print(told)

    print("\nWhere one number comes from:\n")
    print(told.of("dJ/dTheta1[0, 2]"))
    print(told.of("delta2[3, 0]"))

    step = told["delta2"]
    run = eval(step.formula, told.names)  # a formula is Python, and told.names is all it needs
    print(f"\nrun as printed, {step.formula} differs by {np.abs(run - step.value).max():.0e}")

    gradients = {k: told[f"dJ/dTheta{k}"].value for k in (1, 2)}
    off = max(
        abs(by_moving(model, k, *place) - slope)
        for k, gradient in gradients.items()
        for place, slope in np.ndenumerate(gradient)
    )
    print(f"moved by {STEP:.0e} each, the 9 weights have these slopes to within {off:.0e}")

    figure = Figure(figsize=(8, 4.6), layout="constrained")
    told.figure(example=1, ax=figure.subplots())
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / "explain.png", dpi=150)
    print(f"\nThe network with the numbers of the second example is in {PLOTS / 'explain.png'}")


if __name__ == "__main__":
    main()
