"""What the embedded services listen on, and whom they let in."""

import os
import socket
import ssl
import stat
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import httpx
import psutil
import pytest
from listening import asked_of_family, listening, open_doors, stated, store_ports

from image_retrieval.cli import _parser
from image_retrieval.local import services
from image_retrieval.local.certificates import CERTIFICATE, KEY, make_certificate
from image_retrieval.local.processes import HOST, free_port

FOREIGN = {"Origin": "https://evil.example", "Host": "evil.example"}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # as a gRPC client begins
CLOSED = (httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)
INNER = (8888, 9333, 9340, 18333, 18888, 19333, 19340, 23646, 33646)


@pytest.fixture(scope="module")
def store(services_folder: Path) -> dict[int, int]:
    """The store's ports, by what they are where no other program has them."""
    pid = services._records(services_folder)["s3"]["pid"]
    return {usual: port for port, usual in store_ports(pid).items()}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of another store's."""
    folder = tmp_path_factory.mktemp("foreign")
    make_certificate(folder)
    return folder


def test_what_listens_is_what_is_stated(services_folder):
    found = open_doors(services_folder, "postgres", "s3")
    assert set(found) == stated("services up")
    assert len(found) == len(set(found))


def test_no_socket_lies_where_others_reach_it(services_folder):
    pid = services._records(services_folder)["s3"]["pid"]
    sockets = asked_of_family(pid, lambda process: [(process.cwd(), each) for each in process.net_connections("unix")])
    paths = {
        Path(folder, socket.laddr)
        for folder, socket in chain(*sockets)
        if socket.laddr and socket.laddr[0] not in "@\0"
    }
    assert {path.name for path in paths} >= {"s3.sock", "filer.sock"}
    for path in paths:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        # the others take nothing but TLS, as the ports that they belong to
        assert services_folder in path.parents or "-grpc-" in path.name


@pytest.mark.parametrize("usual", INNER)
def test_an_inner_port_answers_nobody_without_the_certificate(store, foreign, usual):
    """Read, list, write, delete, and a web page's question whether it may: in plain text, and over TLS."""
    port = store[usual]
    unknown = ssl._create_unverified_context()
    other = ssl._create_unverified_context()
    other.load_cert_chain(foreign / CERTIFICATE, foreign / KEY)
    for scheme, context in (("http", unknown), ("https", unknown), ("https", other)):
        with httpx.Client(verify=context, trust_env=False, timeout=10, headers=FOREIGN) as client:
            for method, path in (
                ("GET", "/buckets/?limit=1"),
                ("GET", "/dir/assign"),
                ("GET", "/status"),
                ("GET", "/metrics"),
                ("POST", "/buckets/images/attack"),
                ("DELETE", "/buckets/images/?recursive=true"),
                ("OPTIONS", "/buckets/images/x"),
            ):
                try:
                    answer = client.request(method, f"{scheme}://{HOST}:{port}{path}")
                except CLOSED:
                    continue
                assert (scheme, answer.status_code) == ("http", 400), (method, path)
                assert answer.text.strip() == "Client sent an HTTP request to an HTTPS server."
                assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("usual", [port for port in INNER if port > 18_000 and port != 23646])
def test_an_inner_port_speaks_no_grpc_in_plain_text(store, usual):
    with socket.create_connection((HOST, store[usual]), timeout=10) as connection:
        connection.sendall(PREFACE)
        try:
            said = connection.recv(100)
        except ConnectionError:
            said = b""
    assert said[:1] in (b"", b"\x15")  # an alert of TLS; no frame of HTTP/2, which begins with its length


@pytest.mark.parametrize("path", ["/", "/images", "/images/x", "/images?acl", "/?Action=ListUsers&Version=2010-05-08"])
def test_the_s3_port_lets_nobody_in_without_keys(store, path):
    with httpx.Client(base_url=f"http://{HOST}:{store[8333]}", trust_env=False, headers=FOREIGN) as client:
        for method in ("GET", "HEAD", "PUT", "POST", "DELETE"):
            assert not client.request(method, path).is_success, method
        try:
            asked = client.options(path, headers={"Access-Control-Request-Method": "DELETE"})
        except CLOSED:
            return
    assert (asked.is_success, asked.headers.get("access-control-allow-origin")) == (False, None)


def test_nothing_listens_for_other_machines(services_folder):
    for facts in services._records(services_folder).values():
        assert {address for address, _ in listening(facts["pid"])} == {HOST}


def test_the_certificate_is_no_other_users(services_folder):
    for path in (services_folder / "s3").rglob("*"):
        owner = path.lstat()
        assert owner.st_uid == os.geteuid()
    assert stat.S_IMODE((services_folder / "s3").stat().st_mode) == 0o700
    assert "KEY" not in " ".join(psutil.Process(services._records(services_folder)["s3"]["pid"]).cmdline())


def test_the_service_listens_on_what_is_stated(project):
    """`image-retrieval serve` alone, its decoding processes included."""
    (door,) = stated("serve")
    port = free_port(door.port)
    command = [sys.executable, "-m", "image_retrieval.cli", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 60
            while not listening(process.pid) and time.monotonic() < end:
                time.sleep(0.1)
            assert listening(process.pid) == [(door.address, port)]
        finally:
            process.terminate()
    usual = _parser().parse_args(["serve"])
    assert (usual.host, usual.port) == (door.address, door.port)
