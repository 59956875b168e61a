"""A queue on loopback that speaks as much of SQS as a reader needs: messages come again until they are deleted."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Queue(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lock = threading.Lock()
        self.waiting: dict[str, str] = {}  # bodies by their receipts
        self.taken: dict[str, str] = {}
        self.refuses: str | None = None  # the code of every answer
        self.number = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/123456789012/images"

    def send(self, *bodies: str) -> None:
        with self.lock:
            for body in bodies:
                self.number += 1
                self.waiting[str(self.number)] = body

    def time_out(self) -> None:
        """Show the messages again that were received and not deleted."""
        with self.lock:
            self.waiting |= self.taken
            self.taken.clear()


class _Handler(BaseHTTPRequestHandler):
    server: Queue
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        queue, action = self.server, self.headers["X-Amz-Target"].rpartition(".")[2]
        with queue.lock:
            if queue.refuses:
                self._answer(400, {"__type": f"com.amazonaws.sqs#{queue.refuses}", "message": "no"})
            elif action == "ReceiveMessage":
                given = dict(list(queue.waiting.items())[: asked["MaxNumberOfMessages"]])
                queue.taken |= given
                queue.waiting = {key: body for key, body in queue.waiting.items() if key not in given}
                told = [{"MessageId": key, "ReceiptHandle": key, "Body": body} for key, body in given.items()]
                self._answer(200, {"Messages": told})
            else:
                assert action == "DeleteMessageBatch"
                ids = [entry["Id"] for entry in asked["Entries"]]
                for entry in asked["Entries"]:
                    queue.taken.pop(entry["ReceiptHandle"], None)
                self._answer(200, {"Successful": [{"Id": name} for name in ids], "Failed": []})

    def _answer(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def stand_in_queue() -> Iterator[Queue]:
    with Queue() as queue:
        thread = threading.Thread(target=queue.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield queue
        finally:
            queue.shutdown()
            thread.join()
