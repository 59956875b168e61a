"""What a scene shows: things of one shape and hue, at times a single smaller companion beside them, and a ground."""

import math
import random
from dataclasses import dataclass

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
HUES = ("red", "green", "blue", "yellow", "purple", "orange")
TEXTURES = ("plain", "striped", "dotted")
SIZES = {"small": (42, 48), "large": (66, 78)}  # radii in pixels
GROUNDS = ("white", "grey", "beige", "pink", "pale blue", "pale green")
RELATIONS = ("left", "right", "above", "below")
OPPOSITE = {"left": "right", "right": "left", "above": "below", "below": "above"}
MOST = {"small": 4, "large": 2}  # things that have room
CANVASES = ((480, 360), (360, 480), (400, 400), (480, 320))
COMPANION_SHARE = 0.5
TILT = 0.2  # radians, to either side
BORDER = 0.62  # where main things end and their companion begins, along the axis of their relation
TRIES = 40  # of places for each thing, before all shrink
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Thing:
    """Centre, radius and turn of one thing, in pixels and radians."""

    x: float
    y: float
    radius: float
    turn: float


@dataclass(frozen=True, slots=True)
class Group:
    """Things that differ in place only."""

    shape: str
    hue: str
    texture: str
    size: str
    things: tuple[Thing, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """A scene before it is drawn. `relation` is where the main things lie as seen from their companion."""

    width: int
    height: int
    ground: str
    main: Group
    companion: Group | None
    relation: str | None


def lay_out(number: int, seed: int) -> Layout:
    """The layout of a seed's scene; classes take turns."""
    rng = random.Random(f"{seed}-{number}")
    shape, hue = SHAPES[number % len(SHAPES)], HUES[number // len(SHAPES) % len(HUES)]
    width, height = rng.choice(CANVASES)
    ground = rng.choice(GROUNDS)
    accompanied = rng.random() < COMPANION_SHARE
    size = rng.choice(tuple(SIZES))
    # a companion is one thing, and less than the main ones
    count = rng.randint(2 if accompanied and size == "small" else 1, MOST[size])
    box = (0.0, 0.0, float(width), float(height))
    if not accompanied:
        main = _group(shape, hue, size, count, box, rng)
        return Layout(width, height, ground, main, None, None)
    relation = rng.choice(RELATIONS)
    boxes = _boxes(relation, width, height)
    main = _group(shape, hue, size, count, boxes[0], rng)
    shape, hue = rng.choice([(a, b) for a in SHAPES for b in HUES if a != shape and b != hue])
    companion = _group(shape, hue, rng.choice(tuple(SIZES) if count > 1 else ("small",)), 1, boxes[1], rng)
    return Layout(width, height, ground, main, companion, relation)


def _boxes(relation: str, width: int, height: int) -> tuple[Box, Box]:
    """The main things' part of the picture and the companion's."""
    if relation == "left":
        return (0, 0, width * BORDER, height), (width * BORDER, 0, width, height)
    if relation == "right":
        return (width * (1 - BORDER), 0, width, height), (0, 0, width * (1 - BORDER), height)
    if relation == "above":
        return (0, 0, width, height * BORDER), (0, height * BORDER, width, height)
    return (0, height * (1 - BORDER), width, height), (0, 0, width, height * (1 - BORDER))


def _group(shape: str, hue: str, size: str, count: int, box: Box, rng: random.Random) -> Group:
    radius = rng.uniform(*SIZES[size])
    texture = rng.choice(TEXTURES)
    while (things := _place(count, radius, box, rng)) is None:
        radius *= 0.95
    return Group(shape, hue, texture, size, things)


def _place(count: int, radius: float, box: Box, rng: random.Random) -> tuple[Thing, ...] | None:
    """Things that do not touch each other or the edge; None where they find no room."""
    edge = 1.1 * radius
    if min(box[2] - box[0], box[3] - box[1]) < 2 * edge:
        return None
    things: list[Thing] = []
    for _ in range(count * TRIES):
        x, y = rng.uniform(box[0] + edge, box[2] - edge), rng.uniform(box[1] + edge, box[3] - edge)
        if all(math.hypot(x - other.x, y - other.y) > 2.15 * radius for other in things):
            things.append(Thing(x, y, radius, rng.uniform(-TILT, TILT)))
            if len(things) == count:
                return tuple(things)
    return None
