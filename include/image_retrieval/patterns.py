r"""Regular expressions that users write, read by RE2: its time grows with the text alone, whatever the pattern says.

RE2 has no look-around and no back-references. `\d`, `\w` and `\s` stand for letters of every script here, as in Python.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2

LONGEST = 1000  # letters of a pattern
MEMORY = 2 * 2**20  # bytes: a pattern that needs more is refused, and no search takes more
# repeats; brackets with a `]` that does not end the set
TOKEN = re.compile(r"\\.|\{\d*,?\d*\}|\[:\^?[a-z]+:\]|\[\^?\]?|.", re.DOTALL)
MOST_REPEATS = 1000  # RE2 takes larger numbers for letters, or refuses them
DIGITS, LETTERS, SPACES = r"\p{Nd}", r"\p{L}\p{N}_", r"\t-\r\x1c-\x20\x{85}\p{Z}"
SETS = {r"\d": DIGITS, r"\D": r"\P{Nd}", r"\w": LETTERS, r"\s": SPACES}  # within brackets; \W and \S have no such form
ESCAPES = {
    **{r"\d": f"[{DIGITS}]", r"\w": f"[{LETTERS}]", r"\s": f"[{SPACES}]"},
    **{r"\D": f"[^{DIGITS}]", r"\W": f"[^{LETTERS}]", r"\S": f"[^{SPACES}]", r"\Z": r"\z"},
}


def group_names(pattern: str) -> set[str]:
    """The names of a pattern's groups. Raises ValueError, which says what is wrong with it."""
    return set(_compiled(pattern)[1])


def find_groups(pattern: str, text: str) -> dict[str, str | None]:
    """What the groups of a pattern hold where it is first found in a text; nothing where it is not.

    The pattern is one that `group_names` takes.
    """
    regexp, numbers = _compiled(pattern)
    found = regexp.search(text.encode(errors="replace"))
    if found is None:
        return {}
    held = {name: found.group(number) for name, number in numbers.items()}
    return {name: None if part is None else part.decode() for name, part in held.items()}


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> tuple[Any, dict[str, int]]:
    """A pattern for texts in UTF-8, and the numbers of its groups by their names."""
    if len(pattern) > LONGEST:
        raise ValueError(f"has {len(pattern)} characters: at most {LONGEST} are read")
    options = re2.Options()
    options.log_errors, options.max_mem = False, MEMORY
    try:
        regexp = re2.compile("".join(_translated(pattern)).encode(), options)
    except UnicodeEncodeError:
        raise ValueError("holds what is no text: lone surrogates") from None
    except re2.error as error:
        (told,) = error.args
        told = " ".join(told.decode(errors="replace").split())[:100]
        raise ValueError(
            f"is not a regular expression of RE2, which has no look-around and no back-references: {told}"
        ) from None
    return regexp, {name.decode(): number for name, number in regexp.groupindex.items()}


def _translated(pattern: str) -> Iterator[str]:
    """The tokens of a pattern, with what RE2 takes for ASCII only spelled out."""
    within = False
    for token in TOKEN.findall(pattern):
        if token in (r"\C", r"\Q") or (within and token in (r"\W", r"\S")):
            raise ValueError(
                f"has {token}{' within brackets' if within else ''}, which is not taken: list what is meant"
            )
        if token[0] == "{" and not within:
            yield _repeats(token)
        else:
            yield (SETS if within else ESCAPES).get(token, token)
        if token in ("[", "[^", "[]", "[^]"):
            within = True
        elif token == "]":
            within = False


def _repeats(token: str) -> str:
    """`{n}`, `{n,}`, `{n,m}` and `{,m}` with the zero that RE2 wants."""
    if any(len(number) > 4 or int(number) > MOST_REPEATS for number in re.findall(r"\d+", token)):
        raise ValueError(f"is not a regular expression of RE2, which repeats {MOST_REPEATS} times at most")
    return token.replace("{,", "{0,") if token != "{,}" else token
