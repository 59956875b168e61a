"""Displays results as an aligned table, as pictures in a notebook, and as columns."""

import base64
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from html import escape
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from image_retrieval.errors import Unavailable
from image_retrieval.values import printable

if TYPE_CHECKING:
    import pyarrow
    from PIL.Image import Image

    from image_retrieval.client.results import Hit

ROWS = 20  # of a table; the others are counted
CELLS = 60  # terminal cells of a column
PICTURES = 48  # in a notebook; the others are counted
SIDE = 160  # pixels, the longer side of a thumbnail
MOST_BYTES = 24 * 1024  # of a thumbnail's file
LETTERS = 300  # of a text in HTML
READERS = 8  # pictures that are read from the store at once


def table(collection: str, hits: "Sequence[Hit]", *, calibrated: bool) -> str:
    """Hits under the names of their columns, in lines."""
    head = f"{len(hits)} image{'' if len(hits) == 1 else 's'} of {collection}"
    if not hits:
        return head
    names = ("similarity", *(("score",) if calibrated else ()), "image_id", "image_path")
    rows = [
        (
            f"{hit.similarity:.4f}",
            *((f"{hit.score:.4f}",) if calibrated else ()),
            printable(hit.image_id),
            printable(hit.image_path),
        )
        for hit in hits[:ROWS]
    ]
    widths = [min(CELLS, max(map(cell_len, column))) for column in zip(names, *rows, strict=True)]
    lines = [
        "  ".join(_fitted(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (names, *rows)
    ]
    more = [f"… and {len(hits) - ROWS} more"] if len(hits) > ROWS else []
    return "\n".join([head, *lines, *more])


def _fitted(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1).rstrip() + "…"


def figures(hits: "Sequence[Hit]", *, calibrated: bool) -> str:
    """Hits as pictures with their ids and similarities, in HTML that loads nothing."""
    if not hits:
        return "<p>no image</p>"
    shown = hits[:PICTURES]
    away: list[str] = []

    def thumbnail(hit: "Hit") -> str:
        try:
            return away[0] if away else hit._thumbnail()
        except Unavailable as error:  # the next picture would take as long to fail
            away.append(str(error))
            return away[0]

    with ThreadPoolExecutor(READERS) as pool:
        thumbnails = list(pool.map(thumbnail, shown))
    found = "".join(_figure(hit, picture, calibrated) for hit, picture in zip(shown, thumbnails, strict=True))
    more = f"<p>… and {len(hits) - len(shown)} more</p>" if len(hits) > len(shown) else ""
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px">{found}</div>{more}'


def _figure(hit: "Hit", thumbnail: str, calibrated: bool) -> str:
    box = f"width:{SIDE}px;height:{SIDE}px"
    if thumbnail.startswith("data:"):
        picture = f'<img src="{thumbnail}" alt="{_text(hit.image_id)}" style="{box};object-fit:contain">'
    else:
        style = f"{box};overflow:hidden;font-size:75%;border:1px dashed;box-sizing:border-box;padding:6px"
        picture = f'<div style="{style}">{_text(thumbnail)}</div>'
    value = f"score {hit.score:.3f}" if calibrated else f"{hit.similarity:.4f}"
    tooltip = f"{hit.image_path}\nsimilarity {hit.similarity:.4f}" + (f"\n{hit.caption}" if hit.caption else "")
    caption = (
        f'<figcaption style="font-size:80%;overflow-wrap:anywhere">{_text(hit.image_id, 60)}<br>{value}</figcaption>'
    )
    title = "&#10;".join(_text(line) for line in tooltip.split("\n"))
    return f'<figure title="{title}" style="margin:0;width:{SIDE}px">{picture}{caption}</figure>'


def _text(text: str, most: int = LETTERS) -> str:
    return escape(printable(text if len(text) <= most else text[: most - 1] + "…"))


def data_uri(image: "Image") -> str:
    """A small picture as a data: URI of a JPEG of about MOST_BYTES at most."""
    for quality in (85, 60, 30):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if file.tell() <= MOST_BYTES:
            break
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def arrow_table(rows: list[dict[str, Any]]) -> "pyarrow.Table":
    """The rows of hits as columns; objects and lists are JSON texts."""
    import pyarrow as pa

    numbers = {"similarity": pa.float64(), "score": pa.float64(), "width": pa.int32(), "height": pa.int32()}
    names = (
        "image_id similarity score image_path resampled_image_path group_id intra_id caption width height attributes "
        "unreadable found_by scores"
    )
    schema = pa.schema([(name, numbers.get(name, pa.string())) for name in names.split()])
    texts = [
        {name: _as_json(value) if isinstance(value, dict | list) else value for name, value in row.items()}
        for row in rows
    ]
    return pa.Table.from_pylist(texts, schema=schema)


def _as_json(value: dict[str, Any] | list[Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
