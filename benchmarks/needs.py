"""What a benchmark needs, told before it measures; and its figures, told whatever happens."""

import argparse
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from image_retrieval.errors import UserError

PACKAGES = {"faiss": "faiss-cpu"}  # whose name is not that of their module


def require(*modules: str) -> None:
    """End in one line where one of these modules cannot be imported."""
    missing = sorted({PACKAGES.get(name, name) for name in modules if importlib.util.find_spec(name) is None})
    if missing:
        raise SystemExit(f"packages are missing: {sys.executable} -m pip install {' '.join(missing)}")


def run(main: Callable[[], None]) -> None:
    """Run a benchmark; what its user can mend is told in one line."""
    try:
        main()
    except UserError as error:
        raise SystemExit(str(error)) from None


def whole(least: int, most: int = 10**9) -> Callable[[str], int]:
    """The type of an argument that is a whole number within bounds."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text[:12]) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def positive(text: str) -> float:
    """The type of an argument that is a number over 0."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number over 0")
    return number


def folder(text: str) -> Path:
    """The type of an argument that is a folder with something in it."""
    path = Path(text)
    if not path.is_dir() or not any(path.iterdir()):
        raise argparse.ArgumentTypeError(f"{text!r} is no folder that holds anything")
    return path


def model(text: str) -> Path:
    """The type of an argument that is a model's folder."""
    path = folder(text)
    if not (path / "config.json").is_file():
        raise argparse.ArgumentTypeError(f"{text!r} holds no config.json")
    return path


@contextmanager
def reported(shown: Callable[[str, Any], str] = "{:<24}{}".format, **facts: Any) -> Iterator[dict[str, Any]]:
    """Figures, which begin with what makes them comparable: printed as a table and as JSON when the block ends.

    Where it fails, those that are there by then are printed with `failed`.
    """
    found = {**facts, "cores": len(os.sched_getaffinity(0))}
    try:
        yield found
    except BaseException as error:
        found["failed"] = type(error).__name__
        raise
    finally:
        for name, value in found.items():
            print(shown(name, value))
        print(json.dumps(found), flush=True)
