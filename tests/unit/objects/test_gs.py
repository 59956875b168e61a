"""Google's store: S3's protocol with tokens, with its own condition for writes, and without lists to delete."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from botocore.awsrequest import HeadersDict
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from image_retrieval.errors import UserError
from image_retrieval.objects import AccessRefused, NotDeleted, ObjectStore, StoreUnavailable
from image_retrieval.objects.gs import as_user_metadata
from image_retrieval.settings import Settings

SETTING = "service_account of the entry 'gs' of IMAGE_RETRIEVAL_STORES"


def test_googles_user_metadata_has_the_names_of_s3():
    answer = {"headers": HeadersDict({"X-Goog-Meta-Caption": "a cat", "ETag": "1"})}
    as_user_metadata(answer)
    assert answer["headers"]["x-amz-meta-caption"] == "a cat"


class Issuer(ThreadingHTTPServer):
    """Gives tokens, each valid for `seconds`, for signed requests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked, self.seconds, self.refused = [], 3600, False


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *given):
        pass

    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append(form)
        status, told = 200, {"access_token": f"token-{len(self.server.asked)}", "expires_in": self.server.seconds}
        if self.server.refused:
            status, told = 400, {"error": "invalid_grant", "error_description": "never-shown"}
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def issuer():
    with Issuer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


@pytest.fixture
def account(issuer, private_key):
    """The key file of a service account, as Google writes it."""
    return {
        "type": "service_account",
        "client_email": "reader@project.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": private_key,
        "token_uri": f"http://127.0.0.1:{issuer.server_port}/token",
    }


def reached(odd, **entry):
    return ObjectStore(Settings(stores={"gs": {"endpoint_url": odd.url, **entry}}))


def test_one_token_serves_every_request_until_it_expires(odd, issuer, account):
    objects = reached(odd, service_account=account)
    objects.write("gs://bucket/a b.jpg", b"a")
    etag = objects.stat("gs://bucket/a b.jpg").etag
    assert objects.read("gs://bucket/a b.jpg", etag=etag, size=1) == b"a"
    assert [entry.key for page in objects.pages("gs://bucket/", cuts=[]) for entry in page] == ["a b.jpg"]
    assert {sent["authorization"] for sent in odd.headers} == {"Bearer token-1"}
    assert not any(name.startswith("x-amz-") for sent in odd.headers for name in sent)
    (asked,) = issuer.asked
    assert asked["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


def test_a_token_that_is_about_to_expire_is_replaced(odd, issuer, account):
    issuer.seconds = 60
    objects = reached(odd, service_account=account)
    for _ in range(2):
        objects.write("gs://bucket/a.jpg", b"a")
    assert [sent["authorization"] for sent in odd.headers] == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize("form", ["object", "text", "path"])
def test_the_key_file_may_be_given_as_an_object_a_text_or_a_path(odd, account, tmp_path, form):
    file = tmp_path / "key.json"
    file.write_text(json.dumps(account, indent=1))
    given = {"object": account, "text": file.read_text(), "path": str(file)}[form]
    odd.objects = {"a": b"a"}
    assert reached(odd, service_account=given).read("gs://bucket/a") == b"a"


def test_a_new_object_is_asked_for_as_google_has_it(odd):
    assert reached(odd, anonymous=True).create("gs://bucket/a", b"a")
    assert odd.headers[-1]["x-goog-if-generation-match"] == "0"
    assert not {"if-none-match", "authorization"} & odd.headers[-1].keys()
    odd.refuse_write = lambda key, number: (412, "PreconditionFailed")
    assert not reached(odd, anonymous=True).create("gs://bucket/b", b"b")


def test_names_are_as_they_are_in_version_1_of_listings_too(odd):
    odd.version, odd.tells_encoding, odd.page = 1, False, 2
    odd.objects = dict.fromkeys(("a=%41", "b ü", "c+d", "e&f", "g"), b"")
    objects = reached(odd, anonymous=True)
    assert [entry.key for page in objects.pages("gs://bucket/") for entry in page] == sorted(odd.objects)


def test_objects_are_deleted_one_by_one(odd):
    odd.objects = {f"{number}": b"" for number in range(40)}
    odd.refuse_delete = {"7": "AccessDenied", "8": "NoSuchKey"}
    with pytest.raises(NotDeleted, match="did not delete 1 of 40 objects") as told:
        reached(odd, anonymous=True).delete([f"gs://bucket/{key}" for key in odd.objects])
    assert (told.value.uris, sorted(odd.objects)) == (["gs://bucket/7"], ["7", "8"])


def test_credentials_of_the_environment_count_without_a_login(odd, account, tmp_path, monkeypatch):
    file = tmp_path / "adc.json"
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    odd.objects = {"a": b"a"}
    assert reached(odd).read("gs://bucket/a") == b"a"
    assert odd.headers[-1]["authorization"] == "Bearer token-1"
    file.unlink()
    with pytest.raises(StoreUnavailable, match=f"no credentials for http.*: set {SETTING}, or GOOGLE_APPL"):
        reached(odd).read("gs://bucket/a")


def test_a_refused_service_account_is_told_without_the_answer(odd, issuer, account):
    issuer.refused = True
    with pytest.raises(StoreUnavailable, match=rf"Google gives no token for http.* \(RefreshError\): check {SETTING}"):
        reached(odd, service_account=account).read("gs://bucket/a")
    assert odd.headers == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"type": "service_account", "private_key": "never-shown"}', "is not the key of a service account"),
        ('{"type": "authorized_user", "refresh_token": "never-shown"}', "is not the key of a service account"),
        ("never-shown", "is not JSON"),
        ("[1]", "is not the key of a service account"),
        (None, "cannot be read"),
    ],
)
def test_a_wrong_key_file_is_told_without_its_content(odd, tmp_path, content, told):
    file = tmp_path / "key.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UserError, match=rf"^[^\n]*{SETTING}[^\n]*{told}[^\n]*$") as refused:
        reached(odd, service_account=str(file)).read("gs://bucket/a")
    assert "never-shown" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [(401, "AuthenticationRequired", StoreUnavailable), (403, "AccessDenied", AccessRefused)],
)
def test_what_google_refuses_names_the_entry(odd, status, code, kind):
    odd.refuse = lambda key, number: (status, code)
    with pytest.raises(kind, match="the entry 'gs' of IMAGE_RETRIEVAL_STORES"):
        reached(odd, anonymous=True).read("gs://bucket/a")


def test_without_the_packages_one_line_says_what_to_install(odd, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "image_retrieval.objects.gs", None)
    with pytest.raises(UserError, match=r"^Google Cloud Storage needs packages .* pip install [a-z' \[\]-]+$"):
        reached(odd, anonymous=True).read("gs://bucket/a")
