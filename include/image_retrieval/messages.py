"""Messages between a process and its workers: 8 bytes with the length, big-endian, then so many bytes."""

from typing import IO


def write_message(stream: IO[bytes], data: bytes) -> None:
    """Write one message."""
    stream.write(len(data).to_bytes(8, "big"))
    stream.write(data)


def read_message(stream: IO[bytes]) -> bytes:
    """Read one message. Raises EOFError if the other side is gone."""
    head = stream.read(8)
    data = stream.read(int.from_bytes(head, "big")) if len(head) == 8 else b""
    if len(head) < 8 or len(data) < int.from_bytes(head, "big"):
        raise EOFError
    return data
