"""Which client a request counts for: one network address, however it is written."""

from ipaddress import IPv6Address, ip_address, ip_interface, ip_network

from image_retrieval.errors import UserError

PREFIX = 64  # bits of an IPv6 address: one customer of a network has all addresses behind them
VARIABLE = "FORWARDED_ALLOW_IPS"  # uvicorn's own, which Airflow's API server reads, too


def client_of(peer: tuple[str, int] | list[str | int] | None) -> str:
    """The client behind a scope's `client`: an IPv4 address, an IPv6 network, or "" for what is neither.

    uvicorn has put there whom a connection comes from, or, where that is a proxy that it trusts, whom this one names.
    """
    try:
        address = ip_address(str(peer[0]).strip("[]").partition("%")[0]) if peer else None
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_interface(f"{address}/{PREFIX}").network)
    return str(address or "")


def trusted_proxies(given: str) -> list[str]:
    """The addresses and networks of proxies that a variable names, separated by commas.

    Raises UserError for `*` and for networks of all addresses: then each client could name itself as it likes.
    """
    proxies = [word.strip() for word in given.split(",") if word.strip()]
    for proxy in proxies:
        try:
            network = ip_network(proxy, strict=False)
        except ValueError:
            raise UserError(f"{VARIABLE}: {proxy[:50]!r} is no address or network of a proxy") from None
        if network.prefixlen == 0:
            raise UserError(f"{VARIABLE}: {proxy} trusts everybody: name the proxies' own addresses")
    return proxies
