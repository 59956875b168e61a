"""Reads statements by name from the .sql files in `sql/`; each statement begins with a line `-- name: …`."""

import re
from functools import cache
from importlib.resources import files

from psycopg import sql


def script(path: str) -> str:
    """The text of an SQL file, by its path in this package."""
    return files("image_retrieval.store").joinpath(path).read_text(encoding="utf-8")


@cache
def _statements(file: str) -> dict[str, str]:
    text = script(f"sql/{file}.sql")
    parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def statement(file: str, name: str, **parts: str | int | sql.Composable) -> sql.Composed:
    """A statement of a file. Each `{part}` is filled in: names as quoted identifiers, numbers as literals."""
    return sql.SQL(_statements(file)[name]).format(**{key: _quoted(value) for key, value in parts.items()})


def _quoted(value: str | int | sql.Composable) -> sql.Composable:
    if isinstance(value, sql.Composable):
        return value
    return sql.Identifier(value) if isinstance(value, str) else sql.Literal(value)
