"""Asks an OpenAI-compatible server for captions, within bounds of requests at once, tries, seconds and bytes."""

import base64
import io
import json
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx2
import structlog
import torch
from PIL import Image

from image_retrieval.batches import in_order
from image_retrieval.caption_options import CaptionEndpoint, CaptionOptions
from image_retrieval.captioning.answers import Answer, Captioned, Fault, cleaned
from image_retrieval.captioning.form import endpoint_digest, form, read_answer, tokens_of
from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import Unavailable, UserError
from image_retrieval.models.captioners.question import most_tokens, question
from image_retrieval.redaction import redacted, shown_url
from image_retrieval.settings import Settings

log = structlog.get_logger()
MOST_BYTES = 2**20  # of an answer
PAUSES = (1.0, 4.0, 15.0)  # seconds before the second, third, fourth and each later try
MOST_WAIT = 60.0  # seconds that a server may ask for
IN_A_ROW = 5  # images that fail one after another, before the endpoint itself counts as failing
GREY = 128  # of the picture that no server has a reason to refuse
QUALITY = 90  # of the JPEG that is sent
OF_THE_PICTURE = {400, 413, 415, 422}  # statuses that may be about one picture alone


class _Failed(Exception):
    """A request that another try may mend; `wait`: the seconds that the server asks for."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class _Refused(Exception):
    """A request that no other try mends."""


class EndpointCaptioner:
    """Sends pictures to a server, several at once, until its budget of images or tokens is spent."""

    on_gpu = False

    def __init__(self, endpoint: CaptionEndpoint, options: CaptionOptions, settings: Settings) -> None:
        self._endpoint, self._languages = endpoint, options.languages
        self.digest, self.size = endpoint_digest(endpoint, options), 2 * endpoint.concurrency
        self._question, self._form = question(options.prompt, options.languages), True
        self._most = most_tokens(options.max_new_tokens, options.languages)
        self._images, self._tokens = endpoint.budget_images, endpoint.budget_tokens
        self._failed, self._has_answered = 0, False
        self._lock, self._grey = threading.Lock(), threading.Lock()  # of the counts; of the picture that is asked once
        self._key = settings.captions_key.get_secret_value()
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx2.Client(timeout=endpoint.seconds, headers=headers)

    def spent(self) -> bool:
        """Whether the budget of images or tokens is used up."""
        return self._images <= 0 or self._tokens <= 0

    def captions(self, batches: Iterable[Batch]) -> Iterator[Captioned]:
        """The answers for the pictures of batches, in order.

        Raises Unavailable if the server does not answer, UserError if it refuses the key, the model or all pictures.
        """
        for batch in batches:
            answers = list(in_order(self._answers, list(batch.pixels), self._endpoint.concurrency))
            yield Captioned(batch.ids, answers)

    def _answers(self, picture: torch.Tensor) -> list[Answer]:
        with self._lock:
            if self.spent():
                return self._none(Fault.NOT_ASKED, "")
            self._images -= 1
        try:
            answer = self._asked(_data_url(picture))
        except _Failed as failed:
            self._count_failure(str(failed))
            return self._none(Fault.UNANSWERED, str(failed))
        except _Refused as refused:
            self._count_refusal(picture, str(refused))
            return self._none(Fault.REFUSED, str(refused))
        with self._lock:
            self._failed, self._has_answered = 0, True
        return read_answer(answer, self._languages, self._most)

    def _none(self, reason: Fault, detail: str) -> list[Answer]:
        return [Answer(reason=reason, detail=detail)] * len(self._languages)

    def _count_failure(self, detail: str) -> None:
        """Raise Unavailable if several images in a row got no answer."""
        with self._lock:
            self._failed += 1
            failed = self._failed
        if failed >= IN_A_ROW:
            raise Unavailable(self._told("does not answer", failed, detail))

    def _count_refusal(self, picture: torch.Tensor, detail: str) -> None:
        """Raise UserError if the server has refused all pictures so far, and refuses a grey one of this size as well.

        A server that has answered about others may refuse any number of pictures in a row: their refusals are final.
        """
        with self._lock:
            self._failed += not self._has_answered
            failed = self._failed
        if self._has_answered or failed < IN_A_ROW:
            return
        with self._grey:
            if not self._has_answered:
                self._ask_grey(torch.full_like(picture, GREY), failed, detail)

    def _ask_grey(self, grey: torch.Tensor, failed: int, detail: str) -> None:
        with self._lock:
            self._images -= 1
        try:
            self._asked(_data_url(grey))
        except _Failed as unanswered:
            raise Unavailable(self._told("does not answer", failed, str(unanswered))) from None
        except _Refused:
            raise UserError(self._told("refuses the pictures", failed, detail)) from None
        with self._lock:
            self._failed, self._has_answered = 0, True

    def _told(self, what: str, failed: int, detail: str) -> str:
        return f"endpoint {shown_url(self._endpoint.url)} {what}: {failed} images failed in a row ({detail})"

    def _asked(self, picture: str) -> Any:
        """The server's answer about a picture. Raises _Failed after the last try, _Refused, UserError."""
        for number in range(self._endpoint.tries):
            try:
                return self._answered(picture)
            except _Failed as failed:
                if number == self._endpoint.tries - 1:
                    raise
                log.info("asking the endpoint again", cause=str(failed), tries=number + 1)
                time.sleep(min(MOST_WAIT, max(failed.wait, PAUSES[min(number, len(PAUSES) - 1)])))
        raise AssertionError("there is at least one try")

    def _answered(self, picture: str) -> Any:
        formed = self._form
        status, headers, body = self._sent(picture, formed=formed)
        if status == 400 and formed:  # perhaps a server that holds its models to no form
            status, headers, body = self._sent(picture, formed=False)
            self._form = self._form and status != 200
        if status == 200:
            try:
                answer = json.loads(body)
            except (ValueError, RecursionError):
                raise _Failed(f"its answer is no JSON: {self._shown(body)}") from None
            with self._lock:
                self._tokens -= tokens_of(answer, self._most)
            return answer
        told = f"status {status}: {self._shown(body)}"
        if status == 429 or status >= 500 or status == 408:
            asked = headers.get("retry-after", "").strip()
            raise _Failed(told, float(asked) if asked.isdecimal() and len(asked) < 6 else 0.0)
        if status in OF_THE_PICTURE:
            raise _Refused(told)
        advice = "check `url` and `model` of `captions`, and IMAGE_RETRIEVAL_CAPTIONS_KEY"
        raise UserError(f"endpoint {shown_url(self._endpoint.url)} answers with {told}: {advice}")

    def _sent(self, picture: str, *, formed: bool) -> tuple[int, httpx2.Headers, bytes]:
        """Send a request. Returns status, headers and body of the answer. Raises _Failed."""
        content = [
            {"type": "image_url", "image_url": {"url": picture}},
            {"type": "text", "text": self._question},
        ]
        body: dict[str, Any] = {"model": self._endpoint.model, "messages": [{"role": "user", "content": content}]}
        body |= {"max_tokens": self._most, "temperature": 0, "stream": False}
        if formed:
            body["response_format"] = form(self._languages)
        end = time.monotonic() + self._endpoint.seconds
        try:
            with self._client.stream("POST", f"{self._endpoint.url}/chat/completions", json=body) as response:
                return response.status_code, response.headers, _body(response, end)
        except httpx2.HTTPError as error:
            raise _Failed(f"{type(error).__name__}: {redacted(str(error))[:200]}") from None
        except httpx2.InvalidURL as error:
            raise UserError(f"endpoint {shown_url(self._endpoint.url)} is no address: {error}") from None

    def _shown(self, body: bytes) -> str:
        """The beginning of an answer, in a line, without the key, which some servers repeat."""
        text = body.decode("utf-8", "replace")
        text = text.replace(self._key, "…") if self._key else text
        return redacted(cleaned(text))[:200]


def _body(response: httpx2.Response, end: float) -> bytes:
    """The body of an answer. Raises _Failed if it is too long, or does not end in time."""
    found = bytearray()
    for chunk in response.iter_bytes():
        found += chunk
        if len(found) > MOST_BYTES:
            raise _Failed(f"its answer has more than {MOST_BYTES} bytes")
        if time.monotonic() > end:
            raise _Failed("its answer does not end in time")
    return bytes(found)


def _data_url(picture: torch.Tensor) -> str:
    """A picture, uint8 (height, width, 3), as a JPEG in a URL."""
    target = io.BytesIO()
    Image.fromarray(picture.numpy()).save(target, "JPEG", quality=QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(target.getvalue()).decode()}"
