"""The gate's report for a person: a page that is read in a minute, and a picture of what both models find."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from image_retrieval.training.gate import BEFORE, NEAREST, TRAINED, Example, GateReport
from image_retrieval.training.judging import Figures
from image_retrieval.training.verdict import Difference

CELL, GAP, HEAD = 112, 8, 20  # pixels
WORDS = {"crop": "a part", "re_encoding": "a small copy of low quality", "colour_shift": "other colours"}
RIGHT, WRONG, PLAIN = (34, 139, 87), (170, 170, 170), (60, 60, 60)


def card(report: GateReport, before: str) -> str:
    """The report in Markdown; `before` names the model that the trained one is compared with."""
    trained, other = report.figures[TRAINED], report.figures[BEFORE]
    rows: list[tuple[str, ...]] = [
        (f"originals found by {WORDS[kind]}", f"{trained.recall_at_1[kind]:.1%}", f"{other.recall_at_1[kind]:.1%}")
        for kind in trained.recall_at_1
    ]
    precision = (f"{found.mean_average_precision:.3f}" for found in (trained, other))
    rows.append(("mean average precision", *precision))
    if trained.groups is not None and other.groups is not None:
        rows.append(("of the nearest, of the same group", f"{trained.groups:.1%}", f"{other.groups:.1%}"))
    rows += [(name, *(f"{value:.2f}" for value in values)) for name, values in _spectra(trained, other).items()]
    lines = [
        f"# {report.decision.capitalize()}",
        "",
        f"{report.reason[0].upper()}{report.reason[1:]}.",
        "",
        f"On {report.held_out:,} pictures that the training has not seen, by {report.queries:,} queries:",
        "",
        f"| | trained | {before} |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
        "",
        f"Difference of originals found: {_told(report.originals)}; of the same group: {_told(report.groups)}.",
        "The last three rows are shown for orientation and decide nothing.",
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


def _spectra(trained: Figures, other: Figures) -> dict[str, tuple[float, float]]:
    return {
        "RankMe": (trained.rank_me, other.rank_me),
        "α-ReQ": (trained.alpha_req, other.alpha_req),
        "LiDAR": (trained.lidar, other.lidar),
    }


def _told(found: Difference | None) -> str:
    if found is None:
        return "no figure"
    return f"{100 * found.mean:+.1f} points ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
