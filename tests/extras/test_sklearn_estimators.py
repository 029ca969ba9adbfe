"""Estimators: scikit-learn's own checks, and its tools on top of them, one by one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

if os.environ.get("SCIPY_ARRAY_API") != "1":  # read when SciPy is imported
    pytest.skip("scikit-learn's checks ask for SCIPY_ARRAY_API=1", allow_module_level=True)
pytest.importorskip("sklearn", reason="the extra `sklearn` is not installed")
joblib: Any = pytest.importorskip("joblib", reason="comes with scikit-learn")
pd = pytest.importorskip("pandas", reason="frames are checked too: install pandas")

from sklearn import (  # noqa: E402
    base,
    calibration,
    compose,
    config_context,
    ensemble,
    exceptions,
    inspection,
    model_selection,
    multiclass,
    pipeline,
    preprocessing,
)
from sklearn.datasets import load_iris, make_regression  # noqa: E402
from sklearn.experimental import enable_halving_search_cv  # noqa: E402, F401
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402

from autonn import (  # noqa: E402
    CrossEntropy,
    Layer,
    Module,
    Sequential,
    Sigmoid,
    Softmax,
    optim,
)
from autonn.sklearn import NetClassifier, NetRegressor, Network, mlp  # noqa: E402
from autonn.threads import cores  # noqa: E402

X, Y = load_iris(return_X_y=True)
X = preprocessing.StandardScaler().fit_transform(X)
NAMES = np.array(["setosa", "versicolor", "virginica"])
small = Network(mlp, hidden=(8,))


def net(**settings: Any) -> Any:
    usual: dict[str, Any] = {"network": small, "epochs": 15, "random_state": 0}
    usual["optimizer"] = optim.Adam(lr=0.05)
    return NetClassifier(**usual | settings)


def regressor(**settings: Any) -> Any:
    usual: dict[str, Any] = {"network": small, "epochs": 25, "random_state": 0}
    usual["optimizer"] = optim.Adam(lr=0.05)
    return NetRegressor(**usual | settings)


# ---- scikit-learn's own checks


CHECKS = [
    pytest.param(*pair, id=f"{type(made).__name__}-{number}-{pair[1].func.__name__}")
    for made in (NetClassifier(batch_size=64, epochs=30), NetRegressor(batch_size=64, epochs=30))
    for number, pair in enumerate(estimator_checks_generator(made))
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_the_checks_of_scikit_learn(estimator: Any, check: Callable[[Any], None]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those that the checks ask for, and see to
        check(estimator)


# ---- what it is to be an estimator


def test_nothing_is_learned_nor_pretended_before_fit() -> None:
    made = net()
    assert [name for name in vars(made) if name.endswith("_") or name.startswith("_")] == []
    with pytest.raises(exceptions.NotFittedError):
        made.predict(X)
    before = made.get_params()
    made.fit(X, Y)
    assert all(
        made.get_params()[name] is value for name, value in before.items() if "__" not in name
    )


def test_the_same_seed_gives_the_same_bits_after_clone_and_pickle() -> None:
    first = net(batch_size=32).fit(X, Y)
    expected = first.predict_proba(X)
    for twin in (base.clone(first), pickle.loads(pickle.dumps(net(batch_size=32)))):
        np.testing.assert_array_equal(twin.fit(X, Y).predict_proba(X), expected)
    loaded = pickle.loads(pickle.dumps(first))
    np.testing.assert_array_equal(loaded.predict_proba(X), expected)
    again = [made.partial_fit(X, Y).predict_proba(X) for made in (first, loaded)]
    np.testing.assert_array_equal(again[0], again[1])
    assert first.optimizer_.parameters[0] is first.network_.parameters()[0]


def test_it_goes_through_files_and_a_lambda_to_other_processes(tmp_path: Path) -> None:
    made = net().fit(X, NAMES[Y])
    joblib.dump(made, tmp_path / "net.joblib")
    loaded = joblib.load(tmp_path / "net.joblib")
    np.testing.assert_array_equal(loaded.predict_proba(X), made.predict_proba(X))
    cloudpickle = pytest.importorskip("cloudpickle", reason="comes with Dask")
    own = net(network=lambda inputs, outputs, rng: mlp(inputs, outputs, hidden=(8,), rng=rng))
    sent = cloudpickle.loads(cloudpickle.dumps(own.fit(X, NAMES[Y])))
    np.testing.assert_array_equal(sent.predict_proba(X), made.predict_proba(X))


def test_each_worker_of_loky_has_its_share_of_the_cores() -> None:
    found = joblib.Parallel(n_jobs=2)(joblib.delayed(cores)() for _ in range(2))
    assert found == [max(1, joblib.cpu_count() // 2)] * 2


def test_weights_count_as_rows_that_are_repeated() -> None:
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 4, len(X))
    repeated = np.repeat(np.arange(len(X)), weights)
    for make, y in ((net, Y), (regressor, X[:, 0] * Y)):
        one = make(l2=3.0, batch_size=None).fit(X, y, sample_weight=weights)
        other = make(l2=3.0, batch_size=None).fit(X[repeated], y[repeated])
        np.testing.assert_allclose(
            one.network_.predict(X), other.network_.predict(X), rtol=1e-6, atol=1e-8
        )


def test_classes_are_what_they_were_and_probabilities_are_float64() -> None:
    made = net(epochs=25).fit(X.astype(np.float32), NAMES[Y])
    assert made.classes_.tolist() == NAMES.tolist()
    assert made.score(X, NAMES[Y]) > 0.9
    single = net(network=Sequential(Layer(4, 3, rng=0, dtype=np.float32))).fit(X, Y)
    p = single.predict_proba(X)
    assert p.dtype == np.float64
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-14)
    assert single.network_[0].weight.dtype == np.float32


@pytest.mark.parametrize(
    ("network", "loss"),
    [
        (Sequential(Layer(4, 1, rng=0)), None),
        (Sequential(Layer(4, 1, rng=0), Sigmoid()), CrossEntropy()),
        (Sequential(Layer(4, 2, rng=0), Softmax()), None),
        (Sequential(Layer(4, 2, rng=0), Sigmoid()), CrossEntropy()),
        (Layer(4, 2, rng=0), "cross_entropy"),
    ],
)
def test_networks_may_end_in_logits_or_in_probabilities(network: Any, loss: Any) -> None:
    made = net(network=network, loss=loss, epochs=25, optimizer=optim.Adam(lr=0.5))
    made.fit(X, Y == 2)
    assert made.score(X, Y == 2) > 0.9
    p = made.predict_proba(X)
    assert p.shape == (150, 2)
    np.testing.assert_array_equal(made.classes_[p.argmax(1)], made.predict(X))


def test_a_network_that_is_given_stays_as_it_is() -> None:
    network = Sequential(Layer(4, 3, rng=0))
    before = network[0].weight.numpy()
    made = net(network=network).fit(X, Y)
    np.testing.assert_array_equal(network[0].weight.numpy(), before)
    assert not np.array_equal(made.network_[0].weight.numpy(), before)


def test_training_goes_on_where_it_is_asked_to() -> None:
    warm = net(warm_start=True, epochs=2)
    warm.fit(X, Y)
    own = warm.network_
    assert warm.fit(X, Y).network_ is own
    assert (warm.n_iter_, len(warm.loss_curve_)) == (4, 4)
    cold = net(epochs=2).fit(X, Y)
    own = cold.network_
    assert cold.fit(X, Y).network_ is not own
    part = net().partial_fit(X[:50], Y[:50], classes=[0, 1, 2])
    part.partial_fit(X, Y)
    assert part.n_iter_ == 2
    with pytest.raises(ValueError, match=r"classes \[7\]"):
        part.partial_fit(X[:2], [7, 0])


def test_rows_held_out_end_training_in_time() -> None:
    made = net(epochs=400, validation_fraction=0.2, patience=3, optimizer=optim.Adam(lr=0.3))
    made.fit(X, Y, sample_weight=np.ones(150))
    assert len(made.history_.validation_cost) == made.n_iter_ < 400
    with pytest.raises(ValueError, match="validation_fraction"):
        net(patience=3).fit(X, Y)


def test_regression_of_one_target_and_of_several() -> None:
    features, targets = make_regression(80, 4, n_targets=2, random_state=0)
    targets = targets / targets.std()
    both = regressor(epochs=200).fit(features, targets)
    assert both.predict(features).shape == (80, 2)
    assert both.score(features, targets) > 0.9
    assert regressor().fit(features, targets[:, 0]).predict(features).shape == (80,)
    assert regressor().fit(features, targets[:, :1]).predict(features).shape == (80, 1)


def test_what_it_cannot_take_is_said() -> None:
    with pytest.raises(TypeError, match=r"NetClassifier: network is 3; .*Network\(mlp"):
        net(network=3).fit(X, Y)
    with pytest.raises(TypeError, match="made a int; it makes a Module"):
        net(network=lambda inputs, outputs, rng: 3).fit(X, Y)
    with pytest.raises(ValueError, match=r"mlp takes no width; it takes inputs"):
        Network(mlp, width=3)
    with pytest.raises(ValueError, match="at least 0, not -1"):
        net().fit(X, Y, sample_weight=-np.ones(150))
    with pytest.raises(ValueError, match="NaN"):
        net().fit(np.where(X > 1, np.nan, X), Y)
    with pytest.raises(ValueError, match=r"loss 'mae' is not known"):
        net(loss="mae").fit(X, Y)


# ---- the tools on top

TOOLS: dict[str, Callable[[], Any]] = {
    "cross validation": lambda: model_selection.cross_val_score(net(epochs=25), X, Y).mean(),
    "predictions held out": lambda: np.mean(
        model_selection.cross_val_predict(net(epochs=25), X, Y, method="predict_proba").argmax(1)
        == Y
    ),
    "a pipeline": lambda: pipeline.make_pipeline(
        preprocessing.StandardScaler(), net(epochs=25)
    ).fit(X, NAMES[Y]).score(X, NAMES[Y]),
    "columns": lambda: pipeline.make_pipeline(
        compose.make_column_transformer((preprocessing.StandardScaler(), [0, 2, 3])),
        net(epochs=25),
    ).fit(pd.DataFrame(X), Y).score(pd.DataFrame(X), Y),
    "a grid": lambda: model_selection.GridSearchCV(
        net(optimizer=optim.Adam(lr=0.001), epochs=40),
        {"network__hidden": [(4,), (16,)], "optimizer__lr": [0.03, 0.0001], "l2": [0.1]},
        cv=2, n_jobs=2,
    ).fit(X, Y).best_score_,
    "a grid over what nothing was said of": lambda: model_selection.GridSearchCV(
        NetClassifier(epochs=30, random_state=0),
        {"optimizer__lr": [0.03, 0.0001], "network__hidden": [(5,)]}, cv=2,
    ).fit(X, Y).best_score_,
    "halving by epochs": lambda: model_selection.HalvingGridSearchCV(
        net(), {"optimizer__lr": [0.05, 0.0001]}, resource="epochs", max_resources=40,
        min_resources=20, cv=2,
    ).fit(X, Y).best_score_,
    "a random search": lambda: model_selection.RandomizedSearchCV(
        net(epochs=25), {"l2": [0.0, 0.1]}, n_iter=2, cv=2, random_state=0
    ).fit(X, Y).best_score_,
    "bagging": lambda: ensemble.BaggingClassifier(net(epochs=25), 2, random_state=0)
    .fit(X, Y).score(X, Y),
    "voting": lambda: ensemble.VotingClassifier(
        [("a", net(epochs=25)), ("b", net(epochs=25, l2=1.0))], voting="soft"
    ).fit(X, Y).score(X, Y),
    "stacking": lambda: ensemble.StackingClassifier([("a", net(epochs=25))], cv=2)
    .fit(X, Y).score(X, Y),
    "boosting": lambda: ensemble.AdaBoostClassifier(net(epochs=25), n_estimators=2)
    .fit(X, Y).score(X, Y),
    "calibration": lambda: calibration.CalibratedClassifierCV(net(epochs=25), cv=2)
    .fit(X, Y).score(X, Y),
    "one against the rest": lambda: multiclass.OneVsRestClassifier(net(epochs=25))
    .fit(X, Y).score(X, Y),
    "a learning curve": lambda: model_selection.learning_curve(
        net(epochs=25), X, Y, cv=2, train_sizes=[0.9], shuffle=True, random_state=0
    )[2].mean(),
    "importances": lambda: 1 - inspection.permutation_importance(
        net(epochs=25).fit(X, Y), X, Y, n_repeats=1, random_state=0
    ).importances_mean[1],
    "a target that is scaled": lambda: compose.TransformedTargetRegressor(
        regressor(), transformer=preprocessing.StandardScaler()
    ).fit(X[:, :3], 100 * X[:, 3] + 7).score(X[:, :3], 100 * X[:, 3] + 7),
    "balanced classes": lambda: net(epochs=25, class_weight="balanced").fit(X, Y).score(X, Y),
    "weights of classes": lambda: net(epochs=25, class_weight={"setosa": 2.0})
    .fit(X, NAMES[Y]).score(X, NAMES[Y]),
    "L-BFGS": lambda: net(optimizer="lbfgs", epochs=25).fit(X, Y).score(X, Y),
}  # fmt: skip


@pytest.mark.parametrize("tool", TOOLS)
def test_a_tool_of_scikit_learn_takes_it(tool: str) -> None:
    assert TOOLS[tool]() > 0.8


def test_weights_are_routed() -> None:
    with config_context(enable_metadata_routing=True):
        asks = net().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = model_selection.cross_validate(
            asks, X, Y, params={"sample_weight": np.ones(150)}, cv=2
        )
    assert len(found["test_score"]) == 2


def test_frames_keep_the_names_of_their_columns() -> None:
    frame = pd.DataFrame(X, columns=list("abcd"))
    made = net().fit(frame, pd.Series(NAMES[Y]))
    assert made.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        made.predict(frame[list("dcba")])
    polars = pytest.importorskip("polars")
    names = net().fit(polars.DataFrame(X, schema=list("abcd")), Y).feature_names_in_
    assert names.tolist() == list("abcd")


def test_it_shows_itself() -> None:
    shown = " ".join(repr(net(optimizer=optim.Adam(lr=0.1))).split())
    assert shown == (
        "NetClassifier(epochs=15, network=Network(mlp, hidden=(8,)), optimizer=Adam(lr=0.1), "
        "random_state=0)"
    )
    assert "NetClassifier" in net()._repr_html_()
    assert {"optimizer__lr", "network__hidden", "network__build"} <= set(
        net(optimizer=optim.Adam()).get_params()
    )


def test_threads_beside_each_other_do_not_disturb() -> None:
    expected = net().fit(X, Y).predict_proba(X)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(net().fit(X, Y).predict_proba(X)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for p in found:
        np.testing.assert_array_equal(p, expected)


# ---- Ctrl-C

SEARCH = """
import os, signal, sys
import numpy as np
from sklearn.model_selection import GridSearchCV
from autonn.sklearn import NetClassifier

def stop(history):
    if len(history) == 5:
        os.kill(os.getpid(), number)

rng = np.random.default_rng(0)
X, y = rng.standard_normal((60, 4)), rng.integers(0, 2, 60)
for number in (signal.SIGINT, signal.SIGTERM):
    search = GridSearchCV(NetClassifier(callbacks=[stop]), {"l2": [0.0, 1.0, 2.0]}, cv=2)
    try:
        search.fit(X, y)
    except KeyboardInterrupt:
        print("ended", hasattr(search, "best_score_"))
"""


def test_an_interrupt_ends_the_search() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SEARCH], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == ["ended False"] * 2, done.stderr


class Wide(Module):
    """A network written as a class, with a layer of its own for each side."""

    def __init__(self, inputs: int, outputs: int, *, rng: Any) -> None:
        self.left = Layer(inputs, outputs, rng=rng)
        self.right = Layer(inputs, outputs, rng=rng)

    def forward(self, x: Any) -> Any:
        """Add both."""
        return self.left(x) + np.tanh(self.right(x))


def test_a_class_of_ones_own_is_a_way_to_make_it() -> None:
    assert net(network=Wide, epochs=25).fit(X, Y).score(X, Y) > 0.9
