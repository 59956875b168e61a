"""Which client a request counts for: a user where one is known, else one network address, however it is written."""

from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network
from typing import Any

from image_retrieval.errors import UserError

PREFIX = 64  # bits of an IPv6 address: one customer has all addresses with the same prefix
USER, NAME = "image_retrieval.user", "image_retrieval.user_name"  # in the scope of a request: who has logged in
VARIABLE = "FORWARDED_ALLOW_IPS"  # uvicorn's own, which Airflow's API server reads, too


def count_for(scope: MutableMapping[str, Any], user: str, name: str | None = None) -> None:
    """Let a request count for a user, whatever address it comes from. `name`: what people know the user by."""
    scope[USER], scope[NAME] = f"user {user}", name or user


def client_of_request(scope: Mapping[str, Any]) -> str:
    """The client that a request counts for, by its scope."""
    user: str | None = scope.get(USER)
    return user or client_of(scope.get("client"))


def name_of_user(scope: Mapping[str, Any]) -> str | None:
    """The name of the user who has logged in; None where there is only a token."""
    name: str | None = scope.get(NAME)
    return name


def client_of(peer: tuple[str, int] | list[str | int] | None) -> str:
    """The client of a scope's `client`: an IPv4 address, an IPv6 network, or "" if it is neither.

    uvicorn sets `client` to the peer of the connection or, if the peer is a proxy that it trusts, to the client that
    the proxy names.
    """
    return _client_at(str(peer[0])) if peer else ""


@lru_cache(maxsize=10_000)
def _client_at(host: str) -> str:
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_interface(f"{address}/{PREFIX}").network)
    return str(address)


def trusted_proxies(given: str) -> list[str]:
    """The addresses and networks of proxies that a variable names, separated by commas.

    Raises UserError for `*` and for networks of all addresses: with them, each client could claim any address.
    """
    proxies = [word.strip() for word in given.split(",") if word.strip()]
    for proxy in proxies:
        try:
            network = ip_network(proxy, strict=False)
        except ValueError:
            raise UserError(f"{VARIABLE}: {proxy[:50]!r} is not an IP address or network: name the proxy's") from None
        if network.prefixlen == 0:
            raise UserError(f"{VARIABLE}: {proxy} trusts everybody: name only the proxies' addresses")
    return proxies
