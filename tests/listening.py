"""What processes listen on, and what SECURITY.md says of it."""

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from image_retrieval.local import airflow, seaweedfs, services

T = TypeVar("T")
ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| (?P<ports>[\d, ]+) \| (?P<what>[^|]+) \| (?P<started>[^|]+) \| `(?P<address>[^`|]+)` \|", re.M)


class Door(NamedTuple):
    """A port, as it is where no other program has it, and the address on which it listens."""

    port: int
    address: str


def stated(started: str) -> set[Door]:
    """The ports that SECURITY.md lists for one way to start."""
    rows = ROW.finditer((ROOT / "SECURITY.md").read_text())
    return {
        Door(int(port), row["address"])
        for row in rows
        if started in row["started"].replace("`", "").split(", ")
        for port in row["ports"].split(", ")
    }


def asked_of_family(pid: int, ask: Callable[[psutil.Process], T]) -> list[T]:
    """What a process and its descendants say, without those that end meanwhile."""
    parent, found = psutil.Process(pid), []
    for process in (parent, *parent.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            found.append(ask(process))
    return found


def listening(pid: int, kind: str = "inet") -> list[tuple[str, int]]:
    """Addresses and ports on which a process and its descendants take connections, or datagrams."""
    sockets = chain(*asked_of_family(pid, lambda process: process.net_connections(kind)))
    return [tuple(socket.laddr) for socket in sockets if socket.status in (psutil.CONN_LISTEN, psutil.CONN_NONE)]


def store_ports(pid: int) -> dict[int, int]:
    """The ports that a store was given, and which these are where no other program has them."""
    given = dict(re.findall(r"^-([\w.]+)=(\d+)$", "\n".join(psutil.Process(pid).cmdline()), re.M))
    first = {f"{name}.port": port for name, port in seaweedfs.FIRST_PORTS.items()}
    first |= {f"{name}.grpc": port + seaweedfs.GRPC for name, port in first.items()}
    return {int(given[name]): port for name, port in first.items()}


def open_doors(folder: Path, *names: str) -> list[Door]:
    """The ports on which these services of a folder listen."""
    known = services._records(folder)
    first = {"postgres": services.FIRST_PORTS["postgres"], "airflow": airflow.FIRST_PORT}
    found = []
    for name in names:
        pid, port = known[name]["pid"], known[name]["port"]
        usual = store_ports(pid) if name == "s3" else {port: first[name]}
        found += [Door(usual.get(number, number), address) for address, number in listening(pid)]
    return found
