"""Keep a PostgreSQL + pgvector table in step with buckets of images, and search it in SQL and from Python."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from image_retrieval.client import Client, CollectionInfo, Hit, Match, Results
    from image_retrieval.errors import UserError
    from image_retrieval.settings import Settings

__version__ = "0.1.0"
__all__ = ["Client", "CollectionInfo", "Hit", "Match", "Results", "Settings", "UserError", "__version__"]
_HOMES = {"Settings": "settings", "UserError": "errors"}  # else the client


def __getattr__(name: str) -> Any:
    """What is loaded when it is first asked for: importing the package itself costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'client')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
