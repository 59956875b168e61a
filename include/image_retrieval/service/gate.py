"""A client's rights, checked before any of a request's body is read."""

from collections.abc import Awaitable, Callable

from fastapi import Request
from fastapi.params import Depends
from fastapi.routing import APIRoute, APIRouter
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from image_retrieval.service.errors import problem, refusal_of

Check = Callable[[Request], Awaitable[None]]
PASSED = "image_retrieval.passed"  # key of a request's scope: the checks that it has passed
ROUTE = "image_retrieval.route"  # and the path of its route


class Gate:
    """An ASGI app around another one: it makes the checks that a request's route declares."""

    def __init__(self, app: ASGIApp, router: APIRouter, otherwise: Check) -> None:
        """`otherwise` is the check for paths that have no route."""
        self._app, self._router, self._otherwise = app, router, otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        passed = scope.setdefault(PASSED, [])
        try:
            for check in self._checks(scope):
                await check(Request(scope))  # without `receive`: a check cannot read the body
                passed.append(check)
        except Exception as error:
            answer = problem(refusal_of(error))
            answer.headers.update(getattr(error, "headers", None) or {})
            if has_body(scope):  # else the server would keep receiving a body that nobody reads
                answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _checks(self, scope: Scope) -> list[Check]:
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        for route in self._router.routes:
            if isinstance(route, APIRoute) and route.matches(asked)[0] is Match.FULL:
                scope[ROUTE] = route.path
                asked_for = [each.dependency for each in route.dependencies]
                return [each.check for each in asked_for if isinstance(each, Declared)]
        return [self._otherwise]


class Declared:
    """A check as a FastAPI dependency: the route declares it, and the gate has made it before."""

    def __init__(self, check: Check) -> None:
        self.check = check

    async def __call__(self, request: Request) -> None:
        """Raise if the gate did not make this check: a missing gate must not let anybody in."""
        if self.check not in request.scope.get(PASSED, ()):
            raise RuntimeError("no gate has checked the client's rights")


def declared(check: Check) -> Depends:
    """The dependency with which a route declares a check."""
    return Depends(Declared(check))


def route_of(scope: Scope) -> str:
    """The path of a request's route, as it was declared; "" of what is none."""
    path: str = scope.get(ROUTE, "")
    return path


def has_body(scope: Scope) -> bool:
    """Whether a request's headers announce a body."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
