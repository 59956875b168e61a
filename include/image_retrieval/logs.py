"""Structured logs: an event and its fields on one line of bounded length, as text or JSON."""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

import structlog

from image_retrieval.redaction import redacted
from image_retrieval.values import printable

LONGEST = 2000  # characters of a field
FRAMES = 20  # of a traceback, the innermost ones
CAUSES = 3  # of an error, at most

Fields = MutableMapping[str, Any]


class _StandardError:
    """The current standard error. If it cannot be written to, the line is dropped and the program continues."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


STREAM = cast(TextIO, _StandardError())  # no io.TextIOBase: Python would flush that after all modules are gone


def configure(log_format: str) -> None:
    """Send log lines to standard error, those of other libraries too, so that standard output holds results only."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_one_line,
    ]
    renderer = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    structlog.configure(processors=[*shared, renderer], logger_factory=structlog.WriteLoggerFactory(file=STREAM))
    handler = logging.StreamHandler(STREAM)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    handler.set_name(__name__)
    root = logging.getLogger()
    root.handlers = [known for known in root.handlers if known.get_name() != __name__] + [handler]


def failure(error: BaseException) -> dict[str, str]:
    """The log fields of an unexpected error: its type, text, frames and causes, without variables."""
    frames = [f"{_place(frame)} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    causes: list[str] = []
    cause = error.__cause__ or error.__context__
    while cause is not None and len(causes) < CAUSES:
        causes.append(f"{type(cause).__name__}: {shown(str(cause), 300)}")
        cause = cause.__cause__ or cause.__context__
    message = {"error": type(error).__name__, "text": shown(str(error)), "where": shown(" > ".join(frames[-FRAMES:]))}
    return message | ({"cause": "; ".join(causes)} if causes else {})


def tell_uncaught(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
    """A `sys.excepthook` that prints an error on one line."""
    if issubclass(kind, KeyboardInterrupt):
        return
    print("image-retrieval: failed: " + ", ".join(f"{k}: {v}" for k, v in failure(error).items()), file=sys.stderr)


def reason(error: BaseException) -> str:
    """What an error says, or else its type, for a field of a line."""
    return shown(" ".join(str(error).split()) or type(error).__name__, 300)


def shown(text: str, longest: int = LONGEST) -> str:
    """A text on one line of bounded length, without secrets in URLs."""
    cut = text[: 2 * longest]
    line = printable(redacted(cut))
    return line if len(line) <= longest and len(cut) == len(text) else f"{line[:longest]}…"


def _place(frame: traceback.FrameSummary) -> str:
    return f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno}"


def _in_one_line(_: Any, __: str, fields: Fields) -> Fields:
    """The fields, each on one line, of bounded length, and without a traceback."""
    error = fields.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    fields.pop("stack_info", None)
    if isinstance(error, BaseException):
        fields.update(failure(error))
    for name, value in fields.items():
        if not name.startswith("_"):  # those are structlog's own
            fields[name] = _bounded(value)
    return fields


def _bounded(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return shown(value)
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
    line = shown(text)
    return value if line == text and isinstance(value, list | dict) else line
