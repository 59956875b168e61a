"""The embedded store is ready when its start returns, however slow the machine."""

from pathlib import Path

import boto3

from image_retrieval.local.processes import HOST, free_port, stop
from image_retrieval.local.seaweedfs import start_seaweedfs


def test_buckets_are_there_as_soon_as_the_store_has_started(tmp_path: Path) -> None:
    port = free_port(8600)
    for wanted in (("one",), ("one", "two")):  # the second start finds what the first one made
        pid = start_seaweedfs(tmp_path, port, "key", "secret", wanted)
        try:
            client = boto3.client(
                "s3",
                endpoint_url=f"http://{HOST}:{port}",
                region_name="us-east-1",
                aws_access_key_id="key",
                aws_secret_access_key="secret",
            )
            client.put_object(Bucket=wanted[-1], Key="at once", Body=b"written")
            assert {bucket["Name"] for bucket in client.list_buckets()["Buckets"]} == set(wanted)
            client.close()
        finally:
            stop({"pid": pid, "started": None})
