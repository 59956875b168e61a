"""Proxies of the environment, which are never used for this machine itself."""

from collections.abc import Mapping, MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_proxied(environment: Mapping[str, str], *schemes: str) -> bool:
    """Whether the environment names a proxy; if schemes are given, one for any of them."""
    wanted = {f"{scheme}_proxy" for scheme in (*schemes, "all")} if schemes else set()
    named = {name.lower() for name, value in environment.items() if value and name.lower().endswith("_proxy")}
    return bool((named & wanted if wanted else named) - {"no_proxy"})


def spare_loopback(environment: MutableMapping[str, str]) -> None:
    """If there are proxies, add loopback to NO_PROXY and no_proxy, so that programs started here reach each other.

    Some programs read one variable, some the other. If only one is set, both get its value.
    """
    if not is_proxied(environment):
        return
    given = {name: environment.get(name, "") for name in ("NO_PROXY", "no_proxy")}
    for name, other in (("NO_PROXY", "no_proxy"), ("no_proxy", "NO_PROXY")):
        hosts = [host.strip() for host in (given[name] or given[other]).split(",") if host.strip()]
        if "*" not in hosts:
            environment[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
