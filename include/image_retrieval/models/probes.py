"""Probes: what a model makes of phrases and of altered pictures, kept so that scores are fitted without the model.

Whoever has a collection's model loaded writes them: the process that embeds a shard, or the service. They are one file
for each collection and model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from PIL import Image

from image_retrieval.batches import in_batches
from image_retrieval.models.altering import altered, choices
from image_retrieval.models.chance import Cosines
from image_retrieval.models.phrases import describing, naming, phrases_of, phrases_version
from image_retrieval.objects import ObjectStore
from image_retrieval.shards import facts_of, reading, writing

LANGUAGES = ("en", "zh")
SAMPLE = 1_000  # vectors that are compared
COPIES = 64  # pictures of which an altered copy is embedded
DESCRIBED = 8  # things that pictures show most often, of which phrases tell counts and looks
BATCH = 64  # texts
RENEWED = timedelta(days=7)  # after which the next shard writes them again: its pictures may be of other kinds
COPIED, NOTHING, NAMED = "copies", "about_nothing", "named"  # kinds of rows
Vectors = NDArray[np.float32]
Pixels = NDArray[np.uint8]
EmbedTexts = Callable[[Sequence[str]], Vectors]
EmbedPixels = Callable[[Pixels], Vectors]


@dataclass(frozen=True, slots=True)
class Texts:
    """Vectors (phrases, dimensions) of length 1 of one language's phrases: about nothing, and about things."""

    about_nothing: Vectors
    named: Vectors


@dataclass(frozen=True, slots=True)
class Probes:
    """What the model with this `digest` makes of pictures and phrases.

    `pictures`: how many were altered, of those that were `sought`; none if the model reads no pictures. `copies`: the
    cosines of the copies with their pictures.
    `texts`: by language; none if the model reads no texts.
    """

    digest: str
    pictures: int
    sought: int
    copies: Cosines
    texts: dict[str, Texts]
    phrases: int


def copies_of(pictures: Pixels, vectors: Vectors, embed: EmbedPixels) -> Cosines:
    """The cosines of altered copies of pictures (pictures, height, width, 3) with the pictures' vectors of length 1.

    A copy whose vector is not finite is left out.
    """
    if not len(pictures):
        return np.empty(0)
    ways = choices(len(pictures))
    copies = embed(
        np.stack([np.asarray(altered(Image.fromarray(each), way)) for each, way in zip(pictures, ways, strict=True)])
    )
    cosines: Cosines = (copies * vectors).sum(axis=1).astype(np.float64)
    finite: Cosines = cosines[np.isfinite(cosines)]
    return finite


def texts_of(language: str, embed: EmbedTexts, vectors: Vectors) -> Texts:
    """The phrases of a language; those that name things go on to what these vectors show most often."""

    def embedded(phrases: Sequence[str]) -> Vectors:
        return np.concatenate([embed(part) for part in in_batches(phrases, BATCH)])

    about_nothing, things = embedded(phrases_of(language).about_nothing), embedded(naming(language))
    shown = np.bincount((things @ vectors.T).argmax(axis=0), minlength=len(things)) if len(vectors) else np.empty(0)
    most = [int(thing) for thing in np.argsort(-shown, kind="stable")[:DESCRIBED] if shown[thing]]
    described = [embedded(describing(language, most))] if most else []
    return Texts(about_nothing, np.concatenate([things, *described]))


def make_probes(
    digest: str, pictures: Pixels, of_pictures: Vectors, vectors: Vectors, embed: EmbedPixels, texts: EmbedTexts | None
) -> Probes:
    """Probe a model. `of_pictures`: the vectors of these pictures; `vectors`: those of more of the collection."""
    copies = copies_of(pictures, of_pictures, embed)
    found = {language: texts_of(language, texts, vectors) for language in LANGUAGES} if texts else {}
    return Probes(digest, len(pictures), len(pictures), copies, found, phrases_version())


def make_text_probes(digest: str, texts: EmbedTexts) -> Probes:
    """Probe a model that reads texts only.

    No phrase tells counts and looks: captions are as long, so such phrases are more than half right.
    """
    found = {language: texts_of(language, texts, np.empty((0, 1), np.float32)) for language in LANGUAGES}
    return Probes(digest, 0, 0, np.empty(0), found, phrases_version())


def are_due(store: ObjectStore, uri: str, digest: str, pictures: int, *, in_hand: bool) -> bool:
    """Whether the probes should be written by somebody who has so many pictures, or (not `in_hand`) who may find them.

    So they should if there are none of this model and these phrases, or of fewer pictures, or old ones of as many.
    """
    entry = store.stat(uri)
    if entry is None:
        return True
    try:
        with reading(store, uri) as file:
            facts = facts_of(file)
        made_of, known = (facts["digest"], facts["phrases"]), int(facts["pictures" if in_hand else "sought"])
    except (ValueError, KeyError):  # it holds something else
        return True
    if made_of != (digest, str(phrases_version())):
        return True
    wanted = min(pictures, COPIES)
    return wanted > known or (wanted == known and datetime.now(UTC) - entry.last_modified > RENEWED)


def write_probes(store: ObjectStore, uri: str, probes: Probes) -> None:
    """Write the probes, completely or not at all."""
    kinds: list[str] = [COPIED] * len(probes.copies)
    vectors: list[Vectors | None] = [None] * len(probes.copies)
    for language, texts in probes.texts.items():
        for kind, found in ((NOTHING, texts.about_nothing), (NAMED, texts.named)):
            kinds += [f"{kind} {language}"] * len(found)
            vectors += list(found)
    cosines = [*probes.copies, *[None] * (len(kinds) - len(probes.copies))]
    table = pa.table(
        [pa.array(kinds, pa.string()), pa.array(cosines, pa.float64()), pa.array(vectors, pa.list_(pa.float32()))],
        names=["kind", "cosine", "vector"],
    )
    with writing(store, uri, table.schema, compression="zstd") as out:
        out.write_table(table)
        numbers = {"pictures": probes.pictures, "sought": probes.sought, "phrases": probes.phrases}
        out.add_key_value_metadata({"digest": probes.digest, **{name: str(each) for name, each in numbers.items()}})


def read_probes(store: ObjectStore, uri: str) -> Probes | None:
    """The probes at a URI, or None if there are none."""
    if not store.exists(uri):
        return None
    try:
        with reading(store, uri) as file:
            return _probes_of(file.read(), facts_of(file))
    except (ValueError, KeyError):  # it holds something else
        return None


def _probes_of(table: pa.Table, facts: dict[str, str]) -> Probes:
    """Raises ValueError and KeyError where a file holds something else."""

    def vectors(kind: str) -> Vectors:
        rows = table.filter(pc.equal(table["kind"], kind))["vector"].combine_chunks()
        found: Vectors = rows.flatten().to_numpy().reshape(len(rows), -1)
        return found

    kinds = {*table["kind"].to_pylist()}
    texts = {
        language: Texts(vectors(f"{NOTHING} {language}"), vectors(f"{NAMED} {language}"))
        for language in LANGUAGES
        if f"{NOTHING} {language}" in kinds
    }
    copies = table["cosine"].drop_null().to_numpy()
    pictures, sought, phrases = (int(facts[name]) for name in ("pictures", "sought", "phrases"))
    return Probes(facts["digest"], pictures, sought, copies, texts, phrases)
