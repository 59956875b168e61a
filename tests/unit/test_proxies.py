import httpcore
import httpx
import pytest
from botocore.utils import get_environ_proxies

from image_retrieval.proxies import LOOPBACK, is_proxied, spare_loopback

NAMES = [f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")]
PROXY = "http://proxy.example:3128"


@pytest.fixture
def environment(monkeypatch):
    """Sets the variables of proxies, and no others of them."""
    for name in [*NAMES, *map(str.upper, NAMES)]:
        monkeypatch.delenv(name, raising=False)

    def change(**values):
        spare_loopback(values)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return values

    return change


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("spared", [{}, {"NO_PROXY": "corp.example"}, {"no_proxy": ""}, {"NO_PROXY": "*"}])
def test_no_proxy_stands_before_loopback_and_one_does_elsewhere(environment, name, spared):
    environment(**{name: PROXY}, **spared)
    for host in ("127.0.0.1", "localhost"):
        assert "http" not in get_environ_proxies(f"http://{host}:8333/")
    elsewhere = get_environ_proxies("http://elsewhere.example/")
    if name.lower() == "http_proxy":
        assert elsewhere.get("http") == (None if "*" in spared.values() else PROXY)
    with httpx.Client() as client:
        for host in (*LOOPBACK[:2], "[::1]"):
            transport = client._transport_for_url(httpx.URL(f"http://{host}:8080/"))
            assert type(transport._pool) is httpcore.ConnectionPool


def test_hosts_that_are_named_already_stay(environment):
    values = environment(HTTPS_PROXY=PROXY, NO_PROXY="a.example, localhost", no_proxy="b.example")
    assert values["NO_PROXY"] == "a.example,localhost,127.0.0.1,::1"
    assert values["no_proxy"] == "b.example,localhost,127.0.0.1,::1"
    again = dict(values)
    spare_loopback(again)
    assert again == values


def test_what_one_variable_says_is_said_by_both(environment):
    values = environment(HTTPS_PROXY=PROXY, NO_PROXY="a.example")
    assert values["no_proxy"] == values["NO_PROXY"]


@pytest.mark.parametrize("values", [{}, {"HTTP_PROXY": ""}, {"NO_PROXY": "a.example"}])
def test_without_a_proxy_nothing_changes(environment, values):
    assert environment(**values) == values


def test_a_proxy_is_of_a_scheme():
    assert is_proxied({"HTTPS_PROXY": PROXY}, "https")
    assert not is_proxied({"HTTPS_PROXY": PROXY}, "http")
    assert is_proxied({"all_proxy": PROXY}, "http")
    assert not is_proxied({"no_proxy": "*"})
