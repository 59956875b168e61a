"""Runs a command of image-retrieval in several processes, as torchrun does, and ends as the first that failed.

`python -m image_retrieval.training.launching 4 training run PACK OUT …`
"""

import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from image_retrieval.exit_codes import MISTAKE, OUTAGE, TERMINATED

USAGE = "image-retrieval: python -m image_retrieval.training.launching PROCESSES COMMAND…: a number of processes first"
NO_PREFIX = "${role_name}"  # which is empty: so lines come as the processes print them
FROM_SIGNAL = 128  # a shell's status of a process that a signal ended, less the signal
CONSEQUENCES = (0, OUTAGE, TERMINATED)  # of another process's end, the likelier the later


def launch(processes: int, arguments: Sequence[str]) -> int:
    """Run the command in so many processes, and return an exit status; if one fails, its last line is printed last."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does
    with tempfile.TemporaryDirectory(prefix="launching-") as work:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=str(uuid.uuid4()),
            role="",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=work, tee=Std.ERR),
            log_line_prefix_template=NO_PREFIX,
        )
        try:
            elastic_launch(config, sys.executable)("-u", "-m", "image_retrieval.cli", *arguments)
        except ChildFailedError as error:
            failure = _cause(list(error.failures.values()))
            print(_last_line(Path(work), failure), file=sys.stderr, flush=True)
            return _status(failure)
        except SignalException as error:
            return FROM_SIGNAL + int(error.sigval)
    return 0


def _cause(failures: list[ProcessFailure]) -> ProcessFailure:
    """The failure that ended the others: one that has lost another process ends so, or is told to end."""

    def late(failure: ProcessFailure) -> tuple[int, bool, int, int]:
        status = _status(failure)
        consequence = CONSEQUENCES.index(status) if status in CONSEQUENCES else 0
        return consequence, failure.exitcode >= 0, failure.timestamp, failure.local_rank

    return min(failures, key=late)


def _status(failure: ProcessFailure) -> int:
    """The exit status that a failure comes to; a process that was killed may do better another time."""
    if failure.exitcode >= 0:
        return failure.exitcode
    return TERMINATED if failure.exitcode == -signal.SIGTERM else OUTAGE


def _last_line(work: Path, failure: ProcessFailure) -> str:
    """The last line that the process printed, or the signal that ended it."""
    if failure.exitcode < 0:
        return f"image-retrieval: process {failure.local_rank} was ended by {failure.signal_name()}"
    (told,) = work.glob(f"*/attempt_0/{failure.local_rank}/stderr.log")
    lines = [line for line in told.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else f"image-retrieval: process {failure.local_rank} ended with {failure.exitcode}"


def main() -> int:
    """Run the command line."""
    if len(sys.argv) < 3 or not sys.argv[1].isdecimal() or int(sys.argv[1]) < 1:
        print(USAGE, file=sys.stderr)
        return MISTAKE
    return launch(int(sys.argv[1]), sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
