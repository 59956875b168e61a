"""What becomes of every file of some folders: `python -m benchmarks.corpus FOLDER …`.

Takes each file through the decoding processes as a run does, whatever its name, and counts by folder how many came out
as pictures and how many were rejected for which reason. `--list` prints a line for each file: how it ended, after how
many seconds, and what was told.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import ImageRejected
from image_retrieval.imaging.decoders import Decoders
from image_retrieval.settings import Settings

OPTIONS = ResampleOptions(keep=False)
PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Ending:
    """How a file ended: `picture` or the reason of its rejection, what was told of it, and after how many seconds."""

    path: Path
    end: str
    told: str
    seconds: float


def decoded(path: Path, decoders: Decoders) -> Ending:
    started = time.monotonic()
    try:
        found, _ = decoders.resample(path.read_bytes())
        end, told = PICTURE, f"{found.format} {found.mode} {found.width}×{found.height}"
    except ImageRejected as rejected:
        end, told = str(rejected.reason), rejected.detail
    return Ending(path, end, told, time.monotonic() - started)


def endings(folder: Path, decoders: Decoders, settings: Settings) -> Iterator[Ending]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    with ThreadPoolExecutor(settings.cores) as pool:
        yield from pool.map(lambda path: decoded(path, decoders), files)


def main() -> None:
    """Decode, print a table, then one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--list", action="store_true", help="print a line for each file")
    arguments = parser.parse_args()
    settings = Settings()
    counts: dict[str, Counter[str]] = {}
    slowest = 0.0
    with Decoders(OPTIONS, settings) as decoders:
        for folder in arguments.folders:
            counts[folder.name] = Counter()
            for ending in endings(folder, decoders, settings):
                counts[folder.name][ending.end] += 1
                slowest = max(slowest, ending.seconds)
                if arguments.list:
                    path = ending.path.relative_to(folder.parent)
                    print(f"{ending.end:<20}{ending.seconds:6.2f} s  {path}: {ending.told}")
    ends = [PICTURE, *sorted({end for found in counts.values() for end in found} - {PICTURE})]
    print("".join(f"{head:>20}" for head in ["folder", "files", *ends]))
    for name, found in counts.items():
        print(f"{name:>20}" + "".join(f"{number:>20}" for number in [found.total(), *(found[end] for end in ends)]))
    print(json.dumps({"counts": {name: dict(found) for name, found in counts.items()}, "slowest_s": round(slowest, 2)}))


if __name__ == "__main__":
    main()
