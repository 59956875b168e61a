"""What a captioner answers about a picture, and why an answer is no caption."""

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from image_retrieval.embedding.reader import Batch

MOST_LETTERS = 4000  # of a caption
SHOWN = 200  # letters of an answer that is refused
UNWANTED = {"Cc", "Cs", "Co", "Cn"}  # Unicode's control characters, surrogates, private and unassigned ones


class Fault(StrEnum):
    """Why an image has no caption: with `errors.Reason`, the closed list behind `retrieval.uncaptioned.reason`."""

    EMPTY = "empty"
    NO_END = "no_end"
    MODEL_FAILED = "model_failed"
    NONSENSE = "nonsense"
    REFUSED = "refused"
    UNANSWERED = "unanswered"
    NOT_ASKED = "not_asked"  # the budget is spent: never stored

    @property
    def transient(self) -> bool:
        """Whether the same image may get a caption later."""
        return self in (Fault.NONSENSE, Fault.UNANSWERED)


@dataclass(frozen=True, slots=True)
class Answer:
    """A caption, or the reason why there is none."""

    text: str | None = None
    reason: Fault | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Captioned:
    """The ids of a batch of images, and for each image an answer per language."""

    ids: pa.Array
    answers: list[list[Answer]]


class Captioner(Protocol):
    """A model or an endpoint that describes pictures, up to `size` at once, under a digest."""

    digest: str

    @property
    def size(self) -> int: ...

    @property
    def on_gpu(self) -> bool: ...

    def captions(self, batches: "Iterable[Batch]") -> Iterator[Captioned]:
        """The answers for the pictures of batches, in order."""
        ...


def cleaned(text: str) -> str:
    """A text in one line, without characters that no caption needs and a database may refuse."""
    spaced = "".join(" " if letter.isspace() else letter for letter in text)
    return " ".join("".join(letter for letter in spaced if unicodedata.category(letter) not in UNWANTED).split())


def answer_of(text: str, *, ended: bool, tokens: int) -> Answer:
    """A text as a caption, or why it is none: empty, too long, or cut off (not `ended`) after so many `tokens`."""
    text = cleaned(text)
    if not ended:
        return Answer(reason=Fault.NO_END, detail=f"no end within {tokens} tokens: {text[:SHOWN]}")
    if not any(letter.isalnum() for letter in text):
        return Answer(reason=Fault.EMPTY, detail=text[:SHOWN])
    if len(text) > MOST_LETTERS:
        return Answer(reason=Fault.NO_END, detail=f"{len(text)} characters: {text[:SHOWN]}")
    return Answer(text)
