"""A thousand corrupted files: each is refused, or what it says is read exactly.

Most formats carry checksums, so that it is then the original; text has none, so that Python's own
`float` is the judge.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat
from tools.made_files import (
    arrays,
    claiming,
    contents,
    in_folder,
    members_of,
    network,
    npy_bytes,
    parsed,
    tensors,
    values,
    zipped,
)

from autonn import load_digits
from autonn.data import read_examples, shrink, unroll, write_examples
from autonn.files import FileFormatError, load_weights, save_weights
from autonn.files.mat import read_mat


class Bomb:
    """An object that would end the judge's process if it were unpickled."""

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return os._exit, (3,)


EXAMPLES = np.random.default_rng(3).normal(size=(6, 3)), np.array([0, 9, 3, 0, 1, 5])
PICTURES = {
    "images": np.random.default_rng(4).integers(0, 256, (2, 28, 28)).astype(np.uint8),
    "labels": np.array([7, 0], np.uint8),
}
KINDS = {
    "npz": ["w.npz"],
    "safetensors": ["w.safetensors"],
    "mat": ["w.mat"],
    "in": ["W1.in", "W2.in"],
    "examples-mat": ["d.mat"],
    "examples-in": ["X.in", "y.in"],
    "digits": ["digits.npz"],
}


def write_good(kind: str, folder: Path) -> None:
    paths = in_folder(folder, KINDS[kind])
    if kind.startswith("examples"):
        write_examples(*EXAMPLES, *paths)
    elif kind == "digits":
        np.savez_compressed(paths[0], **PICTURES)  # type: ignore[arg-type]
    else:
        save_weights(network(1), *paths)


def read(kind: str, folder: Path) -> list[bytes]:
    """Read the files of a kind; weights through a model that must not change if they are bad."""
    paths = in_folder(folder, KINDS[kind])
    if kind.startswith("examples"):
        return [array.tobytes() for array in read_examples(*paths)]
    if kind == "digits":
        digits = load_digits(*paths)
        return [digits.X.tobytes(), digits.y.tobytes()]
    model = network(2)
    before = values(model)
    try:
        load_weights(model, *paths)
    except FileFormatError:
        assert values(model) == before, "something was loaded"
        raise
    return list(values(model).values())


def said(kind: str, folder: Path) -> list[bytes]:
    """Return what text files say, or for other kinds, what they said before they were damaged."""
    if kind.endswith("in"):
        texts = [path.read_text() for path in in_folder(folder, KINDS[kind])]
        first, second = (
            np.array([[float(x) for x in line.split(",")] for line in text.split()])
            for text in texts
        )
        if kind == "examples-in":
            return [first.tobytes(), ((second.argmax(axis=1) + 1) % 10).tobytes()]
        second = np.roll(second, 1, axis=0)
        return [part.tobytes() for t in (first, second) for part in (t[:, 1:], t[:, 0])]
    if kind.startswith("examples"):
        return [array.tobytes() for array in EXAMPLES]
    if kind == "digits":
        X = unroll(shrink(PICTURES["images"] / 255.0, 20))
        return [X.tobytes(), PICTURES["labels"].astype(np.int64).tobytes()]
    return list(values(network(1)).values())


def judged(kind: str, folder: Path) -> str:
    """Say what became of a file: "refused", "read", or in which way the reader was wrong."""
    try:
        found = read(kind, folder)
    except FileFormatError as error:
        named = any(str(folder / name) in str(error) for name in KINDS[kind])
        return "refused" if named else f"names no file: {error}"
    except Exception as error:
        return f"raised {error!r}"
    return "read" if found == said(kind, folder) else "loaded silently wrong"


def judge_all(folder: Path) -> None:
    for case in sorted(folder.iterdir()):
        print(f"{case.name}: ", end="", flush=True)
        print(judged(case.name.split("_")[1], case), flush=True)


def damaged(content: bytes, rng: np.random.Generator, until: int | None = None) -> bytes:
    """Cut, flip, overwrite, drop or double a part; flips and overwriting stay below `until`."""
    broken, end = bytearray(content), until or len(content)
    a, b = sorted(rng.integers(len(content) + 1, size=2).tolist())
    match rng.integers(7):
        case 0:
            return content[:a]
        case 1:
            return content[: int(rng.choice([0, 1, 8, 128, len(content) - 1]))]
        case 2 | 3:
            for _ in range(rng.integers(1, 4)):
                broken[rng.integers(end)] ^= 1 << int(rng.integers(8))
        case 4:
            at = int(rng.integers(end))
            stretch = min(int(rng.integers(1, 16)), end - at)
            broken[at : at + stretch] = bytes(stretch) if rng.integers(2) else rng.bytes(stretch)
        case 5:
            del broken[a : max(b, a + 1)]
        case 6:
            broken[a:a] = content[a:b] or b"\0"
    return bytes(broken)


def other_things(rng: np.random.Generator) -> bytes:
    """Return the content of a file that is none of ours."""
    things = [b"", rng.bytes(int(rng.integers(1, 3000))), bytes(1000), b"no digits\n" * 9]
    things += [pickle.dumps({"0.weight": Bomb()}), b"PK\x05\x06" + bytes(18), npy_bytes(np.ones(3))]
    return things[rng.integers(len(things))]


def with_wrong_fields(
    fields: Mapping[str, Any], rng: np.random.Generator, dtypes: str = "i4 f2 c16 ? U5"
) -> dict[str, Any]:
    """Change one array, or the names, so that they are no longer those of the original."""
    names = list(fields)
    name, other = rng.permutation(names)[:2]
    array = fields[name]
    spoilt = array.astype(np.float64)
    spoilt.flat[rng.integers(array.size)] = rng.choice([np.nan, np.inf, -np.inf])
    changes: list[dict[str, Any]] = [
        {name: spoilt},
        {name: array[:-1]},
        {name: np.concatenate([array, array])},
        {name: array.ravel()[:, None, None]},
        {name: array.reshape(-1)[:0]},
        {name: array.astype(rng.choice(dtypes.split()))},
        {name: array.astype(object)},
        {name: np.array([Bomb()], dtype=object)},
        {name: fields[other], other: array},
        {f"{name}!": array, name: None},
        {name: None},
    ]
    changed = {**fields, **changes[rng.integers(len(changes))]}
    return {key: value for key, value in changed.items() if value is not None}


def npz_with_tricks(fields: Mapping[str, Any], rng: np.random.Generator) -> bytes:
    """Names that climb out of folders, come twice or hide, and headers that lie."""
    (name, content), *rest = members_of(fields)
    trick = ["../" + name, "/" + name, "C:\\" + name, name + "/", name[:-4], name + "!.npy"]
    lie = claiming(str(tuple(rng.integers(-9, 9, size=2).tolist()))) + content[-96:]
    doubled = [(name, content), (name, content)]
    choices = [[(t, content)] for t in trick] + [[(name, lie)], doubled, [("evil.pkl", content)]]
    packed = zipped(choices[rng.integers(len(choices))] + rest)
    return packed.replace(b"!.npy", b"\0.npy")  # Python would not write this one


def safetensors_with_tricks(content: bytes, rng: np.random.Generator) -> bytes:
    """Wrong lengths, and places that overlap, leave gaps, or lie outside of the file."""
    header, data = parsed(content)
    name, other = rng.permutation(list(header))[:2]
    start, end = header[name]["data_offsets"]
    entry = header[name]
    length = len(json.dumps(header))
    wrong: list[bytes] = [
        tensors(header, data, length + int(rng.choice([-9, -1, 1, 8, 2**20, 2**40, 2**62]))),
        tensors(header | {name: entry | {"data_offsets": [start + 8, end + 8]}}, data),
        tensors(header | {name: entry | {"data_offsets": [end, start]}}, data),
        tensors(header | {name: entry | {"data_offsets": header[other]["data_offsets"]}}, data),
        tensors(header | {name: entry | {"data_offsets": [-8, end]}}, data),
        tensors(header | {name: entry | {"data_offsets": [start, 2**64 - 1]}}, data),
        tensors(header | {name: entry | {"shape": [*entry["shape"], 0]}}, data),
        tensors(header | {name: entry | {"shape": [*entry["shape"][::-1], 1]}}, data),
        tensors(
            header | {name: entry | {"dtype": str(rng.choice(["F32", "I64", "BF16", "X"]))}}, data
        ),
        tensors(header, data + b"\0" * 8),
        tensors(header, data[:-8]),
        tensors({k: v for k, v in header.items() if k != name}, data),
        tensors([header], data),
        tensors(header | {name: None}, data),
        tensors(header | {"extra": {"dtype": "F64", "shape": [0], "data_offsets": [0, 0]}}, data),
    ]
    return wrong[rng.integers(len(wrong))]


def safetensors_of(fields: Mapping[str, Any]) -> bytes:
    header, data = {}, b""
    words = {"f8": "F64", "i4": "I32", "f2": "F16", "c16": "C64", "b1": "BOOL", "O8": "F64"}
    for name, array in fields.items():
        content = array.tobytes()
        word = words.get(array.dtype.str[1:], "U8")
        offsets = [len(data), len(data) + len(content)]
        header[name] = {"dtype": word, "shape": list(array.shape), "data_offsets": offsets}
        data += content
    return tensors(header, data)


def text_of(array: Any) -> bytes:
    return "".join(",".join(map(str, np.ravel(row))) + "\n" for row in array).encode()


def corrupted(kind: str, folder: Path, rng: np.random.Generator) -> None:
    """Corrupt one of the good files in a folder."""
    path = folder / KINDS[kind][rng.integers(len(KINDS[kind]))]
    content = path.read_bytes()
    way = rng.integers(10)
    if way == 0:
        path.write_bytes(other_things(rng))
    elif way < 6:
        end = 8 + struct.unpack_from("<Q", content)[0] if kind == "safetensors" else None
        path.write_bytes(damaged(content, rng, end))
    elif kind in ("npz", "digits"):
        fields = PICTURES if kind == "digits" else arrays(network(1))
        tricks = npz_with_tricks(fields, rng)
        wrong = zipped(members_of(with_wrong_fields(fields, rng)))
        path.write_bytes(tricks if way == 6 else wrong)
    elif kind == "safetensors":
        wrong = safetensors_of(with_wrong_fields(arrays(network(1)), rng))
        path.write_bytes(safetensors_with_tricks(content, rng) if way < 8 else wrong)
    elif kind.endswith("mat"):
        numbers = {k: v for k, v in read_mat(path).items() if not isinstance(v, str)}
        spoilt = with_wrong_fields(numbers, rng, "c16 U5")  # of real numbers, MATLAB takes any type
        cells = {k: {"a": 1} if v.dtype.hasobject else v for k, v in spoilt.items()}  # to a struct
        savemat(path, cells, do_compression=bool(rng.integers(2)))
    else:
        matrix = np.loadtxt(path, delimiter=",", ndmin=2)
        wrong_fields = with_wrong_fields({"a": matrix, "b": matrix[::-1, :-1]}, rng)
        path.write_bytes(text_of(next(iter(wrong_fields.values()))))


def test_a_thousand_corrupted_files(tmp_path: Path) -> None:
    """In a process of their own, since a crash or a hang can't be caught from inside."""
    rng = np.random.default_rng(2026)
    kinds, good = list(KINDS), {}
    for kind in kinds:
        write_good(kind, tmp_path)
        good[kind] = {name: (tmp_path / name).read_bytes() for name in KINDS[kind]}
    folders = tmp_path / "cases"
    folders.mkdir()
    for k in range(1000):
        kind = kinds[k % len(kinds)]
        folder = folders / f"{k:04}_{kind}"
        folder.mkdir()
        for name, content in good[kind].items():
            (folder / name).write_bytes(content)
        while contents(folder) == good[kind]:
            corrupted(kind, folder, rng)
    code = (
        f"import pathlib, test_corrupted; test_corrupted.judge_all(pathlib.Path({str(folders)!r}))"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0, (lines[-1:], done.stderr)
    verdicts = dict(line.split(": ", 1) for line in lines)
    assert len(verdicts) == 1000
    assert {n: v for n, v in verdicts.items() if v not in ("refused", "read")} == {}
    for kind in kinds:  # most damage is found, or the test would hold of a reader that never looks
        mine = [verdict for name, verdict in verdicts.items() if name.endswith(f"_{kind}")]
        assert mine.count("refused") > 0.6 * len(mine), kind


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_judge_sees_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    write_good(kind, tmp_path)
    assert judged(kind, tmp_path) == "read"
    monkeypatch.setattr(sys.modules[__name__], "read", lambda *_: [b"other"])
    assert judged(kind, tmp_path) == "loaded silently wrong"
    monkeypatch.setattr(sys.modules[__name__], "read", lambda *_: vars()["x"])
    assert judged(kind, tmp_path) == "raised KeyError('x')"
