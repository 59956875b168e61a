"""The errors of the client, each a UserError."""

from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.values import printable


class UnknownCollection(UserError):
    """No collection of that name can be searched."""


class ClientClosed(UserError):
    """The client was closed, or belongs to another process."""


class UnusableImage(UserError):
    """A picture cannot be used; `reason` is one of docs/rejected.md."""

    def __init__(self, message: str, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[type["UnusableImage"], tuple[str, Reason]]:
        return type(self), (str(self), self.reason)


def unusable(name: str, rejection: ImageRejected) -> UnusableImage:
    """The error for a rejected picture, with its name."""
    return UnusableImage(printable(f"{name} cannot be used: {rejection}"), rejection.reason)
