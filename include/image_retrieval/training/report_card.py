"""The gate's report for a person: a page that is read in a minute, and a picture of what both models find."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from PIL import Image, ImageDraw

from image_retrieval.training.gate import BEFORE, NEAREST, START, TRAINED, Example, GateReport
from image_retrieval.training.judging import Figures
from image_retrieval.training.verdict import Difference

CELL, GAP, HEAD = 112, 8, 20  # pixels
WORDS = {"crop": "a part", "re_encoding": "a small copy of low quality", "colour_shift": "other colours"}
HEADS = {TRAINED: "trained", BEFORE: "{}", START: "its start, {}"}
RIGHT, WRONG, PLAIN = (34, 139, 87), (170, 170, 170), (60, 60, 60)


def card(report: GateReport, names: Mapping[str, str]) -> str:
    """The report in Markdown; `names` tells which models the trained one is compared with."""
    shown = {name: report.figures[name] for name in (TRAINED, BEFORE, START) if name in report.figures}
    lines = [
        f"# {report.decision.capitalize()}",
        "",
        f"{report.reason[0].upper()}{report.reason[1:]}.",
        "",
        f"On {report.held_out:,} pictures that the training has not seen, by {report.queries:,} queries:",
        "",
        f"| {_row(HEADS[name].format(names.get(name)) for name in shown)}",
        f"|{'---|' * (1 + len(shown))}",
        *(_row([title, *cells]) for title, cells in _figures(list(shown.values()))),
        "",
        f"Difference of originals found: {_told(report.originals)}; of the same group: {_told(report.groups)}.",
        "RankMe, α-ReQ and LiDAR decide nothing.",
    ]
    return "\n".join(lines) + "\n"


def draw_examples(examples: Sequence[tuple[Example, list[Image.Image]]]) -> Image.Image:
    """Queries, each with the nearest pictures of the trained model and of the one before; the original is framed."""
    columns = 1 + 2 * NEAREST
    canvas = Image.new("RGB", (columns * (CELL + GAP) + 3 * GAP, HEAD + len(examples) * (CELL + GAP) + GAP), "white")
    draw = ImageDraw.Draw(canvas)
    for title, column in (("query", 0), ("trained", 1), ("before", 1 + NEAREST)):
        draw.text((_left(column), 4), title, fill=PLAIN)
    for row, (example, pictures) in enumerate(examples):
        upper = HEAD + GAP + row * (CELL + GAP)
        places = [None, *example.trained, *example.before]
        for column, (place, picture) in enumerate(zip(places, pictures, strict=True)):
            small = picture.copy()
            small.thumbnail((CELL, CELL))
            left = _left(column)
            canvas.paste(small, (left, upper))
            colour = PLAIN if place is None else RIGHT if place == example.right else WRONG
            width = 3 if place == example.right else 1
            draw.rectangle((left, upper, left + small.width - 1, upper + small.height - 1), outline=colour, width=width)
    return canvas


def _left(column: int) -> int:
    """The left edge of a column; the three parts of a row are set apart."""
    return GAP + column * (CELL + GAP) + GAP * ((column > 0) + (column > NEAREST))


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figures(models: Sequence[Figures]) -> Iterator[tuple[str, list[str]]]:
    """The rows of the table: a title, and a cell for each model."""
    for kind in models[0].recall_at_1:
        yield f"originals found by {WORDS[kind]}", [f"{found.recall_at_1[kind]:.1%}" for found in models]
    yield "mean average precision", [f"{found.mean_average_precision:.3f}" for found in models]
    groups = [found.groups for found in models if found.groups is not None]
    if groups:
        yield "nearest ten of the same group", [f"{share:.1%}" for share in groups]
    yield "RankMe", [f"{found.rank_me:.2f}" for found in models]
    yield "α-ReQ", [f"{found.alpha_req:.2f}" for found in models]
    yield "LiDAR", [f"{found.lidar:.2f}" for found in models]


def _told(found: Difference | None) -> str:
    if found is None:
        return "no figure"
    return f"{100 * found.mean:+.1f} points ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
