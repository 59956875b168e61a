"""Asks a person at the terminal before something is removed."""

import sys

from image_retrieval.errors import UserError


def agreed(what: str) -> bool:
    """Whether the user at the terminal agrees to drop something. Raises UserError if there is no terminal."""
    if not sys.stdin.isatty():
        raise UserError(f"dropping {what} needs confirmation, but there is no terminal: add --yes")
    print(f"Drop {what}, all of the above? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
