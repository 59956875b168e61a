"""What the terms of a hybrid search ask of each side."""

from dataclasses import replace

from image_retrieval.client.terms import Terms
from image_retrieval.client.vectors import Vectorizer
from image_retrieval.errors import UserError
from image_retrieval.pipeline.querying import Vector, direction_of
from image_retrieval.pipeline.shown import Shown
from image_retrieval.pipeline.wording import asked_text, asked_words
from image_retrieval.store.hybrid import Asked


def asked_of(terms: Terms, shown: Shown, vectors: Vectorizer) -> Asked:
    """The vector of all terms, if the model can make one, the words of the texts, and their vector for captions.

    Raises UserError if no text has a weight above 0.
    """
    if not any(weight > 0 for _, weight in terms.texts):
        raise UserError("a hybrid search needs a text with a weight above 0: give text, or leave out mode")
    read = [(asked_text(text), weight) for text, weight in terms.texts] if shown.reads_texts else []
    seen = replace(terms, texts=[(text, weight) for text, weight in read if text])
    pictures = bool(seen.pictures or seen.image_ids)
    direction = None if seen.vectors else direction_of(seen.texts, images=pictures)
    weights = [weight for _, weight in (*seen.texts, *seen.pictures, *seen.image_ids, *seen.vectors)]
    vector = vectors.of_terms(seen, shown) if any(weight > 0 for weight in weights) else None
    told = _of_captions(terms, shown, vectors)
    return Asked(vector, asked_words(terms.texts), direction, shown.model.name, *told)


def _of_captions(terms: Terms, shown: Shown, vectors: Vectorizer) -> tuple[Vector | None, str | None, str | None]:
    """The vector of the texts under the model of captions, its name, and the direction; None where there is none."""
    captions = shown.by_captions()
    read = [(text, weight) for text, weight in ((asked_text(text), weight) for text, weight in terms.texts) if text]
    if captions is None or not any(weight > 0 for _, weight in read):
        return None, None, None
    vector = vectors.of_terms(Terms(read, [], [], []), captions)
    return vector, captions.model.name, direction_of(read, images=False)
