"""The errors of this library."""

from enum import StrEnum


class UserError(Exception):
    """A mistake that the user can correct. The text is one line: what is wrong, where, and what to do."""


class Unavailable(UserError):
    """A service does not answer. The same command may succeed later."""


class Dropped(UserError):
    """The collection no longer exists."""


class OutOfMemory(UserError):
    """The device or the machine has too little memory for a batch. A smaller one may fit."""


class Reason(StrEnum):
    """Why an image is not in the vector table: the closed list behind `retrieval.rejected.reason`."""

    EMPTY_FILE = "empty_file"
    UNSUPPORTED_FORMAT = "unsupported_format"
    RAW = "raw"
    TRUNCATED = "truncated"
    UNDECODABLE = "undecodable"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    DECODER_CRASHED = "decoder_crashed"
    NOT_FINITE = "not_finite"
    MODEL_FAILED = "model_failed"
    NOT_FOUND = "not_found"
    ACCESS_DENIED = "access_denied"
    CHANGED_WHILE_READING = "changed_while_reading"
    UNREACHABLE = "unreachable"
    UNSUPPORTED_NAME = "unsupported_name"
    INVALID_LINE = "invalid_line"

    @property
    def transient(self) -> bool:
        """Whether the same object may succeed in a later run."""
        return self in _TRANSIENT


_TRANSIENT = {
    Reason.NOT_FOUND,
    Reason.ACCESS_DENIED,
    Reason.CHANGED_WHILE_READING,
    Reason.UNREACHABLE,
}


class ImageRejected(Exception):
    """One image cannot be used; the rest of its shard continues."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple[type["ImageRejected"], tuple[Reason, str]]:
        return type(self), (self.reason, self.detail)
