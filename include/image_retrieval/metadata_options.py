"""The keys `metadata` and `attributes_from` of a collection: what describes its images."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

KINDS = ("sidecar", "headers", "tags")
Kind = Literal["sidecar", "headers", "tags"]


def _listed_kinds(value: Any) -> Any:
    kinds = value if isinstance(value, list | tuple) else [] if value is None else [value]
    if not all(kind in KINDS for kind in kinds) or len(set(kinds)) < len(kinds):
        raise ValueError(f"{value!r} is not allowed: use one of {', '.join(map(repr, KINDS))}, or a list of them")
    return tuple(kinds)


Query = Annotated[str, Field(min_length=1, max_length=100_000, pattern=r"\S")]
Metadata = Annotated[tuple[Kind, ...], BeforeValidator(_listed_kinds)]
