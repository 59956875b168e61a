"""A filter in the address of a request, as JSON."""

from typing import Annotated, Any

from fastapi import Query
from pydantic import TypeAdapter, ValidationError

from image_retrieval.service.errors import Refused
from image_retrieval.strict_json import read_json
from image_retrieval.values import Filter

FilterText = Annotated[str, Query(max_length=10_000, description="JSON, as in searches")]
FILTER: TypeAdapter[dict[str, Any]] = TypeAdapter(Filter)


def filter_of(text: str) -> dict[str, Any]:
    """The filter that a text states. Raises Refused (422)."""
    try:
        return FILTER.validate_python(read_json(text))
    except ValueError as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        hint = 'such as {"colour": "red"}, percent-encoded'
        raise Refused(422, "invalid_request", f"filter: {reason}", hint) from None
