"""What the GPUs of this machine are doing, as NVIDIA's own tool tells it."""

import shutil
import subprocess
from dataclasses import dataclass
from functools import cache

import structlog

COLUMNS = "name,utilization.gpu,memory.used,memory.total"  # of `nvidia-smi --help-query-gpu`; %, MiB and MiB
SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU: the share of time in which it computed, 0 to 1, and bytes of memory."""

    name: str
    used: float | None  # None where the GPU does not tell, as one that is divided
    memory: int | None
    memory_total: int | None


def read_gpus() -> tuple[Gpu, ...]:
    """The GPUs that this machine has; none where nvidia-smi is missing or fails."""
    command = _nvidia_smi()
    if command is None:
        return ()
    try:
        told = subprocess.run(
            [command, f"--query-gpu={COLUMNS}", "--format=csv,noheader,nounits"],
            capture_output=True, text=True, timeout=SECONDS, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("nvidia-smi does not answer", error=str(error))
        return ()
    return tuple(_gpu(line) for line in told.stdout.splitlines() if line.count(",") >= COLUMNS.count(","))


@cache
def _nvidia_smi() -> str | None:
    return shutil.which("nvidia-smi")


def _gpu(line: str) -> Gpu:
    name, *values = (part.strip() for part in line.rsplit(",", COLUMNS.count(",")))
    used, memory, total = (float(value) if value.replace(".", "", 1).isdigit() else None for value in values)
    return Gpu(
        name,
        None if used is None else used / 100,
        *(None if each is None else int(each * 2**20) for each in (memory, total)),
    )
