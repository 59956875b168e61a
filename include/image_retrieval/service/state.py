"""What the requests of one service share, each part started by the first request that needs it."""

import hashlib
import io
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import structlog
from anyio import CapacityLimiter
from PIL import Image

from image_retrieval.collection import Collection, ModelOptions, ResampleOptions
from image_retrieval.errors import ImageRejected
from image_retrieval.image_inputs import image_bytes, is_url
from image_retrieval.imaging.resample import Resampled
from image_retrieval.models.digest import require_digest
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.table_images import stored_original
from image_retrieval.service.asking import Asker, asked_by, current
from image_retrieval.service.catalog import Shown, shown_collection
from image_retrieval.service.decoding import Pictures
from image_retrieval.service.encoder import Encoder, Memory, Vector
from image_retrieval.service.errors import Refused
from image_retrieval.service.history import History
from image_retrieval.service.metrics import Metrics
from image_retrieval.service.places import Places
from image_retrieval.service.probing import Prober
from image_retrieval.settings import Settings
from image_retrieval.store import queries
from image_retrieval.store.collections import known_collections
from image_retrieval.store.connection import (
    Connection,
    Pool,
    connect,
    connection_pool,
    limit_statements,
    transaction,
)
from image_retrieval.strict_json import read_json
from image_retrieval.values import Region

READERS, WRITERS = 12, 4  # quick reads at once, and changes at once
FETCHES, OBJECTS = 8, 8  # URLs, and objects of the store, read at once
UNPACKED = 1  # large body or picture that is read at once: more of them would keep the interpreter from others
SMALL = 2**16  # bytes of a body, and characters of a picture, that are read in a moment
LOCK_SECONDS = 5.0  # for which a change waits for another one
SHOWN_SECONDS = 1.0  # for which a collection's definition is cached
PREVIEW = ResampleOptions(target_size=(448, 448), fit="stretch", keep=False)

log = structlog.get_logger()


class Service:
    """The database connections, decoding processes, models and caches of a service. Thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.store = ObjectStore(settings)
        self.metrics = Metrics()
        self.encoder = Encoder(settings, self.metrics, is_shown=self._is_shown)
        self.metrics.watch_memory(self.encoder.pids)
        self.history = History(self.metrics, self.encoder.pids)
        self.prober = Prober(settings, self.encoder)
        self._memory = Memory()
        self._shown: dict[str, tuple[Shown, float]] = {}
        self._ends = ExitStack()
        self._opening = threading.Lock()
        self.threads = CapacityLimiter(settings.service_concurrency)
        self._pictures = self._ends.enter_context(Pictures(settings))
        heavy = max(1, min(4, settings.cores // 2))
        self._reading = Places("the database", READERS, waiting=64)
        self._heavy = Places(
            "a long answer of the database", heavy, waiting=8, each=max(1, heavy - 1), spares=self._reading
        )
        self._changing = Places("a change of the database", WRITERS, waiting=8, each=WRITERS - 1)
        self._fetching = Places("fetching a URL", FETCHES, waiting=4, each=FETCHES // 2)
        self._unpacking = Places("reading a large body", UNPACKED, waiting=8, spares=self._reading)
        self._objects = Places("the object store", OBJECTS, waiting=8, each=OBJECTS // 2)
        self._connections = {"reading": READERS + heavy, "changing": WRITERS}

    @cached_property
    def _pools(self) -> dict[str, Pool]:
        with connect(self.settings):  # checks the database, and explains what is wrong
            pools = {
                kind: connection_pool(self.settings, size, LOCK_SECONDS) for kind, size in self._connections.items()
            }
        for pool in pools.values():
            self._ends.callback(pool.close)
        return pools

    @contextmanager
    def transaction(self, *, heavy: bool = False) -> Iterator[Connection]:
        """A connection with one reading transaction. `heavy` is for long answers, which have fewer places."""
        with self.statements(heavy=heavy) as connection, transaction(connection, current().left()):
            yield connection

    @contextmanager
    def statements(self, *, heavy: bool = False) -> Iterator[Connection]:
        """A connection whose statements commit one by one, which saves two round trips to the database.

        A `heavy` one keeps its place until its answer is written, which takes as long.
        """
        asker = current()
        with (
            asker.held(self._heavy, self._heavy.place) if heavy else self._reading.place(),
            self._connected("reading") as connection,
        ):
            yield connection

    @contextmanager
    def changing(self) -> Iterator[None]:
        """One of the few places for changes. Changes wait for locks, so they have places apart from readers."""
        with self._changing.place():
            yield

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection with one writing transaction, inside a `changing` block.

        It waits at most five seconds for a lock, and commits if the block succeeds.
        """
        with self._connected("changing") as connection, transaction(connection, current().left(), LOCK_SECONDS):
            yield connection

    @contextmanager
    def _connected(self, kind: str) -> Iterator[Connection]:
        """A connection whose statements are cancelled shortly after the request's time is over."""
        left = min(current().left(), self.settings.service_seconds)
        if not self._opening.acquire(timeout=left):
            raise Refused(503, "unavailable", "the database does not answer in time", wait=5)
        try:
            pool = self._pools[kind]
        finally:
            self._opening.release()
        with pool.connection() as connection:
            limit_statements(connection, min(current().left(), self.settings.service_seconds))
            yield connection

    def shown(self, name: str, model: str | None = None) -> Shown:
        """A collection that can be searched, as it was at most a second ago. Raises Refused (404, 422).

        It is searched under the `model`, or under the one that its view shows. If it was switched or dropped since
        then, it is still searched as it was, or the database refuses the search.
        """
        if model is not None:
            with self.statements() as connection:
                return shown_collection(connection, self.settings, name, model)
        shown, until = self._shown.get(name, (None, 0.0))
        if shown is None or until < time.monotonic():
            with self.statements() as connection:
                shown = shown_collection(connection, self.settings, name)
            self._shown[name] = shown, time.monotonic() + SHOWN_SECONDS
        return shown

    def forget(self, name: str) -> None:
        """Read the collection from the database again at the next request."""
        self._shown.pop(name, None)

    def _is_shown(self, model: ModelOptions) -> bool:
        """Whether a collection shows a model's vectors; so it is taken to be where the database does not tell."""
        try:
            with asked_by(Asker("idle models", time.monotonic() + SHOWN_SECONDS)), self.statements() as connection:
                names = [known.name for known in known_collections(connection) if model.name in known.models]
                found = [shown_collection(connection, self.settings, name) for name in names]
                return any(model in (each.model, (each.by_captions() or each).model) for each in found)
        except Exception as error:
            log.warning("an idle model stays loaded", model=model.name, error=str(error))
            return True

    def close(self) -> None:
        """Close connections, and end decoders and models."""
        self.history.close()
        self.encoder.close()
        self._ends.close()

    def large_json(self, body: bytes) -> Any:
        """What a large body says, read one after the other. Raises NotStrict and Refused (503)."""
        with self._unpacking.place():
            return read_json(body)

    def picture_bytes(self, base64: str | None, url: str | None) -> bytes:
        """The bytes of a client's picture. Raises ImageRejected, UserError and Refused.

        Objects of the store would be read with this service's own keys, so a client may not name them.
        """
        if base64 is not None:
            if len(base64) <= SMALL:
                return image_bytes(base64, "image_base64", self.settings)
            with self._unpacking.place():
                return image_bytes(base64, "image_base64", self.settings)
        if url is None or not url.lower().startswith(("http://", "https://")):
            raise Refused(422, "invalid_url", "the URL of a picture must begin with http:// or https://")
        with self._fetching.place():
            seconds = min(self.settings.url_seconds, current().left())
            try:
                return image_bytes(url, "image_url", self.settings.model_copy(update={"url_seconds": seconds}))
            except ImageRejected:
                current().left()  # if the request's own time is over, say so instead of blaming the URL
                raise

    def stored(self, uri: str, version: tuple[str, int] | None = None) -> bytes:
        """The bytes of an image's object, at this ETag and size if given. Raises ImageRejected, UserError, Refused."""
        with self._fetching.place() if is_url(uri) else self._objects.place():
            seconds = min(self.settings.url_seconds, current().left())
            settings = self.settings.model_copy(update={"url_seconds": seconds})
            return stored_original(self.store, uri, settings, connected=self.statements, version=version)

    @contextmanager
    def reading(self) -> Iterator[ObjectStore]:
        """The object store, for what is not an image; few read at once. Raises Refused."""
        with self._objects.place():
            yield self.store

    def resampled(
        self, data: bytes, shown: Shown, *, keep: bool, region: Region | None = None
    ) -> tuple[Resampled, bytes]:
        """A picture, or a region of it, resampled for the collection's model, and its file if `keep` is set."""
        size = shown.collection.resample.target_size or tuple(self.facts(shown)["size"])
        options = shown.collection.resample.of_size(size, region).model_copy(update={"keep": keep})
        return self._pictures.resample(data, options)

    def preview(self, data: bytes) -> bytes:
        """A JPEG of a picture, in its own proportions. Raises ImageRejected."""
        found, _ = self._pictures.resample(data, PREVIEW)
        longest = max(found.width, found.height)
        size = [max(1, round(PREVIEW.target_size[0] * side / longest)) for side in (found.width, found.height)]
        file = io.BytesIO()
        Image.frombytes("RGB", PREVIEW.target_size, found.pixels).resize(size).save(file, "JPEG", quality=85)
        return file.getvalue()

    def facts(self, shown: Shown) -> dict[str, Any]:
        """`digest`, `size` and `dimensions` of a collection's model. Raises UserError if its files have changed."""
        facts = self.encoder.facts(shown.model)
        require_digest(facts["digest"], shown.digest, shown.model.source)
        return facts

    def pixels_vector(self, found: Resampled, shown: Shown) -> Vector:
        """The vector of a resampled picture."""
        facts = self.facts(shown)
        return self.encoder.image(
            shown.model, found.pixels, shown_size(found, shown.collection, facts), facts["digest"]
        )

    def image_vector(self, data: bytes, shown: Shown, region: Region | None = None) -> Vector:
        """The vector (dimensions,) of a picture, or of a region, computed or cached. Raises what the steps raise."""
        key = (shown.model, shown.collection.resample, hashlib.sha256(data).digest(), region)
        known = self._memory.get(key)
        if known is not None:
            self.metrics.remembered.labels("image", "memory").inc()
            return known
        vector = self.pixels_vector(self.resampled(data, shown, keep=False, region=region)[0], shown)
        self._memory.put(key, vector)
        return vector

    def text_vector(self, text: str, shown: Shown) -> Vector:
        """The vector (dimensions,) of a text, computed, or cached here or in the database."""
        known = self._memory.get((shown.model, text))
        if known is not None:
            self.metrics.remembered.labels("text", "memory").inc()
            return known
        vector = self.kept_text_vector(text, shown)
        self._memory.put((shown.model, text), vector)
        return vector

    def kept_text_vector(self, text: str, shown: Shown) -> Vector:
        """The vector (dimensions,) of a text, which is then kept in the database. Raises UserError, Refused."""
        if not shown.reads_texts:
            message = f"model {shown.model.name!r} of collection {shown.name!r} does not read texts"
            raise Refused(422, "no_text_side", message, "search by pictures, or in a collection with a dual encoder")
        with self.statements() as connection:
            known = queries.find_query(connection, shown.model.name, text)
        if known is not None:
            self.metrics.remembered.labels("text", "database").inc()
            return known
        vector = self.encoder.text(shown.model, text, self.facts(shown)["digest"])
        with self.statements() as connection:
            queries.keep_query(connection, shown.model.name, text, vector)
        return vector


def shown_size(found: Resampled, collection: Collection, facts: dict[str, Any]) -> tuple[int, int]:
    """The width and height to which a collection's pictures are resampled."""
    width, height = collection.resample.target_size or facts["size"]
    if len(found.pixels) != width * height * 3:
        raise ValueError(f"{len(found.pixels)} bytes are not {width}×{height} pixels")
    return width, height
