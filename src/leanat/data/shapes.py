"""Drawn colour images with known ground truth: the position of the object, which classes are hard, which examples are hard.

An image is an object of one colour in front of a background of another. The class determines the outline and the gaps in it,
but not position, size, rotation and colours. Difficulty is planted: classes differ in the distance between the colours of
object and background, training sets contain a known share of faint examples and of blends of two classes, and every image
has its object mask. Image ``i`` of a part is the same for any number of images.

Outlines are signed distances in units of the object's radius, tabulated once and sampled with each image's rotation, size
and shift; the distance in pixels gives anti-aliased edges.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from leanat.core.rng import Draws, key
from leanat.data.facts import DataError, facts
from leanat.data.tensors import TensorData

# The outlines of `shapes<n>`, and those of `shapes<n>u`, which no `shapes<n>` uses.
SEEN = ("square", "ring", "triangle", "cross", "disc", "star", "half-disc", "plus", "pentagon", "crescent")
UNSEEN = ("frame", "arrow", "ellipse", "hourglass", "tee", "chevron", "rhombus", "twins", "ell", "heart")
PATTERNS = ("", "cut ", "split ", "quartered ")  # kinds of gaps, through which the background is visible
# The outlines' difficulty for adversarial training. The colours (see CONTRAST) reinforce it, so that the order is certain.
HARD_TO_EASY = (
    *("pentagon", "disc", "square", "star", "cross", "triangle", "plus", "half-disc", "crescent", "ring"),
    *("ellipse", "rhombus", "heart", "twins", "tee", "hourglass", "chevron", "ell", "arrow", "frame"),
)

# Distance between object and background in the channel where it is largest: its range over all classes, and the length of
# each class's range. Chosen so that a small network trained at 8/255 on 16x16 reaches 90-95 % clean and 60-70 % robust.
CONTRAST, CONTRAST_SPAN = (0.2, 0.6), 0.2
BACKGROUND = 0.1  # the middle between both colours is 0.5 +- this
NOISE = 0.03
RADIUS = (0.34, 0.46)  # share of the image's side
TURN = 0.3  # radians
SHIFT = 0.1  # share of the image's side
FAINT, FAINT_FACTOR = 0.05, 0.12
AMBIGUOUS = 0.02
TRAIN, TEST = 2000, 500

_NAME = re.compile(r"shapes(?P<classes>\d+)(?P<unseen>u?)(-(?P<size>\d+))?")
_EXTENT, _CELLS, _CHUNK = 1.3, 256, 500


def is_shapes(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def load_shapes(name: str, part: str, n: int | None = None) -> TensorData:
    """Draws a data set by name, such as ``shapes10`` (16x16), ``shapes10-32`` (32x32), ``shapes8u`` (8 other classes).

    ``n``: number of images; by default 2,000 to train and 500 to test. Faint examples (5 %) and blends (2 %) are
    planted only in the training part. Raises DataError for an unknown name or a number out of range.
    """
    whole = _drawn(name, part, n)
    return whole.take(whole.numbers)  # a copy, which the caller may change


@lru_cache(4)  # since a job trains many runs on the same images
def _drawn(name: str, part: str, n: int | None) -> TensorData:
    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(f"{name}: not a name of drawn shapes, e.g. shapes10, shapes20-32, shapes8u")
    classes, size = int(match["classes"]), int(match["size"] or 16)
    outlines = UNSEEN if match["unseen"] else SEEN
    most = len(outlines) * len(PATTERNS)
    if not 2 <= classes <= most:
        raise DataError(f"{name}: {classes} classes, allowed: 2 to {most}")
    if size not in (16, 32):
        raise DataError(f"{name}: {size} pixels, allowed: 16, 32")
    if n is not None and n < 1:
        raise DataError(f"{name}: {n} images, allowed: 1 or more")
    kinds = [(outlines[k % len(outlines)], k // len(outlines)) for k in range(classes)]
    hard_to_easy = sorted(range(classes), key=lambda k: (HARD_TO_EASY.index(kinds[k][0]), kinds[k][1]))
    scene = Scene(tuple(kinds), tuple(hard_to_easy), size, planted=part == "train")
    labels, images, masks, faint, ambiguous = scene.draw(key("shapes", part), n or (TRAIN if part == "train" else TEST))
    return TensorData(
        **facts(name, tuple(PATTERNS[p] + outline for outline, p in kinds), "shapes", size),
        images=images,
        labels=labels,
        numbers=torch.arange(len(labels)),
        masks=masks,
        planted={"faint": faint, "ambiguous": ambiguous},
        hard_to_easy=tuple(hard_to_easy),
    )


@dataclass(frozen=True)
class Scene:
    """The parameters of a set's images: classes (outline, pattern), their order of difficulty, image size."""

    kinds: tuple[tuple[str, int], ...]
    hard_to_easy: tuple[int, ...]
    size: int
    planted: bool

    def draw(self, seed: int, n: int) -> tuple[Tensor, ...]:
        """Labels [n], images uint8 [n, 3, size, size], masks bool [n, size, size], faint and ambiguous bool [n]."""
        chunks = [self._chunk(seed, start, min(_CHUNK, n - start)) for start in range(0, n, _CHUNK)]
        return tuple(torch.cat(parts) for parts in zip(*chunks, strict=True))

    def _chunk(self, seed: int, start: int, n: int) -> tuple[Tensor, ...]:
        draws = Draws(seed, 0, torch.arange(start, start + n))
        labels = draws.index % len(self.kinds)
        faint, ambiguous = self._plant(seed, start, n)
        radius, turn, across, down, contrast = draws.uniform("shape", 5).unbind(1)
        radius = RADIUS[0] + radius * (RADIUS[1] - RADIUS[0])
        p = self._coordinates(radius, (2 * turn - 1) * TURN, (2 * across - 1) * SHIFT, (2 * down - 1) * SHIFT)
        cover = self._cover(p, labels, radius)
        if ambiguous.any():
            other = labels[ambiguous] + 1 + draws.of(draws.index[ambiguous]).integers("other", len(self.kinds) - 1)
            cover[ambiguous] += self._cover(p[ambiguous], other % len(self.kinds), radius[ambiguous])
            cover[ambiguous] /= 2
        easiness = torch.tensor(self.hard_to_easy).argsort() / (len(self.kinds) - 1)
        low = CONTRAST[0] + easiness[labels] * (CONTRAST[1] - CONTRAST_SPAN - CONTRAST[0])
        contrast = (low + contrast * CONTRAST_SPAN) * torch.where(faint, FAINT_FACTOR, 1.0)
        direction = (0.3 + 0.7 * draws.uniform("direction", 3)) * (draws.bits("sign", 3) < 0).float().mul(2).sub(1)
        difference = direction / direction.abs().amax(1, keepdim=True) * contrast[:, None]
        middle = 0.5 + (2 * draws.uniform("middle", 3) - 1) * BACKGROUND
        x = middle[:, :, None, None] + difference[:, :, None, None] * (cover[:, None] - 0.5)
        x += NOISE * draws.normal("noise", 3, self.size, self.size)
        images = x.clamp_(0, 1).mul_(255).round_().to(torch.uint8)
        return labels, images, cover >= 0.5, faint, ambiguous

    def _plant(self, seed: int, start: int, n: int) -> tuple[Tensor, Tensor]:
        """Which examples are faint and which are ambiguous, bool [n] each: 5 and 2 in every hundred if ``planted``, else none."""
        if not self.planted:
            return torch.zeros(n, dtype=torch.bool), torch.zeros(n, dtype=torch.bool)
        hundreds = torch.arange(start, start + -(-n // 100) * 100)  # chunks start at multiples of 100
        rank = Draws(seed, 0, hundreds).bits("planted").view(-1, 100).argsort(1).argsort(1).flatten()[:n]
        return rank < 100 * FAINT, (rank >= 100 * FAINT) & (rank < 100 * (FAINT + AMBIGUOUS))

    def _coordinates(self, radius: Tensor, turn: Tensor, across: Tensor, down: Tensor) -> Tensor:
        """Pixel centres in each object's coordinates [n, size, size, 2], in which the object fills the unit circle."""
        axis = (torch.arange(self.size) + 0.5) / self.size - 0.5
        x = axis[None, None, :] - across[:, None, None]
        y = axis[None, :, None] - down[:, None, None]
        c, s = (turn.cos() / radius)[:, None, None], (turn.sin() / radius)[:, None, None]
        return torch.stack((c * x + s * y, c * y - s * x), -1)

    def _cover(self, p: Tensor, labels: Tensor, radius: Tensor) -> Tensor:
        """The share of each pixel that the object covers, [n, size, size]."""
        distance = torch.empty(p.shape[:-1])
        for k in labels.unique().tolist():
            here = (labels == k).nonzero()[:, 0]
            distance[here] = _sample(_kind(*self.kinds[k]), p[here] / _EXTENT)
        return (0.5 - distance * (radius * self.size)[:, None, None]).clamp_(0, 1)


def _sample(values: Tensor, grid: Tensor) -> Tensor:
    image = values.expand(len(grid), 1, *values.shape)
    return F.grid_sample(image, grid, padding_mode="border", align_corners=False)[:, 0]


@cache
def _kind(outline: str, pattern: int) -> Tensor:
    return torch.maximum(table(outline), -table(PATTERNS[pattern])) if pattern else table(outline)


@cache
def table(name: str) -> Tensor:
    """Signed distance (negative inside) to an outline or pattern on a grid that covers [-1.3, 1.3] squared."""
    axis = ((torch.arange(_CELLS) + 0.5) / _CELLS * 2 - 1) * _EXTENT
    x, y = axis.expand(_CELLS, _CELLS), axis[:, None].expand(_CELLS, _CELLS)
    r = torch.hypot(x, y)
    match name:
        case "disc":
            return r - 0.9
        case "ring":
            return (r - 0.72).abs() - 0.26
        case "half-disc":
            return torch.maximum(torch.hypot(x, y - 0.45) - 1, y - 0.45)
        case "crescent":
            return torch.maximum(r - 0.95, 0.75 - torch.hypot(x - 0.5, y))
        case "ellipse":
            return (torch.hypot(x, y / 0.5) - 1) * 0.6  # accurate near the edge, as anti-aliasing needs
        case "twins":
            return torch.minimum(torch.hypot(x - 0.46, y), torch.hypot(x + 0.46, y)) - 0.5
        case "heart":
            lobes = torch.minimum(torch.hypot(x - 0.42, y + 0.3), torch.hypot(x + 0.42, y + 0.3)) - 0.5
            return torch.minimum(lobes, _polygon(x, y, [(-0.86, -0.06), (0.86, -0.06), (0, 0.95)]))
        case "frame":
            square = torch.maximum(x.abs(), y.abs())
            return (square - 0.6).abs() - 0.2
        # No outline has an axis of symmetry at 22.5 degrees, so a gap there cuts each into visible pieces.
        case "cut ":
            return (math.cos(math.pi / 8) * y - math.sin(math.pi / 8) * x).abs() - 0.16
        case "split ":
            return (math.cos(math.pi / 8) * x + math.sin(math.pi / 8) * y).abs() - 0.16
        case "quartered ":
            return torch.minimum(table("cut "), table("split "))
    return _polygon(x, y, _CORNERS[name])


def _regular(n: int, turn: float = 0.0, inner: float = 1.0, scale: float = 1.0) -> list[tuple[float, float]]:
    """``n`` corners on a circle of radius ``scale``, the first at the top; every second one is at ``inner`` times this radius."""
    corners = []
    for i in range(n):
        r, angle = scale * (inner if i % 2 else 1), turn + 2 * math.pi * i / n - math.pi / 2
        corners.append((r * math.cos(angle), r * math.sin(angle)))
    return corners


def _mirrored(corners: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The outline whose right half, from top to bottom, has these corners."""
    return corners + [(-x, y) for x, y in reversed(corners) if x]


def _turned(corners: list[tuple[float, float]], angle: float) -> list[tuple[float, float]]:
    c, s = math.cos(angle), math.sin(angle)
    return [(c * x - s * y, s * x + c * y) for x, y in corners]


_PLUS = [(a * s, b * t) for s, t, pairs in (
    (1, -1, ((0.3, 1), (0.3, 0.3), (1, 0.3))),
    (1, 1, ((1, 0.3), (0.3, 0.3), (0.3, 1))),
    (-1, 1, ((0.3, 1), (0.3, 0.3), (1, 0.3))),
    (-1, -1, ((1, 0.3), (0.3, 0.3), (0.3, 1))),
) for a, b in pairs]  # fmt: skip

_CORNERS = {
    "square": _regular(4, math.pi / 4, scale=1.1),
    "triangle": _regular(3),
    "pentagon": _regular(5),
    "star": _regular(10, inner=0.42),
    "plus": _PLUS,
    "cross": _turned(_PLUS, math.pi / 4),
    "rhombus": [(0, -1), (0.5, 0), (0, 1), (-0.5, 0)],
    "hourglass": [(-0.75, -0.85), (0.75, -0.85), (0.3, 0), (0.75, 0.85), (-0.75, 0.85), (-0.3, 0)],
    "tee": _mirrored([(0.85, -0.85), (0.85, -0.3), (0.27, -0.3), (0.27, 0.9)]),
    "ell": [(-0.75, -0.9), (-0.2, -0.9), (-0.2, 0.35), (0.75, 0.35), (0.75, 0.9), (-0.75, 0.9)],
    "arrow": _mirrored([(0, -1), (0.8, -0.1), (0.28, -0.1), (0.28, 0.9)]),
    "chevron": [(-0.9, -0.3), (0, -0.95), (0.9, -0.3), (0.9, 0.45), (0, -0.2), (-0.9, 0.45)],
}  # fmt: skip


def _polygon(x: Tensor, y: Tensor, corners: list[tuple[float, float]]) -> Tensor:
    """Signed distance to the nearest edge of a simple polygon, negative if a ray crosses an odd number of edges."""
    distance, inside = torch.full_like(x, math.inf), torch.zeros_like(x, dtype=torch.bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = bx - ax, by - ay
        t = (((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)).clamp(0, 1)
        distance = torch.minimum(distance, torch.hypot(x - ax - t * ex, y - ay - t * ey))
        if ey:
            inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * ex / ey)
    return torch.where(inside, -distance, distance)
