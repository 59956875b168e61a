"""Fetches users' http(s) URLs, without letting them reach into the local network."""

import ipaddress
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import httpcore

from image_retrieval import allowed
from image_retrieval.errors import ImageRejected, Reason, UserError
from image_retrieval.proxies import is_proxied
from image_retrieval.redaction import shown_url
from image_retrieval.settings import Settings

REDIRECTS = 5
PAUSES = (0.2, 0.6)  # seconds before another try after a broken connection
BREAKS = (httpcore.ReadError, httpcore.WriteError, httpcore.RemoteProtocolError)
UNQUOTED = "%/:@!$&'()*+,;=?[]"  # besides letters, digits and -._~
NAT64 = ipaddress.ip_network("64:ff9b::/96")
# networks that Python's is_global wrongly counts as global: protocol assignments, 6to4's relays, 6to4
NOT_GLOBAL = [ipaddress.ip_network(network) for network in ("192.0.0.0/24", "192.88.99.0/24", "2002::/16")]
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")

Resolve = Callable[[str, int], list[str]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Redirect:
    location: str


class Answered(ImageRejected):
    """The server answers with another status than 200."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(_reason(status), detail)
        self.status = status

    def __reduce__(self) -> tuple[type[ImageRejected], tuple[Reason, str]]:
        return ImageRejected, (self.reason, self.detail)


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the system's order of preference."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return [str(address[0]) for *_, address in found]


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet; one that wraps an IPv4 address is judged by that address."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is None and address not in GLOBAL_UNICAST:
            return False
        address = inner or address
    return address.is_global and not address.is_multicast and not any(address in network for network in NOT_GLOBAL)


def fetch(url: str, settings: Settings, *, resolve: Resolve = resolve) -> bytes:
    """The bytes behind an http(s) URL that leads, redirects included, only to public and allowed addresses.

    A broken connection is tried again. Raises as `request`.
    """

    def take(response: httpcore.Response) -> bytes:
        return read_body(response, url, settings.max_image_bytes)

    return request(url, settings, take, pauses=PAUSES, resolve=resolve)


def request(
    url: str,
    settings: Settings,
    take: Callable[[httpcore.Response], T],
    *,
    method: str = "GET",
    pauses: tuple[float, ...] = (),
    before: Callable[[str], None] = lambda url: None,
    resolve: Resolve = resolve,
) -> T:
    """What `take` makes of the answer to a request for an http(s) URL, after its redirects.

    Each host is resolved once, and the connection goes to one of the checked addresses. Proxies of the environment are
    not used. The time limit is for the whole request; only the system's resolver has its own. `pauses`: seconds before
    another try after a broken connection. `before` is called with each URL that is about to be asked, and its time does
    not count. Raises UserError if the URL or an address is refused, and ImageRejected if it cannot be fetched:
    not_found, access_denied, too_large, unreachable.
    """
    network = _Network(settings, resolve)
    with httpcore.ConnectionPool(network_backend=network, max_keepalive_connections=0) as pool:
        for _ in range(1 + REDIRECTS):
            allowed.require(url, settings)
            asked = time.monotonic()
            before(url)
            network.allow(time.monotonic() - asked)
            answer = _retried(partial(_asked, pool, method, url, settings, take), url, pauses)
            if not isinstance(answer, _Redirect):
                return answer
            url = _redirected(url, answer.location)
    raise ImageRejected(Reason.UNREACHABLE, f"{shown_url(url)} comes after more than {REDIRECTS} redirects")


def read_body(response: httpcore.Response, url: str, limit: int) -> bytes:
    """An answer's body. Raises ImageRejected (too_large) if it has more than `limit` bytes."""
    body = bytearray()
    for part in response.iter_stream():
        body += part
        if len(body) > limit:
            raise ImageRejected(Reason.TOO_LARGE, f"{shown_url(url)} has more than the limit of {limit} bytes")
    return bytes(body)


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise ImageRejected(
            Reason.UNREACHABLE, f"{shown_url(url)} redirects to {shown_url(location)}, which is not a URL"
        ) from None


def _retried(ask: Callable[[], T], url: str, pauses: tuple[float, ...]) -> T:
    """The answer; a broken connection is tried again within the whole request's time."""
    for pause in pauses:
        try:
            return ask()
        except BREAKS:
            time.sleep(pause)
    try:
        return ask()
    except BREAKS as error:
        raise _unreachable(url, error) from None


def _asked(
    pool: httpcore.ConnectionPool,
    method: str,
    url: str,
    settings: Settings,
    take: Callable[[httpcore.Response], T],
) -> T | _Redirect:
    shown, target = shown_url(url), target_of(url)
    host = target.host if b":" not in target.host else b"[%b]" % target.host
    headers: dict[str | bytes, str | bytes] = {
        "Host": host if target.port is None else b"%b:%d" % (host, target.port),
        "Accept": "image/*",
        "Accept-Encoding": "identity",
        "User-Agent": "image-retrieval",
    }
    timeouts = dict.fromkeys(("connect", "read", "write", "pool"), settings.url_seconds)
    try:
        with pool.stream(method, target, headers=headers, extensions={"timeout": timeouts}) as response:
            location = header(response, b"location")
            if response.status in (301, 302, 303, 307, 308) and location is not None:
                return _Redirect(location)
            if response.status != 200:
                raise Answered(response.status, f"{shown} answers with status {response.status}")
            return take(response)
    except httpcore.TimeoutException:
        detail = f"{shown} did not arrive within {settings.url_seconds:g} seconds{_hint(target)}"
        raise ImageRejected(Reason.UNREACHABLE, detail) from None
    except (httpcore.ConnectError, httpcore.LocalProtocolError) as error:
        raise _unreachable(url, error) from None


def header(response: httpcore.Response, name: bytes) -> str | None:
    """A header of an answer, by its name in lower case; None if there is none."""
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), None)


def _unreachable(url: str, error: Exception) -> ImageRejected:
    message = str(error) or type(error).__name__
    detail = f"{shown_url(url)} cannot be fetched: {message[:200]}{_hint(target_of(url))}"
    return ImageRejected(Reason.UNREACHABLE, detail)


def _hint(target: httpcore.URL) -> str:
    """A hint if a proxy is set. It is not used: it would resolve the host itself, and might reach internal hosts."""
    return "; proxies are not used for users' URLs" if is_proxied(os.environ, target.scheme.decode()) else ""


def _reason(status: int) -> Reason:
    return {401: Reason.ACCESS_DENIED, 403: Reason.ACCESS_DENIED, 404: Reason.NOT_FOUND, 410: Reason.NOT_FOUND}.get(
        status, Reason.UNREACHABLE
    )


def target_of(url: str) -> httpcore.URL:
    """Parse a URL once, so that the checked URL is the one that is requested. Raises UserError."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").encode("idna"), parts.port
    except ValueError:
        raise UserError(f"{shown_url(url)} is not a URL: give http(s)://host/path") from None
    if parts.scheme not in ("http", "https") or not host or parts.username is not None:
        raise UserError(f"{shown_url(url)} is not accepted: give http(s)://host/path, without user and password")
    target = quote(parts.path or "/", safe=UNQUOTED) + (f"?{quote(parts.query, safe=UNQUOTED)}" if parts.query else "")
    return httpcore.URL(scheme=parts.scheme.encode(), host=host, port=port, target=target.encode())


class _Network(httpcore.NetworkBackend):
    """Connects only to checked addresses, and ends connections when the time of the whole fetch is over."""

    def __init__(self, settings: Settings, resolve: Resolve) -> None:
        self._resolve, self._any, self._seconds = resolve, settings.allow_private_urls, settings.url_seconds
        self._deadline = time.monotonic() + settings.url_seconds
        self._system = httpcore.SyncBackend()

    def allow(self, seconds: float) -> None:
        """Put the end of the time off."""
        self._deadline += seconds

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            if not self._any:
                raise _not_public(host) from None
            raise httpcore.ConnectError(f"host {host!r} is not known ({error})") from None
        if not self._any and not (addresses and all(map(is_public, addresses))):
            raise _not_public(host)
        failed: Exception = httpcore.ConnectError(f"host {host!r} has no address")
        for address in addresses:
            try:
                left = _left(self._deadline)
                stream = self._system.connect_tcp(address, port, left, local_address, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        if not self._any:
            raise httpcore.ConnectError("no connection") from None  # the same for closed and silent ports
        raise failed


def _not_public(host: str) -> UserError:
    """The same message for an unknown name and an internal one, so that it does not reveal internal names."""
    return UserError(
        f"host {host!r} has no public address: URLs may not reach into this network, unless "
        "IMAGE_RETRIEVAL_ALLOW_PRIVATE_URLS=true"
    )


class _Stream(httpcore.NetworkStream):
    """A stream in which each step ends when the time of the whole fetch is over."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _Stream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """The seconds until the deadline. Raises the client's timeout error after it."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left
