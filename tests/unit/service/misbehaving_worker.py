"""A model's process that misbehaves as the pictures or texts tell it to; a vector holds the size of its batch."""

import json
import os
import sys
import time

import numpy as np

from image_retrieval.messages import read_message, write_message


def vectors(given):
    if "die" in given:
        os._exit(9)
    if "hang" in given:
        time.sleep(60)
    if "fail" in given:
        return None
    return np.array([[len(given), float("nan") if text == "nan" else 0] for text in given], np.float32)


def main():
    name = json.loads(sys.argv[1])["name"]
    if name == "unstartable":
        sys.exit(3)
    refused = {"refused": "no such model"} if name == "unknown" else {"digest": "d", "size": [2, 2], "dimensions": 2}
    write_message(sys.stdout.buffer, json.dumps(refused).encode())
    sys.stdout.buffer.flush()
    while True:
        try:
            head, pixels = json.loads(read_message(sys.stdin.buffer)), read_message(sys.stdin.buffer)
        except EOFError:
            return
        time.sleep(0.1)  # so that others queue up
        given = head.get("texts") or [pixels[at : at + 12].strip(b"\0").decode() for at in range(0, len(pixels), 12)]
        found = vectors(given)
        told = {"failed": "as told"} if found is None else {"shape": found.shape}
        write_message(sys.stdout.buffer, json.dumps(told).encode())
        write_message(sys.stdout.buffer, b"" if found is None else found.tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
