"""The questions asked of all arguments: what passes, what does not, and what the message says."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autonn import checks


@pytest.mark.parametrize("value", [1, 7, np.int8(7), np.uint64(2**60)])
def test_a_whole_number_comes_back_as_a_python_int(value: Any) -> None:
    got = checks.whole("count", value)
    assert type(got) is int
    assert got == int(value)


@pytest.mark.parametrize("value", [True, np.True_, "3", None, 2.5, 3.0, np.nan, [3], np.array([3])])
def test_what_is_no_whole_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^f: count is a whole number, not "):
        checks.whole("f: count", value)


@pytest.mark.parametrize(
    ("value", "cure"), [(3.0, "; write 3$"), (2.5, "; divide by //"), (math.inf, "not inf$")]
)
def test_a_float_for_a_whole_number_is_told_the_cure(value: float, cure: str) -> None:
    with pytest.raises(TypeError, match=cure):
        checks.whole("count", value)


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(-5, 5))
def test_whole_numbers_pass_within_their_range_alone(value: int, least: int, most: int) -> None:
    if least <= value <= most:
        assert checks.whole("n", value, least, most) == value
    else:
        bound = f"least {least}" if value < least else f"most {most}"
        with pytest.raises(ValueError, match=f"^n is at {bound}, not {value}$"):
            checks.whole("n", value, least, most)


@pytest.mark.parametrize("value", [1, 0.5, np.float32(0.5), np.int64(3), Fraction(1, 2)])
def test_a_number_comes_back_as_a_python_float(value: Any) -> None:
    got = checks.number("x", value)
    assert type(got) is float
    assert got == value


@pytest.mark.parametrize("value", [True, np.False_, "a", None, 1j, [0.1], np.array([0.1])])
def test_what_is_no_number_is_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^f: x is a number, not "):
        checks.number("f: x", value)


@pytest.mark.parametrize(
    ("bounds", "good", "bad", "said"),
    [
        ({}, [-1e300, 0], [], "finite"),
        ({"above": 0}, [1e-300, 1e300], [0, -1], "positive and finite"),
        ({"above": 2}, [2.5], [2, 1], "above 2 and finite"),
        ({"least": 0}, [0, 1e300], [-1e-300], "at least 0 and finite"),
        ({"least": 0, "below": 1}, [0, 0.999], [1, -0.1], "at least 0 and below 1"),
        ({"above": 0, "most": 1}, [1e-9, 1], [0, 1.1], "positive and at most 1"),
    ],
)
def test_numbers_pass_within_their_bounds_alone(
    bounds: dict[str, float], good: list[float], bad: list[float], said: str
) -> None:
    for value in good:
        assert checks.number("x", value, **bounds) == value
    for value in [*bad, math.nan, math.inf, -math.inf]:
        with pytest.raises(ValueError, match=f"^x is {said}, not {value}$"):
            checks.number("x", value, **bounds)


def test_a_choice_is_one_of_those_offered_and_of_their_kind() -> None:
    assert checks.one_of("f: mode", "a", ["a", "b"]) == "a"
    for value in ("c", None, 1, ["a"], np.array(["a", "b"])):
        with pytest.raises(ValueError, match=r"^f: mode is 'a' or 'b', not "):
            checks.one_of("f: mode", value, ["a", "b"])
    with pytest.raises(ValueError, match="is 1 or 2, not True"):
        checks.one_of("n", True, [1, 2])


@pytest.mark.parametrize("value", [[1, 2], (0.5, 1), np.ones((2, 3), "f4"), [True, False], 3, []])
def test_numbers_and_booleans_make_a_plain_array(value: Any) -> None:
    got = checks.plain("X", value)
    assert type(got) is np.ndarray
    assert np.array_equal(got, np.asarray(value))


def test_a_plain_array_is_not_copied() -> None:
    array = np.ones(3)
    assert checks.plain("X", array) is array


class Sparse:
    nnz = 1

    def toarray(self) -> Any:
        return np.eye(2)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (np.ma.masked_less([1.0, -9.0], 0), r"a masked array; fill the gaps by X\.filled"),
        (np.eye(2).view(np.matrix), r"an np\.matrix.*np\.asarray\(X\)"),
        (Sparse(), r"a sparse matrix; give X\.toarray\(\)"),
        (None, "None, expected numbers"),
        (["a", "b"], "an array of <U1, expected numbers"),
        ([0.5, None], r"an array of object.*\.astype\(float\)"),
        (np.array(["2020-01-01"], "M8[D]"), "an array of datetime64"),
    ],
)
def test_what_is_more_or_other_than_numbers_is_told_the_cure(value: Any, said: str) -> None:
    with pytest.raises(TypeError, match=f"^fit: X is {said}"):
        checks.plain("fit: X", value)


def test_a_ragged_list_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^fit: X is a ragged list; its rows need one length"):
        checks.plain("fit: X", [[1], [1, 2]])


@given(st.data())
def test_the_first_number_that_is_not_finite_is_named_with_its_place(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(1, 4), max_size=3))
    array = np.zeros(shape)
    places = sorted(data.draw(st.sets(st.integers(0, array.size - 1), max_size=3)))
    for k in places:
        array.flat[k] = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
    if not places:
        checks.finite("X", array)
        assert checks.not_finite(array) == ""
        return
    index = np.unravel_index(places[0], array.shape)
    row, column = "", ""
    if index:
        row = f" in row {index[0]}"
        column = f", column {', '.join(str(k) for k in index[1:])}" if index[1:] else ""
    with pytest.raises(FloatingPointError) as refusal:
        checks.finite("X", array, FloatingPointError)  # type: ignore[arg-type]
    assert str(refusal.value) == f"X has {array[index]}{row}{column}"


def test_every_difference_is_listed_at_once() -> None:
    expected = {"a": np.ones(2), "b": np.ones((2, 3)), "c": np.ones(1, "f4"), "d": 1}
    given = {"a": np.ones(2), "b": np.ones((3, 2)), "c": np.ones(1), "e": 0}
    assert checks.differences(expected, given) == [
        "d is missing",
        "e is unknown",
        "b is float64 (3, 2), expected float64 (2, 3)",
        "c is float64 (1,), expected float32 (1,)",
    ]
    assert checks.differences(expected, expected) == []


@pytest.mark.parametrize(
    ("given", "casting", "same"),
    [
        ("f4", "safe", True),
        ("f4", "equiv", False),
        (">f8", "equiv", True),
        ("i8", "same_kind", True),
        ("c16", "same_kind", False),
    ],
)
def test_casting_says_which_dtypes_will_do(given: str, casting: str, same: bool) -> None:
    found = checks.differences({"a": np.ones(2)}, {"a": np.ones(2, given)}, casting)
    assert (found == []) is same


def test_an_error_of_names_is_found_by_either_kind_and_reads_as_a_sentence() -> None:
    error = checks.NamesError("a is missing")
    assert isinstance(error, ValueError)
    assert isinstance(error, KeyError)
    assert str(error) == "a is missing"
