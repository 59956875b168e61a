"""Remembers how fast each backend ran a model on this machine, in a file that any process may lose."""

import hashlib
import importlib.metadata
import json
import time
from pathlib import Path
from typing import Annotated

import torch
from pydantic import BaseModel, ConfigDict, Field

from image_retrieval import __version__
from image_retrieval.collection import Dtype
from image_retrieval.private import make_private_folder, write_private
from image_retrieval.settings import Backend, Settings

VALID_SECONDS, AGAIN_SECONDS = 30 * 86400.0, 3600.0  # of a whole trial, and of one that was cut short
MOST_BYTES = 100_000  # of a file
PACKAGES = ("numpy", "onnx", "onnxruntime", "onnxscript", "openvino", "torch", "transformers")
Seconds = Annotated[float, Field(ge=0, le=1e6)]


class Timing(BaseModel):
    """How one backend and dtype ran: why it was refused, or its images a second and the seconds to get it ready."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="forbid")

    backend: Backend
    dtype: Dtype
    images_per_second: Annotated[float, Field(gt=0, le=1e9)] | None = None
    setup_seconds: Seconds = 0.0
    refused: str | None = None

    def __str__(self) -> str:
        rate = f"{self.images_per_second:.1f}" if self.images_per_second else f"refused ({self.refused})"
        return f"{self.backend} {self.dtype} {rate}"


class Timings(BaseModel):
    """What was measured of a model, when (seconds since 1970), and for how many images. Plain torch comes first.

    `whole`: whether the trial came to its end.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, extra="forbid")

    measured_at: float
    images: Annotated[int, Field(ge=1)]
    found: Annotated[tuple[Timing, ...], Field(min_length=1, max_length=20)]
    whole: bool


def timings_file(digest: str, what: tuple[object, ...], settings: Settings) -> Path:
    """The file for a model's digest, its options and size in `what`, this machine, and the installed packages."""
    made_of = [digest, *map(str, what), __version__, _processor(), str(torch.get_num_threads())]
    made_of += [f"{name} {_version(name)}" for name in PACKAGES]
    name = hashlib.sha256("\n".join(made_of).encode()).hexdigest()[:24]
    return settings.local_path / "backends" / f"{name}.json"


def read_timings(path: Path) -> Timings | None:
    """What a former process measured; None if there is nothing, or it is too old or not readable."""
    try:
        with path.open("rb") as stream:
            found = Timings.model_validate_json(stream.read(MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    fresh = 0 <= time.time() - found.measured_at < (VALID_SECONDS if found.whole else AGAIN_SECONDS)
    return found if fresh and found.found[0].images_per_second else None


def write_timings(path: Path, timings: Timings) -> None:
    """Remember what was measured, where the folder can be written."""
    try:
        make_private_folder(path.parent)
        write_private(path, json.dumps(timings.model_dump(), indent=1))
    except OSError:  # a full or read-only disk: the next process measures again
        return


def forget_timings(path: Path) -> None:
    """Let the next process measure again."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return


def _processor() -> str:
    """Name and abilities of this machine's processor, which machines of one name may differ in."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return torch.backends.cpu.get_cpu_capability()
    wanted = ("model name", "flags", "Features", "CPU part")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
