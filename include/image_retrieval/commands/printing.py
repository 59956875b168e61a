"""Prints results to standard output: JSON for programs, tables for people."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from image_retrieval.values import printable

console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 1000)


def print_json(value: Any) -> None:
    """Print a value as indented JSON; values of other types become text."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under the names of their columns. Each cell is one line."""
    table = Table(*columns, box=None, header_style="bold", pad_edge=False)
    for row in rows:
        table.add_row(*map(printable, row))
    console.print(table)
