"""Which objects the events of object stores tell of."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.events import uris_of, uris_of_text

S3 = {
    "Records": [
        {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "a+b/%C3%BC.jpg"}}}
    ]
}
AZURE = "/blobServices/default/containers"
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "Records",
                    "s3",
                    "bucket",
                    "name",
                    "object",
                    "key",
                    "events",
                    "oss",
                    "detail",
                    "Message",
                    "message",
                    "attributes",
                ]
            )
            | st.sampled_from(["bucketId", "objectId", "kind", "subject"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=30,
)


@pytest.mark.parametrize(
    ("event", "uris"),
    [
        ({"uris": ["s3://b/a", 7, "file:///c"]}, ["s3://b/a", "file:///c"]),
        (S3, ["s3://b/a b/ü.jpg"]),
        ({"EventName": "s3:ObjectCreated:Put", "Key": "b/a+b/%C3%BC.jpg", **S3}, ["s3://b/a b/ü.jpg"]),
        ({"Type": "Notification", "Message": json.dumps(S3)}, ["s3://b/a b/ü.jpg"]),
        ({"source": "aws.s3", "detail": {"bucket": {"name": "b"}, "object": {"key": "a+b.jpg"}}}, ["s3://b/a+b.jpg"]),
        ({"events": [{"oss": {"bucket": {"name": "b"}, "object": {"key": "a.jpg"}}}]}, ["oss://b/a.jpg"]),
        ({"message": {"attributes": {"bucketId": "b", "objectId": "a+b/ü.jpg"}, "data": "e30="}}, ["gs://b/a+b/ü.jpg"]),
        ({"kind": "storage#object", "bucket": "b", "name": "a%20b.jpg", "size": "7"}, ["gs://b/a%20b.jpg"]),
        (
            [{"subject": f"{AZURE}/b/blobs/c/a b.jpg", "eventType": "Microsoft.Storage.BlobCreated", "data": {}}],
            ["az://b/c/a b.jpg"],
        ),
        ({"subject": AZURE, "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent"}, []),
        ({"key": "/buckets/b/c/a.jpg", "event_type": "create"}, ["s3://b/c/a.jpg"]),
        ([S3, {"uris": ["s3://b/z"]}], ["s3://b/a b/ü.jpg", "s3://b/z"]),
        ({"Event": "s3:TestEvent", "Bucket": "b"}, []),
        ({"key": "/topics/x", "event_type": "create"}, []),
    ],
)
def test_each_senders_form_is_read(event, uris):
    assert list(uris_of(event)) == uris
    assert uris_of_text(json.dumps(event)) == uris


@given(VALUES)
def test_anything_else_has_only_texts(event):
    assert all(isinstance(uri, str) for uri in uris_of(event))


@given(st.text())
def test_what_is_no_json_has_none(text):
    assert isinstance(uris_of_text(text), list)
