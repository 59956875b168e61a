"""Finds the groups of a user's pattern in many texts at once."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from image_retrieval.patterns import arrow_pattern, find_groups


def find_all_groups(pattern: str, texts: Sequence[str], names: Sequence[str]) -> list[list[str | None]]:
    """The named groups of a pattern's first match in each text, a list for each name, as `find_groups` finds them."""
    written = arrow_pattern(pattern)
    if written is None:
        found = [find_groups(pattern, text) for text in texts]
        return [[each.get(name) for each in found] for name in names]
    parts = pc.extract_regex(_strings(texts), written)
    columns = {field.name: column.to_pylist() for field, column in zip(parts.type, parts.flatten(), strict=True)}
    for at in {at for column in columns.values() if "" in column for at, part in enumerate(column) if part == ""}:
        one = find_groups(pattern, texts[at])  # Arrow tells an empty group where there is none
        for name, column in columns.items():
            column[at] = one.get(name)
    return [columns.get(name, [None] * len(texts)) for name in names]


def _strings(texts: Sequence[str]) -> pa.StringArray:
    """The texts as an array; `pa.array` would import pandas if it is installed, which takes 40 MB."""
    encoded = [text.encode(errors="replace") for text in texts]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(each) for each in encoded], out=offsets[1:])
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded)))
