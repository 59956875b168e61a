r"""Users' regular expressions, matched by RE2, whose time grows linearly with the text whatever the pattern is.

RE2 has no look-around and no back-references. Here `\d`, `\w` and `\s` match characters of every script, as in Python.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import re2

LONGEST = 1000  # characters of a pattern
MEMORY = 2 * 2**20  # bytes: a pattern that needs more is refused, and no search uses more
# repeats; brackets with a `]` that does not close the set
TOKEN = re.compile(r"\\.|\{\d*,?\d*\}|\[:\^?[a-z]+:\]|\[\^?\]?|.", re.DOTALL)
MOST_REPEATS = 1000  # RE2 reads larger numbers literally, or refuses them
DIGITS, LETTERS, SPACES = r"\p{Nd}", r"\p{L}\p{N}_", r"\t-\r\x1c-\x20\x{85}\p{Z}"
SETS = {r"\d": DIGITS, r"\D": r"\P{Nd}", r"\w": LETTERS, r"\s": SPACES}  # inside brackets; \W and \S have no such form
ESCAPES = {
    **{r"\d": f"[{DIGITS}]", r"\w": f"[{LETTERS}]", r"\s": f"[{SPACES}]"},
    **{r"\D": f"[^{DIGITS}]", r"\W": f"[^{LETTERS}]", r"\S": f"[^{SPACES}]", r"\Z": r"\z"},
}


def group_names(pattern: str) -> set[str]:
    """The names of a pattern's groups. Raises ValueError that says what is wrong with the pattern."""
    return set(_compiled(pattern)[1])


def find_groups(pattern: str, text: str) -> dict[str, str | None]:
    """The groups of a pattern's first match in a text; empty if it does not match.

    `group_names` must accept the pattern.
    """
    regexp, numbers = _compiled(pattern)
    found = regexp.search(text.encode(errors="replace"))
    if found is None:
        return {}
    held = {name: found.group(number) for name, number in numbers.items()}
    return {name: None if part is None else part.decode() for name, part in held.items()}


def arrow_pattern(pattern: str) -> str | None:
    """The pattern as Arrow's functions take it, whose RE2 is the same; None where they need names for all groups."""
    regexp, numbers = _compiled(pattern)
    return "".join(_translated(pattern)) if regexp.groups == len(numbers) > 0 else None


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> tuple[Any, dict[str, int]]:
    """A compiled pattern for texts in UTF-8, and the numbers of its groups by name."""
    if len(pattern) > LONGEST:
        raise ValueError(f"has {len(pattern)} characters: at most {LONGEST} are allowed")
    options = re2.Options()
    options.log_errors, options.max_mem = False, MEMORY
    try:
        regexp = re2.compile("".join(_translated(pattern)).encode(), options)
    except UnicodeEncodeError:
        raise ValueError("contains lone surrogates, which are not text") from None
    except re2.error as error:
        (message,) = error.args
        message = " ".join(message.decode(errors="replace").split())[:100]
        raise ValueError(
            f"is not a regular expression of RE2, which has no look-around and no back-references: {message}"
        ) from None
    return regexp, {name.decode(): number for name, number in regexp.groupindex.items()}


def _translated(pattern: str) -> Iterator[str]:
    """The tokens of a pattern; classes that RE2 limits to ASCII are written out for all scripts."""
    within = False
    for token in TOKEN.findall(pattern):
        if token in (r"\C", r"\Q") or (within and token in (r"\W", r"\S")):
            raise ValueError(
                f"has {token}{' within brackets' if within else ''}, which is not supported: list its characters"
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
    """`{n}`, `{n,}`, `{n,m}` and `{,m}` with the zero that RE2 needs."""
    if any(len(number) > 4 or int(number) > MOST_REPEATS for number in re.findall(r"\d+", token)):
        raise ValueError(f"is not a regular expression of RE2, which repeats at most {MOST_REPEATS} times")
    return token.replace("{,", "{0,") if token != "{,}" else token
