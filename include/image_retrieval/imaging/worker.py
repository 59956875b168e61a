"""A process that decodes: `python -m image_retrieval.imaging.worker MAX_PIXELS MAX_FRAMES MEMORY_MB [idle]`.

It reports that it is ready, then reads images from standard input and answers on standard output, in messages as
messages.py frames them. An image is two messages: its resample options in JSON, and its bytes. The answer is three
messages: facts in JSON, pixels, and the resampled file. The process gets only bytes, no secret and no address, and ends
when its input ends. With `idle` it runs at the lowest priority.
"""

import json
import os
import resource
import sys
from dataclasses import fields

from image_retrieval.errors import ImageRejected
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import Resampled, encode, resample
from image_retrieval.messages import read_message, write_message
from image_retrieval.picture_options import ResampleOptions


def answer(data: bytes, options: ResampleOptions, limits: Limits) -> tuple[bytes, bytes, bytes]:
    """The three messages that answer an image."""
    try:
        found = resample(data, options, limits)
    except ImageRejected as error:
        return json.dumps({"reason": error.reason, "detail": error.detail}).encode(), b"", b""
    file = encode(found.pixels, options) if options.keep else b""
    return json.dumps(facts_of(found)).encode(), found.pixels, file


def facts_of(found: Resampled) -> dict[str, str | int | None]:
    """The facts about an image, without its pixels, as JSON values."""
    facts = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "pixels"}
    return {**facts, "captured_at": found.captured_at and found.captured_at.isoformat()}


def main() -> None:
    """Answer images until the input ends."""
    max_pixels, max_frames, memory_mb = map(int, sys.argv[1:4])
    limits = Limits(pixels=max_pixels, frames=max_frames)
    resource.setrlimit(resource.RLIMIT_AS, (memory_mb * 2**20, memory_mb * 2**20))
    if sys.argv[4:] == ["idle"]:
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # only where nothing else runs
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # crashes are expected here, and a core dump may be large
    given, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a decoder prints must not reach the answers
    write_message(answers, b"ready")
    answers.flush()
    while True:
        try:
            options, data = ResampleOptions.model_validate_json(read_message(given)), read_message(given)
        except EOFError:
            return
        for message in answer(data, options, limits):
            write_message(answers, message)
        answers.flush()


if __name__ == "__main__":
    main()
