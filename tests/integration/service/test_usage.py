"""What the service tells of its use agrees with what was asked of it."""

import socket
import time

import psycopg
import requests

from integration.service.conftest import TOKEN


def test_requests_are_counted_by_route_with_their_times(address, things):
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"

    def told(window="hour"):
        answer = session.get(f"{address}/api/service", params={"window": window}, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def route(usage, name):
        found = [each for each in usage["routes"] if each["route"] == name]
        return found[0] if found else {"requests": 0, "refused": 0}

    query = {"collection": "things", "texts": [{"text": "two green squares"}], "k": 3}
    assert session.post(f"{address}/api/search", json=query, timeout=400).status_code == 200
    before = told()
    seconds = []
    for _ in range(20):
        started = time.monotonic()
        assert session.post(f"{address}/api/search", json=query, timeout=60).status_code == 200
        seconds.append(time.monotonic() - started)
    assert session.post(f"{address}/api/search", json={"collection": "no such"}, timeout=60).status_code == 422
    for window in ("hour", "day"):
        after = told(window)
        own, former = route(after, "/api/search"), route(before, "/api/search")
        assert own["requests"] - former["requests"] == 21
        assert own["refused"] - former["refused"] == 1
        assert after["requests"] == sum(step["requests"] for step in after["steps"])
        assert after["failed"] == before["failed"]
        assert after["steps"][-1]["memory"] > after["steps"][-1]["models_memory"] > 0
        [model] = [each for each in after["models"] if each["name"] == "dual"]
        assert model["memory"] > 10 * 2**20
        assert 0 < own["p50"] < 10
    assert session.get(f"{address}/api/service", params={"window": "week"}, timeout=60).status_code == 422
    assert requests.get(f"{address}/api/service", timeout=60).status_code == 401


def test_a_client_that_leaves_is_no_failure(address, served, things):
    def told():
        headers = {"Authorization": f"Bearer {TOKEN}"}
        routes = requests.get(f"{address}/api/service", headers=headers, timeout=60).json()["routes"]
        found = [each for each in routes if each["route"] == "/api/facets"] or [{"refused": 0, "failed": 0}]
        return found[0]["refused"], found[0]["failed"]

    refused, failed = told()
    host, port = address.removeprefix("http://").split(":")
    body = b'{"collection": "things"}'
    head = f"POST /api/facets HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {TOKEN}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with psycopg.connect(served.database()) as connection:
        connection.execute("LOCK TABLE retrieval.image")  # until the connection ends
        with socket.create_connection((host, int(port))) as client:
            client.sendall(head.encode() + body)
            time.sleep(0.5)
        until = time.monotonic() + 30
        while told() == (refused, failed) and time.monotonic() < until:
            time.sleep(0.1)
    assert told() == (refused + 1, failed)
