"""Reads, writes and deletions on a store that fails in the ways of stores."""

import io
import socket

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from odd_s3 import etag_of

from image_retrieval.embedding.checkpoint import Parts
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.objects import (
    AccessRefused,
    NameUnsupported,
    NotDeleted,
    ObjectChanged,
    ObjectFault,
    ObjectMissing,
    ObjectStore,
    ObjectTooLarge,
    ObjectUnreadable,
    StoreUnavailable,
)
from image_retrieval.objects.retrying import TRIES

URI = "s3://bucket/in/a.jpg"
DATA = bytes(range(256)) * 40


@pytest.fixture
def filled(odd):
    odd.objects = {"in/a.jpg": DATA, "in/b.jpg": b"b"}
    return odd


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", ObjectMissing),
        (404, "NoSuchVersion", ObjectMissing),
        (405, "MethodNotAllowed", ObjectMissing),
        (412, "PreconditionFailed", ObjectChanged),
        (403, "AccessDenied", AccessRefused),
        (400, "KMS.DisabledException", AccessRefused),
        (403, "InvalidObjectState", ObjectUnreadable),
        (400, "KeyTooLongError", NameUnsupported),
    ],
)
def test_a_fault_of_one_object_is_told_as_such(filled, objects, status, code, kind):
    filled.refuse = lambda key, number: (status, code) if key == "in/a.jpg" else None
    with pytest.raises(ObjectFault, match=r"in/a\.jpg") as refused:
        objects.read(URI)
    assert refused.type is kind
    assert objects.read("s3://bucket/in/b.jpg") == b"b"


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (400, "ExpiredToken", "refuses access .* check IMAGE_RETRIEVAL_S3_ENDPOINT_URL"),
        (400, "TokenRefreshRequired", "refuses access"),
        (403, "InvalidAccessKeyId", "refuses access"),
        (403, "SignatureDoesNotMatch", "refuses access"),
        (400, "AuthorizationHeaderMalformed", "refuses access"),
        (403, "RequestTimeTooSkewed", "the clocks of the store and of this machine differ"),
        (403, "RequestExpired", "the clocks"),
        (301, "PermanentRedirect", "check IMAGE_RETRIEVAL_S3_REGION"),
        (503, "SlowDown", "try again later"),
        (429, "TooManyRequests", "try again later"),
        (500, "InternalError", "try again later"),
        (403, "AccountProblem", "try again later"),
        (400, "SomethingNew", "try again later"),
        (418, "ATeapot", "try again later"),
    ],
)
def test_what_is_no_objects_fault_is_the_stores(filled, objects, status, code, says):
    filled.refuse = lambda key, number: (status, code)
    with pytest.raises(StoreUnavailable, match=says) as refused:
        objects.read(URI)
    assert code in str(refused.value)
    assert isinstance(refused.value, Unavailable)  # tasks are tried again


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (400, "SomethingNew"), (418, "ATeapot")])
def test_of_a_listed_object_an_unknown_refusal_may_be_its_own(filled, objects, status, code):
    filled.refuse = lambda key, number: (status, code) if key == "in/a.jpg" else None
    with pytest.raises(ObjectUnreadable, match=code):
        objects.read(URI, etag=etag_of(DATA), size=len(DATA))
    assert objects.read("s3://bucket/in/b.jpg", etag=etag_of(b"b"), size=1) == b"b"


@pytest.mark.parametrize("etag", [None, etag_of(DATA)])
def test_another_body_than_was_listed_is_not_taken_for_the_object(filled, objects, etag):
    filled.instead = lambda key: (b"<html>Please log in</html>", etag)
    with pytest.raises(ObjectUnreadable, match=f"broke off {TRIES} times"):
        objects.read(URI, etag=etag_of(DATA), size=len(DATA))
    filled.instead = lambda key: None
    assert objects.read(URI, etag=etag_of(DATA), size=len(DATA)) == DATA


def test_a_store_that_is_down_is_unavailable(odd):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(StoreUnavailable, match="does not answer"):
        ObjectStore(odd.settings(s3_endpoint_url=f"http://127.0.0.1:{port}")).read(URI)


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_body_that_breaks_is_read_again(filled, objects, how):
    filled.breaks = lambda key, number: how if number < TRIES else None
    assert objects.read(URI, etag=etag_of(DATA)) == DATA
    assert filled.reads == TRIES


@pytest.mark.parametrize("how", ["closed", "reset"])
def test_a_body_that_always_breaks_is_given_up(filled, objects, how):
    filled.breaks = lambda key, number: how
    with pytest.raises(ObjectUnreadable, match=rf"a\.jpg broke off {TRIES} times"):
        objects.read(URI)
    assert filled.reads == TRIES


def test_a_body_that_does_not_come_is_read_again(filled, odd):
    filled.breaks = lambda key, number: "hangs" if number == 1 else None
    assert ObjectStore(odd.settings(s3_timeout_seconds=0.3)).read(URI) == DATA


def test_a_version_that_changed_between_two_tries_is_not_taken(filled, objects):
    def breaks(key, number):
        filled.objects["in/a.jpg"] = b"another"
        return "closed"

    filled.breaks = breaks
    with pytest.raises(ObjectChanged):
        objects.read(URI, etag=etag_of(DATA))


def test_a_store_that_does_not_look_at_the_condition_is_looked_at(filled, objects):
    filled.ignored = {"if-match"}
    assert objects.read(URI, etag=etag_of(DATA)) == DATA
    with pytest.raises(ObjectChanged):
        objects.read(URI, etag="another")


def test_more_bytes_than_wanted_are_not_read(filled, objects):
    assert objects.read(URI, limit=len(DATA)) == DATA
    with pytest.raises(ObjectTooLarge, match=rf"has {len(DATA)} bytes, over the limit of {len(DATA) - 1}"):
        objects.read(URI, limit=len(DATA) - 1)


@pytest.mark.parametrize("ignored", [set(), {"range"}, {"range", "if-match"}])
def test_a_range_is_read_at_its_version_over_a_connection_that_breaks(filled, objects, ignored):
    filled.ignored = ignored
    filled.breaks = lambda key, number: "closed" if number % 2 else None
    assert objects.read_range(URI, (5, 300), etag=etag_of(DATA), limit=len(DATA)) == DATA[5:300]
    assert objects.read_range(URI, (300, 300), etag=etag_of(DATA)) == b""
    with pytest.raises(ObjectChanged):
        objects.read_range(URI, (5, 300), etag="another")


def test_a_store_that_sends_more_than_a_range_is_not_read_to_its_end(filled, objects):
    filled.ignored = {"range"}
    with pytest.raises(ObjectTooLarge, match=f"over the limit of {len(DATA) - 1}"):
        objects.read_range(URI, (5, 300), etag=etag_of(DATA), limit=len(DATA) - 1)


@pytest.mark.parametrize("ignored", [set(), {"range"}])
def test_a_parquet_file_is_read_over_a_connection_that_breaks(odd, objects, ignored):
    table = pa.table({"number": list(range(200_000))})
    file = io.BytesIO()
    pq.write_table(table, file, compression="none")
    odd.objects["shard.parquet"] = file.getvalue()
    odd.ignored = ignored
    odd.breaks = lambda key, number: "closed" if number % 2 else None
    with objects.open("s3://bucket/shard.parquet") as stream:
        assert pq.read_table(stream) == table


def test_a_file_that_is_replaced_while_it_is_open_is_told(filled, objects):
    with objects.open(URI) as stream:
        filled.objects["in/a.jpg"] = b"x" * len(DATA)
        with pytest.raises(ObjectChanged):
            stream.read()


@pytest.mark.parametrize(
    "refused", [(400, "IncompleteBody"), (400, "RequestTimeout"), (503, "SlowDown"), (0, "closed")]
)
def test_a_write_that_breaks_is_done_again(odd, objects, tmp_path, refused):
    odd.refuse_write = lambda key, number: refused if number % 2 else None
    objects.write("s3://bucket/out/a.bin", DATA)
    file = tmp_path / "b.bin"
    file.write_bytes(DATA)
    objects.upload(file, "s3://bucket/out/b.bin")
    assert odd.objects == {"out/a.bin": DATA, "out/b.bin": DATA}


def test_a_write_that_always_breaks_is_the_stores_fault(odd, objects):
    odd.refuse_write = lambda key, number: (400, "IncompleteBody")
    with pytest.raises(StoreUnavailable, match="did not reach the object store"):
        objects.write("s3://bucket/out/a.bin", DATA)


def test_what_is_not_deleted_is_told_and_the_rest_is_gone(odd, objects):
    odd.objects = {f"in/{number}": b"" for number in range(1005)} | {"in/\x01": b""}
    odd.refuse_delete = {"in/7": "AccessDenied", "in/1000": "ObjectLocked", "in/8": "NoSuchKey"}
    with pytest.raises(NotDeleted, match="did not delete 2 of 1006 objects") as told:
        objects.delete([f"s3://bucket/{key}" for key in odd.objects])
    assert sorted(told.value.uris) == ["s3://bucket/in/1000", "s3://bucket/in/7"]
    assert sorted(odd.objects) == ["in/1000", "in/7", "in/8"]


def test_what_is_under_a_prefix_is_deleted_as_far_as_the_store_lets(odd, objects):
    odd.objects = {f"in/{number}": b"" for number in range(10)} | {"other": b""}
    odd.page = 3
    odd.refuse_delete = {"in/4": "AccessDenied"}
    with pytest.raises(NotDeleted) as told:
        objects.delete_under("s3://bucket/in/")
    assert told.value.uris == ["s3://bucket/in/4"]
    assert sorted(odd.objects) == ["in/4", "other"]
    odd.refuse_delete = {}
    objects.delete_under("s3://bucket/in/")
    assert sorted(odd.objects) == ["other"]


@pytest.mark.parametrize("uri", ["s3://bucket/caf\udce9.jpg", "s3://bucket/", "s3://bucket"])
def test_a_uri_that_names_no_object_is_told(odd, objects, uri):
    with pytest.raises(NameUnsupported) as told:
        objects.read(uri)
    assert isinstance(told.value, UserError)
    assert str(told.value).isprintable()


def test_a_store_that_deletes_nothing_spoils_no_embeddings(odd, objects):
    odd.objects = {"work/0.parquet.parts/x/0.parquet": b""}
    odd.refuse_delete = dict.fromkeys(odd.objects, "AccessDenied")
    Parts(objects, "s3://bucket/work/0.parquet", "x").remove()
    assert len(odd.objects) == 1
