"""Pictures with texts: what a TSV or JSONL file states, what a pack holds, and which texts are the same."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from image_retrieval.errors import UserError
from image_retrieval.models.calibration import text_direction
from image_retrieval.strict_json import NotStrict, read_json

FORMATS = ("tsv", "jsonl")
LONGEST = 2_000  # letters of a text
Numbers = NDArray[np.int64]


class Pair(NamedTuple):
    """A picture's URI, a text, and the text's language."""

    uri: str
    text: str
    language: str


def is_pair_file(name: str) -> bool:
    """Whether a name is that of a TSV or JSONL file."""
    return name.rpartition(".")[2].lower() in FORMATS


def language_of(text: str) -> str:
    """`zh` for a text with a Chinese character, else `en`."""
    return text_direction(text).rpartition("_")[2]


def read_pairs(name: str, data: bytes) -> list[Pair]:
    """The pairs of a file: a TSV of URI, text and, where stated, language, or JSONL of `uri`, `text`, `language`.

    Raises UserError with the line that cannot be used.
    """
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{name} is not UTF-8 (byte {error.start}): save it as UTF-8") from None
    rows = _of_json(name, content) if name.lower().endswith(".jsonl") else _of_tsv(name, content)
    found = [_pair(name, line, row) for line, row in rows]
    if not found:
        raise UserError(f"{name} holds no pair: each line needs the URI of a picture and a text")
    return found


def _of_tsv(name: str, content: str) -> Iterator[tuple[int, Sequence[object]]]:
    rows = csv.reader(io.StringIO(content, newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        yield from ((rows.line_num, row) for row in rows if row)
    except csv.Error as error:
        raise UserError(f"line {rows.line_num} of {name} cannot be read ({error})") from None


def _of_json(name: str, content: str) -> Iterator[tuple[int, Sequence[object]]]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            stated = read_json(line)
        except NotStrict as error:
            raise UserError(f"line {number} of {name} is not JSON: {error}") from None
        if not isinstance(stated, dict):
            raise UserError(f"line {number} of {name} is no JSON object with `uri` and `text`")
        yield number, [stated.get("uri"), stated.get("text"), *([stated["language"]] if stated.get("language") else [])]


def _pair(name: str, line: int, row: Sequence[object]) -> Pair:
    if len(row) not in (2, 3) or not all(isinstance(value, str) and value.strip() for value in row):
        raise UserError(f"line {line} of {name} needs a URI, a text and, if you like, a language, and nothing else")
    uri, text, *language = (str(value).strip() for value in row)
    if len(text) > LONGEST:
        raise UserError(f"line {line} of {name} has a text of {len(text):,} characters: at most {LONGEST:,} are used")
    if "://" not in uri:
        if not uri.startswith("/"):
            raise UserError(f"line {line} of {name} names {uri[:80]!r}: give a URI or an absolute path")
        uri = f"file://{uri}"
    return Pair(uri, text, language[0] if language else language_of(text))


@dataclass(frozen=True, slots=True)
class TextSet:
    """Distinct texts with their languages, and which of them each picture has, as sorted numbers.

    Texts that differ only in case, width or blanks are one. `keys`, ascending, has a number for each pair.
    """

    texts: tuple[str, ...]
    languages: tuple[str, ...]
    of_pictures: tuple[Numbers, ...]
    keys: Numbers

    def hold(self, texts: Numbers, pictures: Numbers) -> NDArray[np.bool_]:
        """(texts, pictures): whether a picture has a text."""
        wanted = pictures[None, :] * len(self.texts) + texts[:, None]
        places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
        found: NDArray[np.bool_] = self.keys[places] == wanted
        return found


def text_set(of_pictures: Iterable[Iterable[tuple[str, str]]]) -> TextSet:
    """The texts of pictures, each with its language. A language that is stated first holds."""
    numbers: dict[str, int] = {}
    texts: list[str] = []
    languages: list[str] = []
    found = []
    for pairs in of_pictures:
        own = set()
        for text, language in pairs:
            number = numbers.setdefault(same(text), len(texts))
            if number == len(texts):
                texts.append(text)
                languages.append(language)
            own.add(number)
        found.append(np.array(sorted(own), np.int64))
    keys = [at * len(texts) + own for at, own in enumerate(found)]
    return TextSet(tuple(texts), tuple(languages), tuple(found), np.concatenate(keys or [np.empty(0, np.int64)]))


def same(text: str) -> str:
    """What texts that count as one have in common."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
