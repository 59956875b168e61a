"""A store that makes up what it lists, each page after a while: `python -m benchmarks.slow_store OBJECTS SECONDS`.

A process of its own, so that what it computes does not count. Prints its port. It knows ListObjectsV2 alone. The keys
are those of `benchmarks.listing`, of which it tells all that are not gone.
"""

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

FOLDER = 1000  # objects of each folder, and of a page
HEAD = "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"


def key_of(number: int) -> str:
    """The key of an object; keys are in the order of their numbers."""
    return f"benchmark/{number // FOLDER:05}/{number:09}.jpg"


def is_gone(number: int) -> bool:
    """Whether the table knows the object, and the store has none."""
    return number % 400 == 200


def etag_of(number: int) -> str:
    """The version of an object; a hundredth of those that the table knows have another one there."""
    return f"{number + 1 if number % 400 == 100 else number:032x}"


def row_of(number: int) -> bytes:
    """What the store tells of an object."""
    return (
        f"<Contents><Key>{key_of(number)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
        f"<ETag>&quot;{etag_of(number)}&quot;</ETag><Size>70000</Size><StorageClass>STANDARD</StorageClass></Contents>"
    ).encode()


ROW = row_of(0)
FOLDER_AT, NUMBER_AT, ETAG_AT = ROW.index(b"/00000/") + 1, ROW.index(b"/000000000.") + 1, ROW.index(b";") + 1
HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


def rows_of(numbers: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bytes:
    """What the store tells of objects, made at once so that it takes little of the machine."""
    rows = np.tile(np.frombuffer(ROW, np.uint8), (len(numbers), 1))
    for start, places, base, values in (
        (FOLDER_AT, 5, 10, numbers // FOLDER),
        (NUMBER_AT, 9, 10, numbers),
        (ETAG_AT + 32 - 8, 8, 16, numbers + (numbers % 400 == 100)),
    ):
        for place in range(places):
            rows[:, start + place] = HEX[values // base ** (places - 1 - place) % base]
    return rows.tobytes()


def behind(key: str, objects: int) -> int:
    """The number of the first object whose key follows a key, by bisection."""
    low, high = 0, objects
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if key_of(middle) <= key else (low, middle)
    return low


def answer(query: dict[str, str], objects: int) -> bytes:
    """The page that a request asks for."""
    start = int(query["continuation-token"]) if "continuation-token" in query else 0
    start = behind(query["start-after"], objects) if "start-after" in query and not start else start
    start += is_gone(start)
    wanted = int(query.get("max-keys", FOLDER))
    stop = min(start + wanted, objects)
    told = np.arange(start, stop)
    rows = rows_of(told[told % 400 != 200])
    more = f"<NextContinuationToken>{stop}</NextContinuationToken>" if stop < objects else ""
    cut = "true" if stop < objects else "false"
    count = len(rows) // len(ROW)
    around = f"<IsTruncated>{cut}</IsTruncated><EncodingType>url</EncodingType><KeyCount>{count}</KeyCount>{more}"
    return b"".join((f"{HEAD}{around}".encode(), rows, b"</ListBucketResult>"))


def main() -> None:
    """Serve until the process is ended."""
    objects, pause = int(sys.argv[1]), float(sys.argv[2])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *given: object) -> None:
            pass

        def do_GET(self) -> None:
            due = time.monotonic() + pause
            query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
            body = answer(query, objects)
            time.sleep(max(0, due - time.monotonic()))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
