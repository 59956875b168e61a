"""Buckets of the store on this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from image_retrieval.objects.s3_client import keep_keys_from_logs

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@contextmanager
def local_client(endpoint: str, access_key: str, secret_key: str) -> "Iterator[S3Client]":
    """A client of a store on loopback, without retries and without a proxy."""
    keep_keys_from_logs()
    client: S3Client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    try:
        yield client
    finally:
        client.close()


def has_buckets(client: "S3Client", names: tuple[str, ...]) -> bool:
    """Whether the store answers and has these buckets; creates missing ones."""
    try:
        there = {bucket.get("Name") for bucket in client.list_buckets().get("Buckets", [])}
        for name in sorted(set(names) - there):
            client.create_bucket(Bucket=name)
    except (BotoCoreError, ClientError):  # the store listens before it can answer
        return False
    return True
