"""Strict JSON: refuses what Python's reader accepts beyond RFC 8259, and what PostgreSQL cannot store."""

import json
import math
from typing import Any, NoReturn

DEPTH = 50  # of nested objects and lists: deeper ones could be stored, but not shown
PIECE = 2**16  # characters that are counted at once
MOST_VALUES = 100_000  # in objects and lists: reading ten million would take seconds


class NotStrict(json.JSONDecodeError):
    """JSON that is not accepted; `msg` says why, without repeating it."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "", 0)

    def __str__(self) -> str:
        return self.msg


def read_json(given: str | bytes) -> Any:
    """The value of a JSON text. Raises NotStrict, a json.JSONDecodeError.

    Bytes are UTF-8, with or without a byte order mark. It refuses NaN, Infinity and numbers too large for a double,
    duplicate names in one object, NUL and lone surrogates in texts, nesting deeper than DEPTH, and more values than
    MOST_VALUES.
    """
    if _most_values(given) > MOST_VALUES:
        raise NotStrict(f"it has more than {MOST_VALUES} values")
    try:
        text = given.decode("utf-8-sig") if isinstance(given, bytes) else given.removeprefix("\ufeff")
        found = _DECODER.decode(text)
    except UnicodeDecodeError as error:
        raise NotStrict(f"it is not UTF-8 from byte {error.start} on") from None
    except NotStrict:
        raise
    except json.JSONDecodeError as error:
        raise NotStrict(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except RecursionError:
        raise _too_deep() from None
    _check(found)
    return found


def _most_values(given: str | bytes) -> int:
    """An upper bound of the number of values in a JSON text, without parsing it."""
    marks: tuple[Any, ...] = (b",", b"[", b"{") if isinstance(given, bytes) else (",", "[", "{")
    pieces = range(0, len(given), PIECE)  # one call would keep all other threads waiting
    return sum(given.count(mark, at, at + PIECE) for at in pieces for mark in marks)


def is_text(value: str) -> bool:
    """Whether a str is a text that PostgreSQL and UTF-8 can hold: no NUL, no lone surrogate."""
    if "\0" in value:
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _no_number(name: str) -> NoReturn:
    raise NotStrict(f"{name} is not a number in JSON")


def _number(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotStrict("a number is too large")
    return value


def _whole(text: str) -> int:
    _number(text)  # none that is larger than the largest double
    return int(text)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NotStrict("an object has the same name twice")
    return found


_DECODER = json.JSONDecoder(
    parse_constant=_no_number, parse_float=_number, parse_int=_whole, object_pairs_hook=_without_twins
)


def _too_deep() -> NotStrict:
    return NotStrict(f"it is nested deeper than {DEPTH} levels")


def _check(found: Any) -> None:
    level = [found]
    for _ in range(DEPTH + 1):
        if not level:
            return
        within: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                within += value.keys()
                within += value.values()
            elif isinstance(value, list):
                within += value
            elif isinstance(value, str) and not is_text(value):
                raise NotStrict("a text holds NUL characters or lone surrogates")
        level = within
    if level:
        raise _too_deep()
