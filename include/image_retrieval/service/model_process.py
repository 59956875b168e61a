"""A model in a process of its own: if the process hangs or dies, it is replaced, and the service continues."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from image_retrieval.collection import ModelOptions
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.messages import read_message, write_message
from image_retrieval.settings import Settings
from image_retrieval.timeouts import ended_after

WORKER = (sys.executable, "-m", "image_retrieval.service.model_worker")
PACKAGES = str(Path(__file__).parents[2])
LOAD_SECONDS = 600  # a model may have to be fetched first
# how long torch's threads spin between two steps of a model, about 1 ms: without spinning, each step must wake them;
# with the default of 300,000 they occupy cores that decoders and other requests need
SPINS = "50000"
ENDING = "the service is ending"
Vectors = NDArray[np.float32]


class ModelFailed(Exception):
    """The model failed on one batch."""


class ModelProcess:
    """Embeds one batch after another; for one thread. The process starts with the first batch or `facts`."""

    def __init__(self, model: ModelOptions, settings: Settings, worker: Sequence[str] = WORKER) -> None:
        self._model, self._settings, self._command = model, settings, [*worker, model.model_dump_json()]
        self._process: subprocess.Popen[bytes] | None = None
        self._facts: dict[str, Any] = {}
        self._ended = False

    @property
    def pid(self) -> int | None:
        """The process, while there is one; any thread may ask."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    @property
    def loaded(self) -> dict[str, Any]:
        """The facts of the model that was loaded last; nothing where none was. Any thread may ask."""
        return self._facts

    def facts(self) -> dict[str, Any]:
        """`digest`, `size` (width, height) and `dimensions` of the loaded model. Raises UserError."""
        if self.pid is None:
            self.close()
            self._start()
        return self._facts

    def images(self, pixels: list[bytes], size: tuple[int, int]) -> Vectors:
        """One vector of length 1 for each picture: 8-bit RGB pixels, all of one size (width, height)."""
        return self._embed({"shape": (len(pixels), size[1], size[0], 3)}, b"".join(pixels))

    def texts(self, texts: list[str]) -> Vectors:
        """One vector of length 1 for each text. Raises UserError if the model reads no texts."""
        return self._embed({"texts": texts}, b"")

    def _embed(self, head: dict[str, Any], payload: bytes) -> Vectors:
        """Raises ModelFailed, UserError, and Unavailable if two processes in turn did not answer."""
        for last in (False, True):
            self.facts()
            try:
                with self._limited(self._settings.service_seconds) as process:
                    given, answers = _pipes(process)
                    write_message(given, json.dumps(head).encode())
                    write_message(given, payload)
                    given.flush()
                    found, vectors = json.loads(read_message(answers)), read_message(answers)
                    break
            except (EOFError, BrokenPipeError):
                status = self.close()
                if last:
                    raise Unavailable(f"model {self._model.name!r} ended ({status}) or took too long, twice") from None
        if "refused" in found:
            raise UserError(found["refused"])
        if "failed" in found:
            raise ModelFailed(found["failed"])
        return np.frombuffer(vectors, np.float32).reshape(found["shape"])

    def _start(self) -> None:
        if self._ended:
            raise Unavailable(ENDING)
        environment = {
            "GOMP_SPINCOUNT": SPINS,
            **os.environ,
            **self._settings.environment(),
            "PYTHONPATH": PACKAGES,
            "IMAGE_RETRIEVAL_TOKEN": "",  # a model needs neither of these two
            "IMAGE_RETRIEVAL_DATABASE_URL": "",
        }
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, process_group=0
        )  # a group of its own: Ctrl-C goes to the service alone, which then ends this process
        try:
            with self._limited(LOAD_SECONDS) as process:
                facts = json.loads(read_message(_pipes(process)[1]))
        except EOFError:
            message = f"model {self._model.name!r} does not start: its process ended with {self.close()}"
            raise Unavailable(ENDING if self._ended else message) from None
        if "refused" in facts:
            self.close()
            raise UserError(facts["refused"])
        self._facts = facts

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[subprocess.Popen[bytes]]:
        """The process, which is killed if the block takes longer."""
        assert self._process is not None
        with ended_after(seconds, self._process.kill):
            yield self._process

    def end(self) -> None:
        """End the process for good; any thread may call this."""
        self._ended = True
        process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def close(self) -> int | None:
        """End the process; the next batch starts another. Returns its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        for stream in _pipes(process):
            with suppress(BrokenPipeError):
                stream.close()
        return process.wait()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[Any, Any]:
    return process.stdin, process.stdout
