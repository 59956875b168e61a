"""The older wire protocol of hosted retrieval and matching services: POST /api/predict/<service>."""

from typing import Annotated, Any

from fastapi import Depends, Path, Request
from starlette.responses import Response

from image_retrieval.service import predicting
from image_retrieval.service.bodies import strict_router
from image_retrieval.service.origins import refuse_other_sites
from image_retrieval.service.state import Service

BODY: dict[str, Any] = {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}


async def _body(request: Request) -> predicting.Body:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    return predicting.Body(await request.body(), encoding)


def router(service: Service) -> Any:
    """The routes of one service."""
    routes = strict_router(prefix="/api/predict", tags=["older protocol"], dependencies=[Depends(refuse_other_sites)])

    @routes.post("/{name}", openapi_extra={"requestBody": BODY})
    def predict(
        name: Annotated[str, Path(max_length=100)], body: Annotated[predicting.Body, Depends(_body)]
    ) -> Response:
        """One call of the older protocol, as JSON under any Content-Type: `function_name` and `function_params`, or
        `imagea` and `imageb`.
        """
        return predicting.predict(service, name, body)

    return routes
