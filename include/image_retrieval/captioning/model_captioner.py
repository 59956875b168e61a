"""Captions pictures by a model in this process, in batches, and isolates failures."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import structlog
import torch

from image_retrieval.captioning.answers import Answer, Captioned, Fault, answer_of
from image_retrieval.captioning.form import read_text
from image_retrieval.embedding.engine import first_line, is_memory
from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import OutOfMemory
from image_retrieval.models.captioners.loading import LoadedCaptioner

log = structlog.get_logger()
ERRORS = (RuntimeError, MemoryError, ValueError, IndexError)


class ModelCaptioner:
    """Runs a model on batches of `size` images: once per language, or once if it answers in all languages together.

    A smaller batch is padded, so that shapes stay the same. If memory is short, batches are halved permanently. An
    image on which the model fails, although it works on another, is rejected alone.
    """

    def __init__(self, captioner: LoadedCaptioner, languages: Sequence[str], size: int) -> None:
        self._captioner, self._languages, self.size = captioner, languages, size
        self.digest = captioner.digest
        self.on_gpu = captioner.device.type == "cuda"

    def captions(self, batches: Iterable[Batch]) -> Iterator[Captioned]:
        """The answers for the pictures of batches, in order. Raises OutOfMemory if not even one image fits."""
        asked = (None,) if self._captioner.together else tuple(self._languages)
        for batch in batches:
            found = [self._answers(batch.pixels, language) for language in asked]
            yield Captioned(batch.ids, [list(chain(*of_image)) for of_image in zip(*found, strict=True)])

    def _answers(self, pixels: torch.Tensor, language: str | None) -> list[list[Answer]]:
        """For each image, its answers: one in this language, or one in each (None)."""
        if len(pixels) > self.size:
            parts = [self._answers(part, language) for part in torch.split(pixels, self.size)]
            return [answer for part in parts for answer in part]
        try:
            return self._run(pixels, language)
        except ERRORS as error:
            failure = error.with_traceback(None)  # the traceback would keep the batch's memory
        if is_memory(failure):
            self._halve(failure)
            return self._answers(pixels, language)
        if len(pixels) > 1:  # find the image by bisection
            return [answer for half in pixels.tensor_split(2) for answer in self._answers(half, language)]
        self._run(torch.full_like(pixels, 127), language)  # raises if the model or the machine fails
        return [[Answer(reason=Fault.MODEL_FAILED, detail=first_line(failure))] * len(self._asked(language))]

    def _run(self, pixels: torch.Tensor, language: str | None) -> list[list[Answer]]:
        count = len(pixels)
        if count < self.size:
            pixels = torch.cat([pixels, pixels[-1:].expand(self.size - count, *pixels.shape[1:])])
        said = self._captioner.say(pixels, language)[:count]
        if language is None:
            return [read_text(each.text, self._languages, each.new, ended=each.ended) for each in said]
        return [[answer_of(each.text, ended=each.ended, tokens=each.new)] for each in said]

    def _asked(self, language: str | None) -> Sequence[str]:
        return self._languages if language is None else (language,)

    def _halve(self, error: Exception) -> None:
        if self.size == 1:
            raise OutOfMemory(f"out of memory with a single image ({first_line(error)})")
        log.warning("out of memory", batch_size=self.size, continuing_with=self.size // 2, error=first_line(error))
        self.size //= 2
        if self.on_gpu:
            torch.cuda.empty_cache()
