"""Runs a command of image-retrieval in several processes, as torchrun does, and ends as the first that failed.

`python -m image_retrieval.training.launching 4 training run PACK OUT …`; on each of two machines, counted from 0, with
`--machines=2 --machine=0 --address=HOST:PORT` before the 4, where HOST is machine 0.
"""

import argparse
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from torch.distributed import DistError
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from image_retrieval.exit_codes import MISTAKE, OUTAGE, TERMINATED

PROGRAM = "python -m image_retrieval.training.launching"
NO_PREFIX = "${role_name}"  # which is empty: so lines come as the processes print them
FROM_SIGNAL = 128  # a shell's status of a process that a signal ended, less the signal
CONSEQUENCES = (0, OUTAGE, TERMINATED)  # of another process's end, the likelier the later
PATIENCE = 900  # seconds


@dataclass(frozen=True, slots=True)
class Meeting:
    """Several machines of one training: how many, which this one is, and where the first one listens.

    `group` tells apart trainings that meet at one address, one after the other; `patience`: seconds to wait for others.
    """

    machines: int = 1
    machine: int = 0
    address: str = ""
    group: str = "training"
    patience: int = PATIENCE


def launch(processes: int, arguments: Sequence[str], meeting: Meeting | None = None) -> int:
    """Run the command in so many processes, and return an exit status; if one fails, its last line is printed last."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun does
    meeting = meeting or Meeting()
    with tempfile.TemporaryDirectory(prefix="launching-") as work:
        config = LaunchConfig(
            min_nodes=meeting.machines,
            max_nodes=meeting.machines,
            nproc_per_node=processes,
            role="",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=work, tee=Std.ERR),
            log_line_prefix_template=NO_PREFIX,
            **_rendezvous(meeting),
        )
        try:
            elastic_launch(config, sys.executable)("-u", "-m", "image_retrieval.cli", *arguments)
        except ChildFailedError as error:
            failure = _cause(list(error.failures.values()))
            print(_last_line(Path(work), failure), file=sys.stderr, flush=True)
            return _status(failure)
        except SignalException as error:
            return FROM_SIGNAL + int(error.sigval)
        except DistError as error:
            told = " ".join(str(error).split())[:200]
            print(f"image-retrieval: the machines did not meet at {meeting.address} within {meeting.patience} seconds "
                  f"({told})", file=sys.stderr, flush=True)  # fmt: skip
            return OUTAGE
    return 0


def _rendezvous(meeting: Meeting) -> dict[str, Any]:
    """How the processes find each other: LaunchConfig's arguments."""
    if meeting.machines == 1:
        return {"run_id": str(uuid.uuid4()), "rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0"}
    return {
        "run_id": meeting.group,
        "rdzv_backend": "static",
        "rdzv_endpoint": meeting.address,
        "rdzv_configs": {"rank": meeting.machine, "timeout": meeting.patience},
    }


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


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"image-retrieval: {PROGRAM} PROCESSES COMMAND…: {message}", file=sys.stderr)
        sys.exit(MISTAKE)


def _options() -> argparse.Namespace:
    parser = _Parser(prog=PROGRAM)
    parser.add_argument("--machines", type=int, default=1, metavar="N", help="how many machines train (1)")
    parser.add_argument("--machine", type=int, default=0, metavar="I", help="which of them this one is (0)")
    parser.add_argument("--address", default="", metavar="HOST:PORT", help="where machine 0 listens, the same for all")
    parser.add_argument("--group", default="training", metavar="NAME", help="tells one meeting from another")
    parser.add_argument("--patience", type=int, default=PATIENCE, metavar="SECONDS", help="to wait for others (900)")
    parser.add_argument("processes", type=int, metavar="PROCESSES", help="on this machine")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND", help="of image-retrieval")
    options = parser.parse_args()
    if options.processes < 1 or options.machines < 1 or options.patience < 1:
        parser.error("numbers of at least 1 are needed")
    if not options.command:
        parser.error("a command is needed")
    if not 0 <= options.machine < options.machines:
        parser.error(f"--machine {options.machine}: machines are counted from 0 to {options.machines - 1}")
    host, _, port = options.address.rpartition(":")
    if options.machines > 1 and not (host and port.isdecimal() and 0 < int(port) < 2**16):
        parser.error(f"--address {options.address!r}: HOST:PORT of machine 0 is needed")
    return options


def main() -> int:
    """Run the command line."""
    options = _options()
    names = ("machines", "machine", "address", "group", "patience")
    meeting = Meeting(**{name: getattr(options, name) for name in names})
    return launch(options.processes, options.command, meeting)


if __name__ == "__main__":
    sys.exit(main())
