"""What users of other libraries write: functions, keywords and methods, as NumPy has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy
from scipy import special
from tools.oprows import Array
from tools.refusals import assert_refused

import autonn
from autonn import Tensor, compile, grad, gradcheck, no_grad
from autonn.compiler.trace import trace
from autonn.engine import ops
from autonn.engine.modes import TracedValueError
from autonn.engine.tensor import implementations

# ---- nothing that is promised is missing

NUMPY = """linspace logspace geomspace meshgrid atleast_1d atleast_2d atleast_3d append insert
delete diff ediff1d bincount real imag copy full_like empty_like zeros_like ones_like median
percentile quantile nan_to_num column_stack ix_ apply_along_axis average cross kron cov corrcoef
convolve correlate interp trapezoid gradient rot90 fliplr flipud block sinc fmax fmin nansum nanmean
nanmax nanmin nanvar nanstd nanprod nancumsum nancumprod polyfit polyval mod remainder fmod
floor_divide
divmod float_power degrees radians deg2rad rad2deg logaddexp2 dsplit hsplit vsplit dstack
broadcast_arrays searchsorted digitize unique partition argpartition select choose ptp vander resize
extract compress conj fix modf pad rollaxis concat permute_dims matrix_transpose vecdot nonzero
argwhere flatnonzero isin i0"""

LINALG = """svd svdvals eigh eigvalsh qr pinv lstsq matrix_power multi_dot cond matrix_rank trace
diagonal norm vector_norm matrix_norm cross outer matmul tensordot vecdot matrix_transpose"""

SPECIAL = """gammaln gamma rgamma beta betaln psi digamma erf erfc erfcx erfcinv erfinv logit expit
xlogy xlog1py entr rel_entr kl_div i0 i0e i1 i1e j0 j1 y0 y1 k0 k1 jv yv iv kv ive gammainc
gammaincc betainc ndtr ndtri log_ndtr log_expit dawsn expi exp1 exp10 exp2 expm1 log1p cbrt huber
pseudo_huber"""

OURS = """polygamma expm sqrtm solve_triangular cho_solve block_diag norm_logpdf norm_pdf norm_cdf
norm_logcdf multivariate_normal_logpdf"""

ATTRIBUTES = """flatten copy tolist nonzero real imag conj conjugate mT T argpartition searchsorted
compress choose __mod__ __rmod__ __floordiv__ __rfloordiv__ __divmod__ __rdivmod__ __round__
__iadd__ __isub__ __imul__ __itruediv__"""


@pytest.mark.parametrize(
    ("home", "names"), [(np, NUMPY), (np.linalg, LINALG), (special, SPECIAL)], ids=str
)
def test_what_other_libraries_have_is_here(home: Any, names: str) -> None:
    missing = [name for name in names.split() if getattr(home, name) not in implementations]
    assert missing == []


def test_what_scipy_has_on_arrays_alone_and_what_arrays_have_is_here() -> None:
    assert [name for name in OURS.split() if name not in ops.__all__] == []
    assert [name for name in ATTRIBUTES.split() if not hasattr(Tensor, name)] == []


# ---- with all the dtypes and edges that NumPy has

A = np.array([[0.3, -1.2, 0.7], [1.4, 0.2, -0.6]])
NAN = np.where(A > 1, np.nan, A)
EMPTY = np.zeros((0, 3))

LIKE_NUMPY: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    *((lambda x, f=f: f(x), (A,)) for f in (np.real, np.imag, np.conj, np.copy, np.fliplr)),
    *((lambda x, f=f: f(x), (np.arange(6).reshape(2, 3),)) for f in (
        np.median, np.ptp, np.diff, np.cumsum, np.cov, np.average, np.rot90, np.fix, np.copy,
        np.nan_to_num, np.trapezoid, np.sinc, np.nansum, np.nanmean, np.var,
    )),
    *((lambda x, f=f: f(x, axis=1), (NAN,)) for f in (
        np.nansum, np.nanprod, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.nanmin, np.median,
        np.nancumsum,
    )),
    *((lambda x, f=f: f(x, axis=0, keepdims=True), (NAN,)) for f in (
        np.nansum, np.nanmean, np.nanvar, np.nanstd, np.nanmax, np.median, np.ptp,
    )),
    *((lambda x, f=f: f(x, axis=1), (EMPTY,)) for f in (np.sum, np.prod, np.nansum, np.ptp)),
    *((lambda x, m=m: np.quantile(x, [0.1, 0.5, 0.77], axis=1, method=m), (A,)) for m in (
        "linear", "lower", "higher", "nearest", "midpoint", "hazen", "weibull", "median_unbiased",
        "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    )),
    *((lambda x, o=o: np.ravel(x, order=o), (np.asfortranarray(A),)) for o in "CFA"),
    *((lambda x, o=o: np.reshape(x, (3, 2), order=o), (np.asfortranarray(A),)) for o in "CFA"),
    *((lambda x, o=o: x.flatten(o), (A.T,)) for o in "CFA"),
    *((lambda x, k=k: np.max(x, axis=k, initial=0.5), (A,)) for k in (None, 0, 1, (0, 1))),
    *((lambda x, k=k: np.min(x, axis=k, initial=0, where=x > 0), (A,)) for k in (None, 0, 1)),
    *((lambda x, k=k: np.sum(x, k, np.float32), (A,)) for k in (None, 0, 1)),
    *((lambda x, y, f=f: f(x, y), (A, -0.4)) for f in (
        np.mod, np.fmod, np.floor_divide, np.float_power, np.fmax, np.fmin, np.logaddexp2,
        lambda x, y: x % y, lambda x, y: x // y, lambda x, y: y % x, lambda x, y: y // x,
        lambda x, y: divmod(x, y)[0], lambda x, y: divmod(y, x)[1],
    ) if f is not np.float_power),
    *((lambda x, f=f: f(x, axis=1, ddof=1), (NAN,)) for f in (np.nanvar, np.nanstd)),
    *((lambda x, f=f: f(x, ddof=1, where=x < 1, keepdims=True), (A,)) for f in (np.var, np.std)),
    *((lambda x, f=f: f(x, axis=1, mean=np.ones((2, 1)), correction=1), (A,)) for f in (
        np.var, np.std,
    )),
    (lambda x: np.max(x, axis=0, initial=1.5), (EMPTY,)),
    (lambda x: np.percentile(x, 30), (A,)),
    (lambda x: np.take(x, [7, -8], mode="wrap"), (A,)),
    (lambda x: np.take(x, [[7, -8]], axis=1, mode="clip"), (A,)),
    (lambda x: np.clip(x, None, 3), (np.arange(6),)),
    # The keyword's name came with NumPy 2.1.
    *([(lambda x: np.clip(x, min=0), (A,))] if hasattr(np, "unstack") else []),
    (lambda x: np.sort(x, axis=None, kind="heapsort"), (A,)),
    (lambda x: np.argsort(x, kind="stable"), (A,)),
    (lambda x: np.where(x > 0)[1], (A,)),
    (lambda x: np.searchsorted(x, [0.1, 0.5]), (np.sort(A[0]),)),
    (lambda x: np.digitize(x, [0.0, 1.0]), (A,)),
    (lambda x: np.argpartition(x, 1)[..., 1], (A,)),
    (lambda x: np.bincount([0, 2, 2], weights=x, minlength=5), (A[0],)),
    (lambda x: np.bincount([[0, 1], [1, 1]][0], x[:2]), (A[0],)),
    (lambda x: np.unique(x, return_counts=True)[1], (np.round(A),)),
    (lambda x: np.unique(x, axis=0), (A,)),
    (lambda x: np.insert(x, [1, 1, 3], [5.0, 6.0, 7.0]), (A[0],)),
    (lambda x: np.insert(x, 1, 9, axis=0), (A,)),
    (lambda x: np.delete(x, slice(0, 2), axis=1), (A,)),
    (lambda x: np.delete(x, np.array([True, False, False]), axis=1), (A,)),
    (lambda x: np.linspace(0, x, 3, retstep=True)[1], (A,)),
    (lambda x: np.linspace(x, 5, 1), (A,)),
    (lambda x: np.linspace(x, 5, 0), (A,)),
    (lambda x: np.full_like(x, 3), (A,)),
    (lambda x: np.full_like(x, 3.7, dtype=int, shape=(2,)), (A,)),
    (lambda x: np.zeros_like(x, shape=(4,)), (A,)),
    (lambda x: np.average(x, axis=1, weights=[1, 2, 1], returned=True)[1], (A,)),
    (lambda x: np.cov(x, fweights=[1, 2, 1]), (A,)),
    (lambda x: np.cov(x[0], x[1], ddof=0), (A,)),
    (lambda x: np.corrcoef(x), (A,)),
    (lambda x: np.gradient(x), (np.arange(6) ** 2,)),
    (lambda x: np.gradient(x, 0.5, [0.0, 1.0, 3.0])[1], (A,)),
    (lambda x: np.interp(x, [0.0, 1.0, 2.0], [3.0, 5.0, 4.0], left=-1.0), (A,)),
    (lambda x: np.interp(x, [0.0, 1.0, 1.4], [3.0, 5.0, 4.0], right=-1.0), (A,)),
    (lambda x: np.nan_to_num(x, nan=2.0, posinf=3.0), (np.array([np.nan, np.inf, -np.inf, 1.0]),)),
    (lambda x: np.cross([1.0, 2.0, 3.0], x), (A,)),
    (lambda x: np.block([[x], [np.ones(3)]]), (A,)),
    (lambda x: np.kron([1.0, 2.0], x), (A,)),
    (lambda x: np.polyval([1.0, 2.0, 3.0], x), (A,)),
    (lambda x: np.linalg.norm(x, "fro"), (A,)),
    (lambda x: np.linalg.matrix_rank(x), (A,)),
    (lambda x: np.linalg.qr(x).R, (A,)),
    (lambda x: np.linalg.eigvalsh(x @ x.T), (A,)),
    (lambda x: np.maximum.accumulate(x, axis=1), (A,)),
    (lambda x: np.minimum.accumulate(x), (A,)),
    (lambda x: np.logical_and.reduce(x > 0, axis=1), (A,)),
    (lambda x: np.pad(x, [[1], [2]], "median"), (A,)),
    (lambda x: np.pad(x, 1, "minimum"), (A,)),
    (lambda x: np.split(x, np.int64(3), axis=np.int64(1))[2], (A,)),
    (lambda x: np.tile(x, (np.int64(2), np.int64(1))), (A,)),
    (lambda x: np.tensordot(x, x, (np.int64(1), np.int64(1))), (A,)),
    (lambda x: x[np.int64(1)][np.int64(0) : np.int64(2)], (A,)),
    (lambda x: np.moveaxis(x, np.int64(0), np.int64(1)), (A,)),
    (lambda x: np.sum(x, axis=(np.int64(0),)), (A,)),
    (lambda x: np.linalg.vector_norm(x, axis=1, ord=np.inf), (A,)),
    (lambda x: np.array(x.tolist()), (A,)),
]  # fmt: skip


@pytest.mark.parametrize(("f", "args"), LIKE_NUMPY)
def test_it_has_the_value_shape_and_dtype_of_numpys(f: Callable[..., Any], args: Any) -> None:
    with np.errstate(all="ignore"):
        expected = np.asarray(f(*args))
        result = f(*(Tensor(a, copy=False) if isinstance(a, np.ndarray) else a for a in args))
    got = result.data if isinstance(result, Tensor) else np.asarray(result)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-15)


# ---- conventions at kinks


def slope(f: Callable[..., Any], *x: Any) -> Any:
    found = grad(f, tuple(range(len(x))))(*(np.array(a, float) for a in x))
    return [g.tolist() for g in found] if len(x) > 1 else found[0].tolist()


def test_whole_quotients_have_no_slope_and_remainders_that_of_their_parts() -> None:
    assert slope(np.floor_divide, 7.0, 2.0) == [0, 0]
    assert slope(np.mod, 7.5, 2.0) == [1, -3]
    assert slope(np.mod, -7.5, 2.0) == [1, 4]
    assert slope(np.fmod, -7.5, 2.0) == [1, 3]
    assert slope(lambda x, y: sum(divmod(x, y)), 7.5, 2.0) == [1, -3]


def test_equal_operands_of_fmax_share_and_a_number_beats_nan() -> None:
    assert slope(np.fmax, 1.0, 1.0) == [0.5, 0.5]
    assert slope(np.fmin, np.nan, 2.0) == [0, 1]
    assert slope(np.fmax, 2.0, np.nan) == [1, 0]


def test_singular_values_of_zero_have_no_slope() -> None:
    assert slope(lambda x: np.linalg.norm(x, "nuc"), np.zeros((2, 2))) == [[0, 0], [0, 0]]
    assert slope(lambda x: np.linalg.norm(x, 2), np.diag([3.0, 0.0])) == [[1, 0], [0, 0]]


def test_equal_singular_values_and_eigenvalues_have_the_slope_of_what_they_add_up_to() -> None:
    assert slope(lambda x: np.sum(np.linalg.svdvals(x)), np.eye(3)) == np.eye(3).tolist()
    assert slope(lambda x: np.sum(np.linalg.eigvalsh(x)), np.eye(3)) == np.eye(3).tolist()
    assert slope(lambda x: np.sum(np.linalg.svd(x).S), 2 * np.eye(2)) == np.eye(2).tolist()


def test_what_is_zero_stays_zero_where_a_slope_is_infinite() -> None:
    x = np.array([0.0, 0.5])
    for f in (special.logit, special.entr, special.ndtri, lambda t: special.xlogy(t, t)):
        with np.errstate(all="ignore"):
            assert grad(lambda t, f=f: np.sum(np.where(t > 0, f(t), 0)))(x)[0] == 0


def test_a_median_goes_to_the_elements_in_the_middle() -> None:
    assert slope(np.median, [3.0, 1.0, 2.0, 9.0]) == [0.5, 0, 0.5, 0]
    assert slope(lambda x: np.quantile(x, 0.25), [3.0, 1.0, 2.0, 9.0]) == [0, 0.25, 0.75, 0]


def test_the_slope_at_a_point_of_interp_is_that_on_its_right() -> None:
    f = lambda x: np.interp(x, [0.0, 1.0, 2.0], [0.0, 1.0, 5.0])  # noqa: E731
    assert [slope(f, x) for x in (-1.0, 0.0, 1.0, 1.5, 2.0, 3.0)] == [0, 1, 4, 4, 0, 0]


# ---- what had a value and no gradient


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (lambda x, y: np.einsum("ij,ij->i", x, y), (np.ones((3, 4)), np.ones((3, 1)))),
        (lambda x, y: np.einsum("ij,ij,i->j", x, y, [1, 2, 3]), (np.ones((1, 4)), np.ones((3, 1)))),
        (lambda x, y: np.einsum("ii,i", x, y), (np.eye(3) + 1, np.ones(1))),
        (lambda x: np.transpose(x, 0), (A[0],)),
        (lambda x: np.transpose(x, [1, 0]), (A,)),
        (lambda x: np.roll(x, [1, 2], [0, 1]), (A,)),
        (lambda x: x ** [1, 2, 3], (A + 2,)),
        (lambda x: x @ [1, 2, 3], (A,)),
        (lambda x: [1, 2] @ x, (A,)),
        (lambda x: np.dot([[1.0, 2.0]], x), (A,)),
        (lambda x: np.logaddexp(x, [1, 2, 3]), (A,)),
        (lambda x: np.linalg.solve([[2.0, 1.0], [0.0, 1.0]], x), (A,)),
        (lambda a, b: np.linalg.solve(a, b), (np.stack([np.eye(3) + 1, 2 * np.eye(3)]), A[0])),
        (lambda a: np.linalg.cholesky(a, upper=True), (np.eye(3) * 3 + 1,)),
        (lambda x: np.take_along_axis(x, np.array([[0, 2]]), axis=1), (A,)),
        (lambda x: np.take_along_axis(x, np.array([[0, 2], [1, 1]]), axis=1), (A[:1],)),
        (lambda x: x[[]], (A,)),
        (lambda x: np.repeat(x, 3, axis=0), (np.array(2.0),)),
        (lambda x: np.cumprod(x, axis=0), (np.array(2.0),)),
        *((lambda x, f=f: f(x, axis=0), (np.array(2.0),)) for f in (
            np.sum, np.prod, np.max, np.min, autonn.softmax, autonn.log_softmax, autonn.logsumexp)),
        *((lambda x, f=f: f(x, axis=-1, keepdims=True), (np.array(2.0),)) for f in (
            np.sum, np.max, autonn.logsumexp)),
    ],
)  # fmt: skip
def test_what_numpy_takes_has_a_gradient(f: Callable[..., Any], args: tuple[Array, ...]) -> None:
    tensors = [Tensor(a, requires_grad=True) for a in args]
    expected = np.asarray(f(*args))
    result = f(*tensors)
    assert result.shape == expected.shape
    np.testing.assert_allclose(result.data, expected, rtol=1e-14)
    assert gradcheck(f, *args, order=2)


def test_spread_of_nothing_has_an_empty_gradient() -> None:
    for f in (np.var, np.std):
        for axis in (None, 0, 1):
            x = Tensor(np.zeros((0, 3)), requires_grad=True)
            with (
                np.errstate(all="ignore"),
                pytest.warns(RuntimeWarning) if axis != 1 else no_grad(),
            ):
                value = f(x, axis=axis)
            assert value.shape == np.zeros((0, 3)).sum(axis).shape


@pytest.mark.parametrize("y", [1 / 3, 3e39, 1e-40])
def test_a_python_number_beside_an_array_keeps_its_digits(y: float) -> None:
    x = np.array([0.3, 2.0, 1e30]) * y
    for f, by_x in (
        (np.hypot, x / np.hypot(x, y)),
        (np.arctan2, y / np.hypot(x, y) / np.hypot(x, y)),
        (np.divide, np.full(3, 1 / y)),
    ):
        gradient = lambda x, f=f: np.sum(f(x, y))  # noqa: E731
        np.testing.assert_allclose(grad(gradient)(x), by_x, rtol=1e-15)
        np.testing.assert_allclose(compile(grad(gradient))(x), by_x, rtol=1e-15)


def test_a_power_of_zero_below_zero_has_no_slope() -> None:
    with np.errstate(all="ignore"):
        assert np.isnan(slope(lambda y: 0.0**y, -1.0))


# ---- refusals name the function and the cure

X = Tensor(A, requires_grad=True)
S = Tensor(2.0, requires_grad=True)

REFUSED: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    *(
        (call, TypeError, ["np.stack", "np.concatenate"])
        for call in (
            lambda: np.array([S, S]), lambda: np.sum([S, S]), lambda: np.mean([S, S]),
            lambda: np.max([S, S]), lambda: np.r_[X, X], lambda: np.c_[X, X],
            lambda: np.full((2,), S), lambda: np.asarray(X),
        )
    ),
    (lambda: special.logsumexp(X), TypeError, ["scipy.special.logsumexp", "autonn.logsumexp"]),
    (lambda: special.softmax(X), TypeError, ["scipy.special.softmax", "autonn.softmax"]),
    (lambda: special.polygamma(1, X), TypeError, ["ops.polygamma"]),
    (lambda: scipy.stats.norm.logpdf(X), TypeError, ["norm_logpdf"]),
    (lambda: scipy.stats.multivariate_normal.logpdf(X), TypeError, ["multivariate_normal_logpdf"]),
    (lambda: __import__("scipy.linalg").linalg.expm(X), TypeError, ["scipy.linalg.expm", "ops.ex"]),
    (lambda: special.airy(X), TypeError, ["scipy.special.airy"]),
    (lambda: special.zeta(X, 1.0), TypeError, ["scipy.special.zeta"]),
    (lambda: grad(lambda v: special.jv(v, 1.0))(0.5), TypeError, ["scipy.special.jv", "order"]),
    (lambda: grad(lambda a: special.gammainc(a, 1.0))(0.5), TypeError, ["gammainc", "first par"]),
    (lambda: np.nextafter(X, 1), TypeError, ["np.nextafter"]),
    (lambda: np.fft.fft(X), TypeError, ["np.fft.fft", "np.cos"]),
    (lambda: np.linalg.eig(X), TypeError, ["np.linalg.eig", "eigh"]),
    (lambda: np.roots(X[0]), TypeError, ["np.roots"]),
    (lambda: np.copyto(np.zeros(3), X[0]), TypeError, ["np.copyto", "np.where"]),
    (lambda: np.put(np.zeros(3), [0], S), TypeError, ["np.put", ".at["]),
    (lambda: np.sum(X, out=np.zeros(())), RuntimeError, ["np.sum", "out="]),
    (lambda: np.clip(X, 0, 1, out=np.zeros((2, 3))), RuntimeError, ["np.clip", "out="]),
    (lambda: np.max(X, where=A > 0), ValueError, ["max", "initial="]),
    (lambda: np.take(X, [0], axis=2), np.exceptions.AxisError, ["axis 2"]),
    (lambda: np.sort(X, axis=-3), np.exceptions.AxisError, ["axis -3"]),
    (lambda: np.sum(S, axis=1), np.exceptions.AxisError, ["axis 1"]),
    (lambda: np.array_split(X, 2, axis=2), np.exceptions.AxisError, ["axis 2"]),
    (lambda: X.take([0], mode="round"), ValueError, ["take", "'round'"]),
    (lambda: X.reshape(3, 2, order="K"), ValueError, ["order", "'K'"]),
    (lambda: np.linalg.norm(X[0], "fro"), ValueError, ["norm", "'fro'"]),
    (lambda: np.linalg.norm(X[None], 2), ValueError, ["norm", "3"]),
    (lambda: np.quantile(X, S), TypeError, ["quantile", "q"]),
    (lambda: np.interp(X, [0.0, 1.0], [0.0, 1.0], period=1), TypeError, ["period"]),
    (lambda: np.polyfit(X[0], X[1], 1, full=True), TypeError, ["polyfit"]),
    (lambda: np.gradient(X, edge_order=2), ValueError, ["gradient", "length 2"]),
    (lambda: np.fliplr(X[0]), ValueError, ["fliplr", "(3,)"]),
    (lambda: np.linalg.multi_dot([X]), ValueError, ["multi_dot"]),
    (lambda: np.linalg.qr(X.T, mode="complete"), TypeError, ["qr", "reduced"]),
    (lambda: Tensor([1, 2]) ** -1, ValueError, ["negative integer powers"]),
    (lambda: X[0].mT, ValueError, [".mT", "(3,)"]),
    (lambda: np.select([], []), ValueError, ["select"]),
    (lambda: range(Tensor(2.0)), TypeError, ["float64", "int(x.item())"]),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), REFUSED, ids=range(len(REFUSED)))
def test_a_refusal_names_the_function_and_the_cure(
    call: Callable[[], Any], error: type[Exception], words: list[str]
) -> None:
    assert_refused(call, error, words)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.unique(x),
        lambda x: np.where(x > 0),
        lambda x: np.ravel(x, order="A"),
        lambda x: np.linalg.lstsq(x, x, rcond=None)[0],
        lambda x: x.tolist(),
        lambda x: range(x.astype(int)[0, 0]),
        lambda x: np.bincount(x.astype(int)[0]),
    ],
)
def test_what_depends_on_values_is_refused_while_it_is_compiled(f: Any) -> None:
    with pytest.raises(TracedValueError, match=r"test_functions.py:\d+"):
        trace(f, A)


def test_an_integer_tensor_counts_and_indexes() -> None:
    n = Tensor(2)
    assert list(range(n)) == [0, 1]
    assert [7, 8, 9][n] == 9


def test_questions_take_tensors_by_name_and_in_lists() -> None:
    assert np.isclose(a=X, b=X).all()
    assert np.lexsort((X[0], X[1])).tolist() == np.lexsort((A[0], A[1])).tolist()
    assert np.searchsorted(a=np.array([0.0, 1.0]), v=S) == 2


def test_densities_are_scipys() -> None:
    x, c = np.array([[0.1, 2.0, -0.3], [1.0, 0.5, 0.2]]), np.eye(3) + 0.3
    for mean, cov in ((np.ones(3), c), (np.zeros(3), 2.0), (0.5, np.array([1.0, 2.0, 3.0]))):
        m = np.broadcast_to(mean, 3)
        expected = scipy.stats.multivariate_normal.logpdf(x, m, cov)
        np.testing.assert_allclose(ops.multivariate_normal_logpdf(x, mean, cov), expected)
    np.testing.assert_allclose(
        ops.multivariate_normal_pdf(x[0], np.ones(3), c),
        scipy.stats.multivariate_normal.pdf(x[0], np.ones(3), c),
    )
    np.testing.assert_allclose(
        ops.multivariate_normal_logpdf(x[0], 0.5, 2.0),
        scipy.stats.multivariate_normal.logpdf(x[0], 0.5, 2.0),
    )
    for ours, theirs in (
        (ops.norm_logpdf, scipy.stats.norm.logpdf), (ops.norm_pdf, scipy.stats.norm.pdf),
        (ops.norm_cdf, scipy.stats.norm.cdf), (ops.norm_logcdf, scipy.stats.norm.logcdf),
    ):  # fmt: skip
        np.testing.assert_allclose(ours(x, 0.3, 2.0), theirs(x, 0.3, 2.0), rtol=1e-13)


@pytest.mark.parametrize("function", [np.linalg.pinv, lambda x: np.linalg.svd(x, False).S])
@pytest.mark.parametrize("compiled", [False, True])
def test_singular_vectors_of_infinities_are_refused_and_not_looked_for_for_ever(
    function: Any, compiled: bool
) -> None:
    slope = grad(lambda x: np.sum(function(x)))
    slope = autonn.compile(slope) if compiled else slope
    slope(np.eye(3))
    hangs = np.array([[0.0, 5e-324, 1e308], [-np.inf, 0.0, 5e-324], [5e-324, 1.0, 0.0]])
    with pytest.raises(np.linalg.LinAlgError, match="a matrix with inf or NaN has no singular"):
        slope(hangs)
