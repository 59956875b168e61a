"""Drawing a layout, at any scale."""

import math
import random

from PIL import Image, ImageDraw

from image_retrieval.scenes.layout import Group, Layout, Thing

Colour = tuple[int, int, int]
INKS: dict[str, Colour] = {
    "red": (208, 44, 48),
    "green": (46, 148, 72),
    "blue": (42, 88, 196),
    "yellow": (236, 196, 40),
    "purple": (126, 58, 160),
    "orange": (236, 122, 32),
}
PAPERS: dict[str, Colour] = {
    "white": (248, 248, 246),
    "grey": (196, 198, 202),
    "beige": (236, 222, 194),
    "pink": (246, 212, 218),
    "pale blue": (198, 220, 240),
    "pale green": (206, 230, 202),
}
RIM = 0.08  # of the radius: it keeps the outline of what is striped or dotted
OVERSAMPLING = 2  # drawn at this scale, then reduced: smooth edges


def draw(layout: Layout, rng: random.Random, scale: float = 1.0) -> Image.Image:
    """The picture of a layout, `scale` times its size; `rng` decides shades and what lies on the ground."""
    scale *= OVERSAMPLING
    image = _ground(layout, rng, scale)
    for group in filter(None, (layout.main, layout.companion)):
        ink = _shade(INKS[group.hue], rng, 18)
        upright = rng.random() < 0.5
        for thing in group.things:
            _paste(image, group, thing, ink, upright, scale)
    return image.reduce(OVERSAMPLING)


def _shade(colour: Colour, rng: random.Random, spread: int) -> Colour:
    red, green, blue = (min(255, max(0, channel + rng.randint(-spread, spread))) for channel in colour)
    return red, green, blue


def _ground(layout: Layout, rng: random.Random, scale: float) -> Image.Image:
    size = (round(layout.width * scale), round(layout.height * scale))
    paper = PAPERS[layout.ground]
    light, dark = (Image.new("RGB", size, _darker(_shade(paper, rng, 4), by)) for by in (1.0, 0.9))
    ramp = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize(size, Image.Resampling.BILINEAR)
    image = Image.composite(dark, light, ramp)
    pen = ImageDraw.Draw(image)
    for _ in range(rng.randint(3, 8)):  # faint lines, so that no ground is a mere gradient
        ends = [(rng.uniform(0, size[0]), rng.uniform(0, size[1])) for _ in range(2)]
        width = max(1, round(rng.uniform(1.5, 5) * scale))
        pen.line(ends, fill=_darker(paper, rng.uniform(0.84, 0.97)), width=width)
    return image


def _darker(colour: Colour, by: float) -> Colour:
    red, green, blue = (int(channel * by) for channel in colour)
    return red, green, blue


def _paste(image: Image.Image, group: Group, thing: Thing, ink: Colour, upright: bool, scale: float) -> None:
    radius = thing.radius * scale
    mask = _mask(group.shape, radius, thing.turn)
    corner = (round(thing.x * scale - radius), round(thing.y * scale - radius))
    fall = max(1, round(0.07 * radius))
    shadow = mask.point(lambda value: value // 4)
    image.paste((60, 60, 70), (corner[0] + fall, corner[1] + fall), shadow)
    image.paste(ink, corner, mask)
    if group.texture != "plain":
        inside = _mask(group.shape, radius, thing.turn, max(1, round(RIM * radius)))
        image.paste(_texture(group.texture, ink, radius, upright), corner, inside)


def _mask(shape: str, radius: float, turn: float, rim: int = 0) -> Image.Image:
    """Where the ink goes: all of a thing, or what is inside its rim."""
    side = round(2 * radius) + 1
    mask = Image.new("L", (side, side))
    pen = ImageDraw.Draw(mask)
    if shape in ("circle", "ring"):
        reach = 0.92 * radius - rim  # of about the area of the others
        pen.ellipse((radius - reach, radius - reach, radius + reach, radius + reach), fill=255)
        if shape == "ring":
            hole = 0.46 * radius + rim
            pen.ellipse((radius - hole, radius - hole, radius + hole, radius + hole), fill=0)
    else:
        pen.polygon(_corners(shape, radius, turn), fill=255, outline=0 if rim else 255, width=rim or 1)
    return mask


def _corners(shape: str, radius: float, turn: float) -> list[tuple[float, float]]:
    if shape == "cross":
        arm = math.atan2(0.31, 0.95)  # half of an arm's width, and its reach
        spokes = [(1.0, -arm), (1.0, arm), (0.44, math.pi / 4)]
        around = [(length, quarter * math.pi / 2 + angle) for quarter in range(4) for length, angle in spokes]
    else:
        count = {"triangle": 3, "square": 4, "star": 10}[shape]
        first = math.pi / 4 if shape == "square" else -math.pi / 2  # upright
        around = [
            (0.45 if shape == "star" and corner % 2 else 1.0, first + 2 * math.pi * corner / count)
            for corner in range(count)
        ]
    return [
        (radius + length * radius * math.cos(turn + angle), radius + length * radius * math.sin(turn + angle))
        for length, angle in around
    ]


def _texture(name: str, ink: Colour, radius: float, upright: bool) -> Image.Image:
    side = round(2 * radius) + 1
    image = Image.new("RGB", (side, side), ink)
    pen = ImageDraw.Draw(image)
    red, green, blue = ((channel + 3 * 255) // 4 for channel in ink)
    pale = (red, green, blue)
    if name == "striped":
        step = radius / 2.2
        for number in range(5):
            start = (number + 0.25) * step
            box = (start, 0, start + 0.45 * step, side) if upright else (0, start, side, start + 0.45 * step)
            pen.rectangle(box, fill=pale)
    elif name == "dotted":
        step, dot = radius / 2.4, 0.13 * radius
        for row in range(6):
            for column in range(6):
                x, y = (column + 0.5 * (row % 2)) * step, row * step
                pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=pale)
    return image
