"""Calls of the older wire protocol: reads requests, and answers in the form that its client scripts expect.

Answers have `success`, `info`, `error_code` and `error_msg`, like those of hosted services. A failed call is answered
with status 200 and `success` false.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError
from starlette.responses import JSONResponse, Response

from image_retrieval.errors import ImageRejected, UserError
from image_retrieval.objects import ObjectFault
from image_retrieval.service.asking import current
from image_retrieval.service.catalog import shown_collection
from image_retrieval.service.errors import Refused, refusal_of
from image_retrieval.service.legacy import FUNCTIONS, Answer, Members
from image_retrieval.service.legacy_schemas import Call, Pair
from image_retrieval.service.search import compare
from image_retrieval.service.state import SMALL, Service
from image_retrieval.service.streaming import streamed
from image_retrieval.store.collections import collection_names
from image_retrieval.store.failures import DatabaseError
from image_retrieval.strict_json import NotStrict, read_json

T = TypeVar("T")
Page = Sequence[Mapping[str, Any]]
READING = ("list", "get", "db_get", "db_list", "db_search")


@dataclass(frozen=True, slots=True)
class Body:
    """A body as it arrived, and its Content-Encoding."""

    data: bytes
    encoding: str = "identity"


def predict(service: Service, name: str, body: Body) -> Response:
    """Answer one call, valid or not."""
    try:
        form = _form(service, body)
        given = form["input"] if isinstance(form.get("input"), dict) else form
        if "imagea" in given or "imageb" in given:
            return _done(_in_time(_match(service, name, Pair.model_validate(given))))
        call = Call.model_validate(given)
        if call.function_name not in FUNCTIONS:
            message = f"unknown function {call.function_name[:80]!r}: use one of {', '.join(FUNCTIONS)}"
            raise Refused(400, "unknown_function", message)
        model, function = FUNCTIONS[call.function_name]
        found = function(service, model.model_validate(call.function_params))
        if call.function_name in READING:
            _in_time(found)
        return _streamed(service, found) if isinstance(found, Members) else _done({"info": found})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return _failed(400, f"{place}: {first['msg'].removeprefix('Value error, ')}".lstrip(": "))
    except (Refused, UserError, ImageRejected, ObjectFault, UnicodeEncodeError, DatabaseError) as error:
        refused = refusal_of(error)
        detail = f"{refused.code}: {refused.detail}" + (f" ({refused.hint})" if refused.hint else "")
        return _failed(refused.status, detail)


def _in_time(found: T) -> T:
    """Return `found` if the request's time is not over. Raises Refused (503)."""
    current().left()
    return found


def _form(service: Service, body: Body) -> dict[str, Any]:
    if body.encoding != "identity":
        raise Refused(400, "encoded", f"the body is encoded as {body.encoding[:40]!r}: send it unencoded")
    try:
        form = read_json(body.data) if len(body.data) <= SMALL else service.large_json(body.data)
    except NotStrict as error:
        raise Refused(400, "no_json", f"the body is not accepted as JSON: {error}") from None
    if not isinstance(form, dict):
        raise Refused(400, "no_json", "the body is not a JSON object")
    return form


def _done(found: Answer) -> Response:
    return JSONResponse({"success": True, **found, "error_code": None, "error_msg": None})


def _failed(code: int, message: str) -> Response:
    return JSONResponse({"success": False, "info": {}, "error_code": code, "error_msg": message})


def _streamed(service: Service, members: Members) -> Response:
    """The answer, page by page."""

    def parts() -> Iterator[bytes]:
        text, comma = '{"success": true, "info": {"images": [', ""
        for page in members.pages:
            if page:
                text += comma + json.dumps(page, ensure_ascii=False)[1:-1]
                comma = ", "
            if text:
                yield text.encode()
                text = ""
        yield (text + ']}, "error_code": null, "error_msg": null}').encode()

    return streamed(service, parts(), "application/json")


def _match(service: Service, name: str, pair: Pair) -> Answer:
    """`similarity` of 0 to 1 under the model of the collection `name`, or of the first collection if it is unknown."""
    with service.transaction() as connection:
        names = collection_names(connection)
        if not names:
            raise Refused(503, "no_collection", "no collection has a model yet")
        shown = shown_collection(connection, service.settings, name if name in names else names[0])
    a, b = (service.image_vector(service.picture_bytes(given, None), shown) for given in (pair.imagea, pair.imageb))
    return {"similarity": min(1.0, max(0.0, compare(shown, a, b).score))}
