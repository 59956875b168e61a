"""Drains queues of SQS that get a bucket's events."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from image_retrieval.objects.base import StoreUnavailable
from image_retrieval.objects.s3_client import is_loopback, keep_keys_from_logs
from image_retrieval.settings import Settings

AT_ONCE = 10  # messages of one answer: SQS gives no more
MOST = 100  # answers of one call, so that the caller can look at other things


def drain(queue: str, settings: Settings, take: Callable[[list[str]], None]) -> int:
    """Hand the waiting messages' bodies to `take`, and delete them from the queue once it has returned.

    Messages that it did not take, because it raised or the process ended, come again. Returns how many were deleted.
    Raises StoreUnavailable if the queue does not answer or refuses.
    """
    client = _client(queue, settings)
    deleted = 0
    try:
        for _ in range(MOST):
            messages = client.receive_message(QueueUrl=queue, MaxNumberOfMessages=AT_ONCE).get("Messages", [])
            if not messages:
                break
            take([message["Body"] for message in messages])
            entries = [{"Id": str(at), "ReceiptHandle": each["ReceiptHandle"]} for at, each in enumerate(messages)]
            kept = client.delete_message_batch(QueueUrl=queue, Entries=entries).get("Failed", [])
            deleted += len(messages) - len(kept)
    except ClientError as error:
        raise _unavailable(queue, error.response.get("Error", {}).get("Code", "")) from None
    except BotoCoreError as error:
        raise _unavailable(queue, type(error).__name__) from None
    finally:
        client.close()
    return deleted


def _unavailable(queue: str, code: str) -> StoreUnavailable:
    return StoreUnavailable(f"the queue {queue} cannot be read ({code}): check its URL, its region and the keys")


def _client(queue: str, settings: Settings) -> Any:
    """A client of the queue's own host. The store's keys are taken where they are AWS's, else boto3's own chain."""
    keep_keys_from_logs()
    parts = urlsplit(queue)
    region = re.match(r"sqs\.([a-z0-9-]+)\.", parts.hostname or "")
    key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
    own = not settings.s3_endpoint_url or is_loopback(parts.hostname or "")
    return boto3.client(
        "sqs",
        endpoint_url=f"{parts.scheme}://{parts.netloc}",
        region_name=region[1] if region else settings.s3_region or "us-east-1",
        aws_access_key_id=key.get_secret_value() if own and key else None,
        aws_secret_access_key=secret.get_secret_value() if own and secret else None,
        config=Config(
            connect_timeout=settings.s3_timeout_seconds,
            read_timeout=settings.s3_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": 4},
            proxies={} if is_loopback(parts.hostname or "") else None,
        ),
    )
