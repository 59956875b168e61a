"""Azure's store: what it refuses, what breaks off, and listings that may be incomplete."""

import logging
import re
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_azure import Answer, blob, entry, listing, odd_azure, refusal

from image_retrieval.errors import UserError
from image_retrieval.objects import (
    AccessRefused,
    ListingIncomplete,
    NameUnsupported,
    NotDeleted,
    ObjectChanged,
    ObjectMissing,
    ObjectStore,
    ObjectTooLarge,
    ObjectUnreadable,
    StoreUnavailable,
    retrying,
)
from image_retrieval.objects.access import access
from image_retrieval.objects.az_client import az_client
from image_retrieval.objects.az_listing import _page
from image_retrieval.objects.retrying import Broken
from image_retrieval.settings import Settings

URI = "az://photos/in/a.jpg"
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)
XML = re.compile("[ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")  # what XML holds as it is
TOLD = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = {"account_key": "a2V5"}


@pytest.fixture
def odd(monkeypatch):
    """Nobody waits long for it."""
    monkeypatch.setattr(retrying, "PAUSE", 0.001)
    monkeypatch.setattr("azure.storage.blob._shared.policies.StorageRetryPolicy.sleep", lambda *_: None)
    monkeypatch.setattr("azure.storage.blob._download.time.sleep", lambda seconds: None)
    with odd_azure() as server:
        yield server


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (404, "BlobNotFound", ObjectMissing, "does not exist"),
        (404, "ContainerNotFound", UserError, "container 'photos' does not exist at .*: create it, or correct"),
        (412, "ConditionNotMet", ObjectChanged, "not the version that was listed"),
        (403, "AuthorizationPermissionMismatch", AccessRefused, "check its rights, or the entry 'az' of IMAGE_RETR"),
        (409, "PublicAccessNotPermitted", AccessRefused, "refuses access"),
        (403, "AuthenticationFailed", StoreUnavailable, "check the entry 'az' .*, and this machine's clock"),
        (401, "NoAuthenticationInformation", StoreUnavailable, "refuses access"),
        (409, "BlobArchived", ObjectUnreadable, "restore it first"),
        (400, "InvalidResourceName", NameUnsupported, "does not accept the name"),
        (503, "ServerBusy", StoreUnavailable, "try again later"),
        (500, "InternalError", StoreUnavailable, "try again later"),
        (418, "Teapot", StoreUnavailable, "try again later"),
    ],
)
def test_what_is_refused_is_told_as_its_own_fault_or_the_stores(odd, status, code, kind, told):
    odd.answer = lambda number: refusal(status, code)
    with pytest.raises(UserError, match=told) as refused:
        odd.objects().read(URI)
    assert refused.type is kind
    assert "never-shown" not in str(refused.value)
    assert len(odd.asked) == (4 if status >= 500 else 1)


def test_who_gives_tokens_is_told_from_the_store(odd):
    odd.answer = lambda number: Answer(401, b"", {"Content-Type": "application/json"})
    with pytest.raises(StoreUnavailable, match=r"^no credentials for az://photos/in/a\.jpg .*an identity of Azure"):
        odd.objects().read(URI, etag="0x1", size=7)


def test_a_signature_is_never_logged(odd, caplog):
    odd.answer = lambda number: blob(b"0123456") if number == 1 else refusal(500, "InternalError")
    entry = {"endpoint_url": f"http://127.0.0.1:{odd.server_port}/account", "sas_token": "sv=1&sig=never-shown"}
    objects = ObjectStore(Settings(stores={"az": entry}))
    with caplog.at_level(logging.DEBUG):
        assert objects.read(URI) == b"0123456"
        with pytest.raises(StoreUnavailable):
            objects.read(URI)
    assert "sig=never-shown" in odd.asked[0][0]
    assert "never-shown" not in caplog.text


def test_of_a_listed_object_an_unknown_refusal_may_be_its_own(odd):
    odd.answer = lambda number: refusal(500, "InternalError")
    with pytest.raises(ObjectUnreadable, match="InternalError"):
        odd.objects().read(URI, etag="0x1", size=7)


def test_a_body_that_breaks_is_read_again_at_the_same_version(odd):
    def answer(number):
        found = blob(b"0123456789")
        found.broken = number < 3
        return found

    odd.answer = answer
    assert odd.objects().read(URI, etag="0x1", size=10) == b"0123456789"
    assert [sent["If-Match"] for _, sent in odd.asked] == ['"0x1"'] * 3


def test_a_body_that_always_breaks_is_given_up(odd):
    def answer(number):
        found = blob(b"0123456789")
        found.broken = True
        return found

    odd.answer = answer
    with pytest.raises(ObjectUnreadable, match=r"in/a\.jpg broke off three times"):
        odd.objects().read(URI)
    assert len(odd.asked) == 3


def test_a_store_that_does_not_look_at_the_condition_is_looked_at(odd):
    odd.answer = lambda number: blob(b"0123456", etag='"0x2"')
    with pytest.raises(ObjectChanged):
        odd.objects().read(URI, etag="0x1", size=7)


def test_another_body_than_was_listed_is_not_taken(odd):
    odd.answer = lambda number: blob(b"<html>Please log in</html>")
    with pytest.raises(ObjectUnreadable, match=r"broke off 5 times: 26 of 7 bytes arrived"):
        odd.objects().read(URI, etag="0x1", size=7)


def test_more_bytes_than_wanted_are_told(odd):
    odd.answer = lambda number: blob(b"0123456")
    with pytest.raises(ObjectTooLarge, match="has 7 bytes, over the limit of 6"):
        odd.objects().read(URI, limit=6)


@pytest.mark.parametrize(
    "spoilt",
    [
        listing(entry("in/a.jpg"), more=""),
        listing(entry("elsewhere")),
        listing(entry("in/a.jpg", etag="")),
        listing(entry("in/a.jpg", size="-1")),
        listing(entry("in/a.jpg", size="")),
        listing(entry("in/a.jpg"), more="<NextMarker>again</NextMarker>"),
        blob(b"<html><body>Please log in</body></html>", status=200, **{"Content-Type": "text/html"}),
        blob(listing(entry("in/a.jpg")).body[:100], status=200, **{"Content-Type": "application/xml"}),
        blob(b"", status=200),
    ],
)
def test_a_listing_that_may_be_incomplete_is_an_error(odd, spoilt):
    odd.answer = lambda number: spoilt
    with pytest.raises(ListingIncomplete, match=r"does not list az://photos/in/ completely: .*; nothing was changed"):
        list(odd.objects().pages("az://photos/in/"))


def test_an_answer_that_is_spoilt_once_is_asked_for_again(odd):
    odd.answer = lambda number: listing(entry("in/a.jpg"), more="" if number < 3 else "<NextMarker />")
    assert [each.key for page in odd.objects().pages("az://photos/in/") for each in page] == ["a.jpg"]


def test_folders_of_a_hierarchical_account_are_no_objects(odd):
    folder = entry("in/sub", size="0", more="<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>")
    odd.answer = lambda number: listing(folder, entry("in/sub/a.jpg"))
    assert [each.key for page in odd.objects().pages("az://photos/in/") for each in page] == ["sub/a.jpg"]


def test_pages_follow_each_other_by_their_markers(odd):
    odd.answer = lambda number: listing(
        *([] if number == 2 else [entry(f"in/{number}.jpg")]),
        more=f"<NextMarker>m{number}</NextMarker>" if number < 3 else "<NextMarker />",
    )
    pages = [[each.key for each in page] for page in odd.objects().pages("az://photos/in/")]
    assert pages == [["1.jpg"], ["3.jpg"]]  # an empty page is no end
    assert ["marker=m" in line for line, _ in odd.asked] == [False, True, True]


def test_names_that_xml_cannot_hold_are_decoded(odd):
    odd.answer = lambda number: listing(
        '<Blob><Name Encoded="true">in%2F%01.jpg</Name>' + entry("x")[len("<Blob><Name>x</Name>") :]
    )
    assert [each.uri for page in odd.objects().pages("az://photos/in/") for each in page] == ["az://photos/in/\x01.jpg"]


@given(st.sets(NAMES), st.data())
def test_an_answer_is_read_whole_or_not_at_all(names, data):
    def written(name):
        if data.draw(st.booleans()) or not XML.fullmatch(name):
            return entry("x").replace("<Name>x", f'<Name Encoded="true">in%2F{quote(name)}')
        return entry(escape(f"in/{name}"))

    body = listing(*map(written, names), more="<NextMarker>next</NextMarker>").body
    page, marker = _page(body, "az://photos/", "in/")
    assert ([each.key for each in page], marker) == (list(names), "next")
    assert all(each.uri == f"az://photos/in/{each.key}" and each.last_modified == TOLD for each in page)
    with pytest.raises(Broken):
        _page(body[: data.draw(st.integers(0, len(body) - 1))], "az://photos/", "in/")


def test_what_is_not_deleted_is_told(odd):
    objects = odd.objects()
    odd.answer = lambda number: refusal(403, "AuthorizationPermissionMismatch")
    with pytest.raises(NotDeleted, match="did not delete 1 of 1 objects, such as az://photos/7") as told:
        objects.delete(["az://photos/7"])
    assert told.value.uris == ["az://photos/7"]
    odd.answer = lambda number: refusal(404, "BlobNotFound")
    objects.delete(["az://photos/8"])  # it is gone


@given(
    st.sampled_from(
        ["az://photos/", "az://photos", "az://photos/a/../b", "az://photos/.", "az://photos/a\\b", "az://photos/\udce9"]
    )
)
def test_a_uri_that_names_no_object_is_told_before_anything_is_sent(uri):
    objects = ObjectStore(Settings(stores={"az": {"endpoint_url": "http://127.0.0.1:9/account", **KEY}}))
    with pytest.raises(NameUnsupported) as told:
        objects.read(uri)
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({**KEY}, "no account of Azure Blob Storage is set: set account of the entry 'az' of .* such as myaccount"),
        ({"endpoint_url": "http://host:1/account"}, "no login for http://host:1/account.*account_key or sas_token"),
        ({"endpoint_url": "ftp://hidden", **KEY}, "endpoint_url of the entry 'az' .* is not an http"),
        ({"endpoint_url": "https://me:hidden@host", **KEY}, "must not contain a user, password or query"),
    ],
)
def test_what_is_missing_or_wrong_is_told_with_its_entry(entry, told):
    with pytest.raises(UserError, match=rf"^[^\n]*{told}") as refused:
        ObjectStore(Settings(stores={"az": entry})).read(URI)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "login"),
    [
        ({"account": "myaccount", **KEY}, "AzureNamedKeyCredential"),
        ({"account": "myaccount", "sas_token": "?sv=1&sig=a"}, "AzureSasCredential"),
        ({"account": "myaccount"}, "DefaultAzureCredential"),
        ({"account": "myaccount", "anonymous": True}, "NoneType"),
    ],
)
def test_each_login_is_azures_own(entry, login):
    with az_client(access("az", Settings(stores={"az": entry}))) as client:
        assert type(client.credential).__name__.replace("SharedKeyCredentialPolicy", "AzureNamedKeyCredential") == login
        assert client.primary_hostname == "myaccount.blob.core.windows.net"
