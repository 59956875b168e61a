"""The request bodies of the older wire protocol."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from image_retrieval.values import Word


def _as_text(given: Any) -> Any:
    """Convert whole numbers to text: scripts number their groups and pictures."""
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _or_empty(given: Any) -> Any:
    return {} if given is None else given


Id = Annotated[Word, BeforeValidator(_as_text)]


class Call(BaseModel):
    """A call of the retrieval service; some scripts wrap it in `input`."""

    function_name: Word
    function_params: Annotated[dict[str, Any], BeforeValidator(_or_empty)] = {}


class Base(BaseModel):
    """The place for pictures. This service has its own store, so it accepts place and keys, but does not use them."""

    backend: Word = "oss"
    root_path: Annotated[str, Field(max_length=1000, pattern=r"^[a-z0-9]+://[^\x00-\x1f\\]+$")]
    oss_io_config: dict[str, Any] = {}


class Database(BaseModel):
    """A database to create."""

    database_name: Word
    feature_dim_dict: dict[str, int] = Field(min_length=1, max_length=1)
    feature_distance_dict: dict[str, str] = Field({}, max_length=1)


class Nothing(BaseModel):
    """No parameters."""


class Named(BaseModel):
    """The name of a database."""

    database_name: Word


class Given(Named):
    """A picture to add to a database."""

    image: str | None = None
    url: str | None = None
    group_id: Id
    intra_id: Id | None = None


class Asked(Named):
    """A picture to search with, in a database."""

    image: str | None = None
    url: str | None = None
    search_topk: int = Field(10, ge=1, le=1000)


class Group(Named):
    """Images of a database: all, those of a group, or the one with an `intra_id`."""

    group_id: Id | None = None
    intra_id: Id | None = None


class Pair(BaseModel):
    """Two pictures to compare."""

    imagea: str
    imageb: str
