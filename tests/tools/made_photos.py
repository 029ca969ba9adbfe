"""Photos of a handwritten digit of twenty kinds: twelve that are easy to read, eight that are not.

A sheet of paper, what is printed on it, MNIST's ink, the desk below, light, noise and JPEG: all is
drawn, so that the digit is known and a thousand of them take half a minute.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage
from tools.drawings import Picture, enlarged, lamp, mnist, shadow

Photo = Callable[[Picture, np.random.Generator], Picture]

PENS = ([0.08, 0.08, 0.1], [0.1, 0.15, 0.5], [0.2, 0.2, 0.22])
PAPERS = ([0.93, 0.92, 0.9], [0.95, 0.95, 0.95], [0.9, 0.88, 0.78])
PRINTS = ([0.15, 0.15, 0.2], [0.2, 0.3, 0.55], [0.3, 0.3, 0.3])  # the colours of dark lines
RED = [0.75, 0.2, 0.25]
DESKS = ([0.25, 0.17, 0.1], [0.12, 0.12, 0.14], [0.35, 0.27, 0.2], [0.1, 0.2, 0.15])


# ---- what is on the sheet, as coverage 0..1


def written(
    ink: Picture, side: int, rng: np.random.Generator, share: tuple[float, float] = (0.4, 0.7)
) -> Picture:
    """Write MNIST's 28 x 28 somewhere near the middle, its box a share of the side, crisply."""
    size = int(side * rng.uniform(*share))
    strokes = ((enlarged(ink, size) - 0.5) * size / 40 + 0.5).clip(0, 1)
    slack = side - size
    top, left = (int(slack * rng.uniform(0.3, 0.7)) for _ in range(2))
    return np.pad(strokes, ((top, slack - top), (left, slack - left)))


def thinned(strokes: Picture, width: float) -> Picture:
    """Draw the strokes' middle lines anew with a thinner pen, `width` pixels wide."""
    inside = ndimage.distance_transform_edt(strokes > 0.5)
    ridge = (inside > 1) & (inside >= ndimage.maximum_filter(inside, 3) - 0.7)
    apart: Picture = ndimage.distance_transform_edt(~ridge)
    return (width / 2 + 0.5 - apart).clip(0, 1)


def lines(side: int, gap: float, width: float, angle: float, offset: float) -> Picture:
    """Parallel lines, `angle` from the horizontal in degrees; a gap above the side gives one."""
    y, x = np.mgrid[:side, :side] - side / 2
    turned = np.radians(angle)
    across = y * np.cos(turned) - x * np.sin(turned) - offset
    apart = np.abs((across + gap / 2) % gap - gap / 2)
    line: Picture = (width / 2 + 0.5 - apart).clip(0, 1)
    return line


def grid(side: int, rng: np.random.Generator) -> Picture:
    """Squared paper, a little turned."""
    gap, width, angle = side / rng.uniform(6, 14), rng.uniform(1, 2.5), rng.uniform(-4, 4)
    both = [lines(side, gap, width, angle + a, rng.uniform(0, gap)) for a in (0, 90)]
    return np.maximum(*both)


def ruled(side: int, rng: np.random.Generator) -> Picture:
    """Ruled paper, a little turned."""
    gap, width = side / rng.uniform(3, 9), rng.uniform(1.2, 3)
    return lines(side, gap, width, rng.uniform(-5, 5), rng.uniform(0, gap))


def margin(side: int, rng: np.random.Generator) -> Picture:
    """One upright line beside the digit, which may touch it."""
    beside = rng.choice([-1, 1]) * side * rng.uniform(0.2, 0.42)
    return lines(side, 9 * side, rng.uniform(1.5, 4), 90 + rng.uniform(-4, 4), beside)


def box(side: int, rng: np.random.Generator) -> Picture:
    """A frame around the middle, as forms have it."""
    far, width = side * rng.uniform(0.37, 0.46), rng.uniform(1.5, 5)
    y, x = np.abs(np.mgrid[:side, :side] - side / 2)
    frame = (width / 2 + 0.5 - np.abs(np.maximum(x, y * rng.uniform(0.95, 1.1)) - far)).clip(0, 1)
    return turned(frame, rng.uniform(-4, 4))


def turned(coverage: Picture, degrees: float) -> Picture:
    around: Picture = ndimage.rotate(coverage, degrees, reshape=False, order=1)
    return around.clip(0, 1)


def scribbled(side: int, rng: np.random.Generator) -> Picture:
    """A pen that wanders to and fro: no digit."""
    steps = np.cumsum(np.cumsum(rng.normal(size=(400, 2)), axis=0), axis=0)
    places = steps - np.linspace(0, 1, 400)[:, None] * steps[-1]
    loops = np.stack([np.sin(np.linspace(0, rng.uniform(30, 90), 400) + p) for p in (0, 1.3)], 1)
    path = places / np.abs(places).max() + loops * 0.6
    y, x = ((0.25 * path / np.abs(path).max() + 0.5) * side).T
    fine = [np.interp(np.linspace(0, 399, 9000), np.arange(400), p).astype(int) for p in (y, x)]
    clear = np.ones((side, side), dtype=bool)
    clear[fine[0], fine[1]] = False
    return (2.5 - ndimage.distance_transform_edt(clear)).clip(0, 1)


# ---- the photo


def one(choices: tuple[list[float], ...], rng: np.random.Generator) -> Picture:
    return np.array(choices[rng.integers(len(choices))])


def laid(scene: Picture, coverage: Picture, colour: Picture | list[float]) -> Picture:
    """Lay a colour over a scene (h, w, 3) where it covers."""
    seen: Picture = scene + coverage[..., None] * (np.asarray(colour) - scene)
    return seen


def page(
    strokes: Picture, rng: np.random.Generator, print_: Picture | None = None, colour: object = None
) -> Picture:
    """Return a sheet (h, w, 3) with its print below the ink."""
    scene = np.broadcast_to(one(PAPERS, rng), (*strokes.shape, 3))
    if print_ is not None:
        scene = laid(scene, print_, one(PRINTS, rng) if colour is None else np.asarray(colour))
    return laid(scene, strokes, one(PENS, rng))


def aslant(scene: Picture, ground: Picture, corners: Picture) -> Picture:
    """See a sheet (n, n, 3) in perspective: its corners come to lie at (x, y) on the ground."""
    side = len(scene)
    at = [(0, 0), (side, 0), (side, side), (0, side)]
    rows, wanted = [], []
    for (u, v), (x, y) in zip(at, corners, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    a, b, c, d, e, f, g, h = np.linalg.solve(np.array(rows), np.array(wanted))
    y, x = np.mgrid[: ground.shape[0], : ground.shape[1]].astype(float)
    depth = g * x + h * y + 1
    u, v = (a * x + b * y + c) / depth - 0.5, (d * x + e * y + f) / depth - 0.5
    inside = ((np.minimum(u, v) + 1).clip(0, 1) * (side - np.maximum(u, v)).clip(0, 1))[..., None]
    shown = [
        ndimage.map_coordinates(p, [v, u], order=1, mode="nearest") for p in scene.T.swapaxes(1, 2)
    ]
    seen: Picture = ground + inside * (np.stack(shown, axis=2) - ground)
    return seen


def on_a_desk(scene: Picture, rng: np.random.Generator) -> Picture:
    """Lay a sheet on a dark desk, turned and in slight perspective, a corner maybe out of sight."""
    side = len(scene)
    height, width = int(side * rng.uniform(1.1, 1.4)), int(side * rng.uniform(1.1, 1.6))
    grain = ndimage.gaussian_filter(rng.normal(size=(height, width)), (1, 12))
    ground = one(DESKS, rng) * (1 + 0.8 * grain[..., None])
    angle, half = np.radians(rng.uniform(-12, 12)), side / 2
    square = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    middle = np.array([width, height]) * rng.uniform(0.45, 0.55, 2)
    corners = square @ turn * rng.uniform(0.8, 1) + middle + rng.uniform(-0.06, 0.06, (4, 2)) * side
    return aslant(ground=ground, scene=scene, corners=corners)


def hand(height: int, width: int, rng: np.random.Generator) -> Picture:
    """The dark shadow of a hand that holds the sheet at a corner: light (h, w)."""
    y, x = np.mgrid[:height, :width].astype(float)
    y, x = (n if rng.random() < 0.5 else n.max() - n for n in (y, x))
    far = rng.uniform(0.35, 0.55) * min(height, width)
    wave = 1 + 0.15 * np.sin(5 * np.arctan2(y, x) + rng.uniform(0, 6))
    depth = (far * wave - np.hypot(x, y)) / rng.uniform(2, 8)
    light: Picture = 1 - rng.uniform(0.5, 0.8) / (1 + np.exp(-depth.clip(-50, 50)))
    return light


def hard_shadow(height: int, width: int, rng: np.random.Generator) -> Picture:
    """A straight shadow with a sharp edge across the sheet, 0.4 to 0.6 as light."""
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.linspace(-1, 1, height)[:, None], np.linspace(-1, 1, width)
    inside = np.cos(angle) * x + np.sin(angle) * y - rng.uniform(-0.5, 0.5)
    light: Picture = 1 - rng.uniform(0.25, 0.45) / (1 + np.exp(-inside.clip(-1, 1) / 0.01))
    return light


def taken(
    scene: Picture, rng: np.random.Generator, light: Picture | None = None,
    noise: float = 0.015, quality: int = 85,
) -> Picture:  # fmt: skip
    """Take the photo: light, noise and JPEG."""
    if light is None:
        height, width, _ = scene.shape
        light = 0.3 + 0.7 * lamp(height, width, rng)
    seen = scene * light[..., None] + rng.normal(0, noise, scene.shape)
    buffer = io.BytesIO()
    pixels = (255 * seen.clip(0, 1)).round().astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer), np.uint8)


def plain(ink: Picture, rng: np.random.Generator, side: int | None = None) -> Picture:
    side = int(rng.integers(200, 320)) if side is None else side
    return page(written(ink, side, rng), rng)


def printed(
    ink: Picture, rng: np.random.Generator, pattern: Callable[..., Picture], colour: object = None
) -> Picture:
    """Return a sheet with a pattern, on which the digit is written."""
    side = int(rng.integers(200, 320))
    return page(written(ink, side, rng), rng, pattern(side, rng), colour)


def off_centre(ink: Picture, rng: np.random.Generator) -> Picture:
    side = int(rng.integers(200, 320))
    strokes = written(ink, side, rng, (0.3, 0.45))
    where = np.nonzero(strokes > 0.1)
    to = [int(rng.integers(4 - n.min(), side - 4 - n.max())) for n in where]
    return page(np.roll(strokes, to, (0, 1)), rng)


def beside(ink: Picture, rng: np.random.Generator) -> Picture:
    """Write any other digit to the right of it."""
    side = int(rng.integers(200, 260))
    left = written(ink, side, rng, (0.55, 0.75))
    right = written(mnist()[rng.integers(5000)], side, rng, (0.5, 0.75))
    return page(np.concatenate([left, right], axis=1), rng)


def nothing(ink: Picture, rng: np.random.Generator) -> Picture:
    """No single digit: a sheet that is empty, ruled or squared, a scribble, or a number."""
    side = int(rng.integers(200, 320))
    empty = np.zeros((side, side))
    return [
        lambda: page(empty, rng),
        lambda: page(empty, rng, ruled(side, rng)),
        lambda: page(empty, rng, grid(side, rng)),
        lambda: page(scribbled(side, rng), rng),
        lambda: page(number(side, rng), rng),
    ][rng.integers(5)]()


def number(side: int, rng: np.random.Generator) -> Picture:
    """A number of four digits, one beside the other."""
    rows = rng.integers(5000, size=4)
    digits = np.concatenate([enlarged(mnist()[row], side // 4) for row in rows], axis=1)
    above = int(rng.integers(side - len(digits)))
    rest = (above, side - len(digits) - above), (0, side - digits.shape[1])
    return np.pad(digits, rest)


def slanted(ink: Picture, rng: np.random.Generator) -> Picture:
    """See the page from below or from the side."""
    scene = plain(ink, rng)
    side = len(scene)
    corners = np.array([(0, 0), (side, 0), (side, side), (0, side)], float)
    corners += rng.uniform(-0.15, 0.15, (4, 2)) * side
    ground = np.broadcast_to(scene[0, 0], scene.shape)
    return aslant(scene, ground, corners)


def thin(ink: Picture, rng: np.random.Generator) -> Picture:
    side = int(rng.integers(200, 320))
    return page(thinned(written(ink, side, rng), side * rng.uniform(0.015, 0.03)), rng)


def any_size(ink: Picture, rng: np.random.Generator) -> Picture:
    return plain(ink, rng, int(np.exp(rng.uniform(np.log(60), np.log(700)))))


def at(light: Callable[..., Picture]) -> Photo:
    def shone(ink: Picture, rng: np.random.Generator) -> Picture:
        scene = plain(ink, rng)
        return taken(scene, rng, light(*scene.shape[:2], rng))

    return shone


EASY: dict[str, Photo] = {
    "any size": lambda ink, rng: taken(any_size(ink, rng), rng),
    "light on dark": lambda ink, rng: taken(1 - plain(ink, rng), rng),
    "off centre": lambda ink, rng: taken(off_centre(ink, rng), rng),
    "noise": lambda ink, rng: taken(plain(ink, rng), rng, noise=rng.uniform(0.05, 0.12)),
    "blur": lambda ink, rng: taken(
        ndimage.gaussian_filter(plain(ink, rng), (*[rng.uniform(1, 4)] * 2, 0)), rng
    ),
    "hard JPEG": lambda ink, rng: taken(plain(ink, rng), rng, quality=10),
    "faint grid": lambda ink, rng: taken(printed(ink, rng, grid, [0.7, 0.75, 0.85]), rng),
    "soft shadow": at(shadow),
    "hard shadow": at(hard_shadow),
    "thin pen": lambda ink, rng: taken(thin(ink, rng), rng),
    "turned": lambda ink, rng: taken(
        page(turned(written(ink, 260, rng), rng.choice([-15, 15])), rng), rng
    ),
    "slanted": lambda ink, rng: taken(slanted(ink, rng), rng),
}
HARD: dict[str, Photo] = {
    "dark grid": lambda ink, rng: taken(printed(ink, rng, grid), rng),
    "dark desk": lambda ink, rng: taken(on_a_desk(plain(ink, rng), rng), rng),
    "ruled lines": lambda ink, rng: taken(printed(ink, rng, ruled), rng),
    "box": lambda ink, rng: taken(printed(ink, rng, box), rng),
    "margin line": lambda ink, rng: taken(printed(ink, rng, margin, RED), rng),
    "second digit": lambda ink, rng: taken(beside(ink, rng), rng),
    "hand's shadow": at(hand),
    "no digit": lambda ink, rng: taken(nothing(ink, rng), rng),
}
NO_DIGIT = {"second digit", "no digit"}  # where only a refusal is right
