import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from listening import asked_of_family

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected, Reason
from image_retrieval.imaging.decoders import Decoders
from image_retrieval.settings import Settings
from unit.imaging.bombs import gif_of_frames, png_of_zeros, progressive_jpeg, tiff_header
from unit.imaging.pictures import encoded, photo

MEMORY_MB = 1024  # of address space: room for one plane of 14,000 × 14,000, not for more
SIDES = (50_000).to_bytes(4, "big") * 2
PIXELS = "2500000000 pixels"
REFUSED_FOR_SIZE = (
    pytest.param(lambda: png_of_zeros(50_000, 50_000), "2500000000 pixels", id="PNG of 50,000 × 50,000"),
    pytest.param(lambda: tiff_header(50_000, 50_000, 8, 2**31), "2500000000 pixels", id="TIFF of 50,000 × 50,000"),
    pytest.param(lambda: b"8BPS\0\1" + bytes(7) + b"\3" + SIDES + b"\0\x08\0\3" + bytes(14), PIXELS, id="PSD"),
    pytest.param(lambda: b"\1\xda\0\1\0\3" + SIDES[2:4] + SIDES[6:] + b"\0\3" + bytes(500), PIXELS, id="SGI"),
    pytest.param(
        lambda: b"\n\5\1\x08" + bytes(4) + b"\x4f\xc3" * 2 + bytes(53) + b"\1\x50\xc3" + bytes(200), PIXELS, id="PCX"
    ),
    pytest.param(lambda: gif_of_frames(10_000), "10000 frames", id="GIF of 10,000 frames"),
)
ASKING_FOR_MEMORY = (
    pytest.param(
        lambda: progressive_jpeg(14_000, 14_000), {Reason.UNDECODABLE, Reason.TOO_LARGE}, id="progressive JPEG"
    ),
    pytest.param(
        lambda: tiff_header(14_000, 14_000, 2**31, 14_000**2), {Reason.TRUNCATED, Reason.TOO_LARGE}, id="TIFF of 2 GB"
    ),
    pytest.param(
        lambda: tiff_header(14_000, 14_000, 8, 2**32 - 1),
        {Reason.TRUNCATED, Reason.TOO_LARGE},
        id="TIFF with a strip of 4 GB",
    ),
    pytest.param(lambda: png_of_zeros(14_000, 14_000), {Reason.TOO_LARGE, Reason.DECODER_CRASHED}, id="PNG"),
)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    settings = Settings(processes=1, decoder_memory_mb=MEMORY_MB, max_image_seconds=60)
    with Decoders(ResampleOptions(), settings) as started:
        yield started


def peak_mb() -> float:
    """The most memory that a decoding process has had."""
    commands = asked_of_family(os.getpid(), lambda process: (process.pid, process.cmdline()))
    workers = [pid for pid, command in commands if "image_retrieval.imaging.worker" in command]
    statuses = [Path(f"/proc/{pid}/status").read_text() for pid in workers]
    lines = [line for status in statuses for line in status.splitlines() if line.startswith("VmHWM")]
    return max(int(line.split()[1]) / 1024 for line in lines)


def ending(decoders: Decoders, data: bytes) -> str:
    try:
        decoders.resample(data)
    except ImageRejected as rejected:
        return rejected.reason
    return "picture"


@pytest.mark.parametrize(("bomb", "detail"), REFUSED_FOR_SIZE)
def test_a_bomb_is_refused_before_it_is_unfolded(decoders, bomb, detail):
    with pytest.raises(ImageRejected, match=detail) as rejected:
        decoders.resample(bomb())
    assert rejected.value.reason is Reason.TOO_LARGE
    assert peak_mb() < 200


@pytest.mark.parametrize(("bomb", "reasons"), ASKING_FOR_MEMORY)
def test_what_asks_for_too_much_memory_costs_only_itself(decoders, bomb, reasons):
    assert ending(decoders, bomb()) in reasons
    assert peak_mb() < MEMORY_MB
    assert decoders.resample(encoded(photo(64, 48), "JPEG"))[0].format == "JPEG"
