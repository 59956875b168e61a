"""Searches: turns terms into one vector, and that vector into images with scores."""

import math
from collections.abc import Sequence

import numpy as np

from image_retrieval.models.calibration import CUTOFF, IMAGES, score_of
from image_retrieval.pipeline.querying import TermsCancel, direction_of, least_similarity, weighted_sum
from image_retrieval.pipeline.regions import CANDIDATES
from image_retrieval.pipeline.wording import asked_text, asked_words
from image_retrieval.service.catalog import Shown
from image_retrieval.service.choosing_schemas import Bar, Timeline, TimelineForm
from image_retrieval.service.encoder import Vector
from image_retrieval.service.errors import Refused
from image_retrieval.service.regions import ranked_by_place, stored_region
from image_retrieval.service.schemas import (
    Facets,
    FacetsForm,
    Match,
    MatchForm,
    Paged,
    Picture,
    Result,
    Results,
    SearchForm,
    SimilarForm,
)
from image_retrieval.service.state import Service
from image_retrieval.store import search as store
from image_retrieval.store.connection import Connection
from image_retrieval.store.hybrid import Asked, search_hybrid
from image_retrieval.store.queries import find_vector
from image_retrieval.store.timeline import read_timeline
from image_retrieval.values import Region

MANY = 100  # a search for more results counts as a long answer


def search(service: Service, form: SearchForm) -> Results:
    """The images that fit the terms best. Raises Refused, UserError, ImageRejected."""
    shown = service.shown(form.collection, form.model)
    if form.mode == "words":
        return _by_words(service, shown, form)
    if form.mode == "caption":
        shown = _under_captions(shown)
    if form.mode == "hybrid":
        return _by_all_sides(service, shown, form)
    query = _sum(
        [(service.text_vector(term.text, shown), term.weight) for term in form.texts]
        + [(_picture(service, shown, term), term.weight) for term in form.images]
    )
    if form.at_place and form.images[0].region:
        return _at_place(service, shown, query, form, form.images[0].region)
    with service.statements(heavy=_is_heavy(form)) as connection:
        return _page(connection, shown, query, form, _direction(form))


def _under_captions(shown: Shown) -> Shown:
    """The collection under the model of its captions. Raises Refused (422) if they have no vectors."""
    found = shown.by_captions()
    if found is None:
        hint = f"name a text_model in its entry, then run `image-retrieval caption {shown.name}`"
        raise Refused(422, "no_caption_vectors", f"the captions of collection {shown.name!r} have no vectors", hint)
    return found


def _at_place(service: Service, shown: Shown, query: Vector, form: SearchForm, region: Region) -> Results:
    """The nearest images to a region, ranked by the same region of each."""
    calibration = shown.calibration(IMAGES)
    least = CUTOFF if form.min_score is None and calibration else form.min_score
    nearest = least_similarity(least, calibration)
    with service.statements(heavy=True) as connection:
        rows = store.search(
            connection, shown.name, query, CANDIDATES, form.filter, None, form.grouped, model=shown.model.name
        )
    rows = ranked_by_place(service, shown, query, region, rows)
    rows = [row for row in rows if nearest is None or row["similarity"] >= nearest][: form.offset + form.k + 1]
    return _results(shown, rows, form, IMAGES if calibration else None, least)


def _by_words(service: Service, shown: Shown, form: SearchForm) -> Results:
    wanted = form.offset + form.k + 1  # one more shows whether there is a next page
    with service.statements(heavy=_is_heavy(form)) as connection:
        rows = store.search_words(
            connection, shown.name, form.texts[0].text, wanted, form.filter, form.min_score, form.grouped
        )
    return _results(shown, rows, form, None, form.min_score)


def _by_all_sides(service: Service, shown: Shown, form: SearchForm) -> Results:
    texts = [(term.text, term.weight) for term in form.texts]
    read = [(asked_text(text), weight) for text, weight in texts] if shown.reads_texts else []
    terms = [(service.text_vector(text, shown), weight) for text, weight in read if text]
    terms += [(_picture(service, shown, term), term.weight) for term in form.images]
    query = _sum(terms) if any(weight > 0 for _, weight in terms) else None
    direction = direction_of(read, images=bool(form.images))
    told = _sides_of_captions(service, shown, texts)
    asked = Asked(query, asked_words(texts), direction, shown.model.name, *told)
    wanted = form.offset + form.k + 1  # one more shows whether there is a next page
    with service.statements(heavy=_is_heavy(form)) as connection:
        rows = search_hybrid(connection, shown.name, asked, wanted, form.filter, form.min_score, form.grouped)
    return _results(shown, rows, form, None, form.min_score)


def _sides_of_captions(
    service: Service, shown: Shown, texts: Sequence[tuple[str, float]]
) -> tuple[Vector | None, str | None, str | None]:
    """The vector of texts with weights under the model of captions, its name, and the direction; None for none."""
    captions = shown.by_captions()
    if captions is None:
        return None, None, None
    read = [(asked_text(text), weight) for text, weight in texts]
    terms = [(service.text_vector(text, captions), weight) for text, weight in read if text]
    vector = _sum(terms) if any(weight > 0 for _, weight in terms) else None
    return vector, captions.model.name, direction_of(read, images=False)


def similar(service: Service, form: SimilarForm) -> Results:
    """The images most like one of the collection, without that image. Raises Refused, UserError."""
    shown = service.shown(form.collection, form.model)
    with service.statements(heavy=_is_heavy(form)) as connection:
        query = _stored(connection, shown, form.image_id)
        return _page(connection, shown, query, form, IMAGES, without=form.image_id)


def match(service: Service, form: MatchForm) -> Match:
    """How alike two pictures are. Raises Refused, UserError, ImageRejected."""
    shown = service.shown(form.collection)
    return compare(shown, _picture(service, shown, form.a), _picture(service, shown, form.b))


def facets(service: Service, form: FacetsForm) -> Facets:
    """How many images have each value of the facets. Raises UserError."""
    shown = service.shown(form.collection)
    with service.statements(heavy=True) as connection:
        counts = store.count_facets(connection, shown.name, form.filter, form.most)
    found: dict[str, dict[str, int]] = {}
    for count in counts:
        found.setdefault(count.facet, {})[count.value] = count.images
    return Facets(facets=found)


def timeline(service: Service, form: TimelineForm) -> Timeline:
    """How many images were taken when. Raises UserError."""
    shown = service.shown(form.collection)
    with service.statements(heavy=True) as connection:
        bars = read_timeline(connection, shown.name, form.filter, form.most)
    unit = bars[0].unit if bars else None
    return Timeline(unit=unit, bars=[Bar(since=bar.since, until=bar.until, images=bar.images) for bar in bars])


def compare(shown: Shown, a: Vector, b: Vector) -> Match:
    """How alike two vectors of images are."""
    similarity = float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
    calibration = shown.calibration(IMAGES)
    return Match(similarity=similarity, score=score_of(similarity, calibration), calibrated=calibration is not None)


def _is_heavy(form: Paged) -> bool:
    """Whether an answer may take long: many results, or a filter, which may read all rows."""
    return form.offset + form.k > MANY or bool(form.filter)


def _picture(service: Service, shown: Shown, picture: Picture) -> Vector:
    if picture.image_id is not None and picture.region is not None:
        return stored_region(service, shown, picture.image_id, picture.region)
    if picture.image_id is not None:
        with service.statements() as connection:
            return _stored(connection, shown, picture.image_id)
    return service.image_vector(service.picture_bytes(picture.base64, picture.url), shown, picture.region)


def _stored(connection: Connection, shown: Shown, image_id: str) -> Vector:
    vector = find_vector(connection, shown.collection, image_id)
    if vector is None:
        raise Refused(404, "unknown_image", f"collection {shown.name!r} has no image {image_id!r}")
    return vector


def _sum(terms: list[tuple[Vector, float]]) -> Vector:
    """The weighted sum of the terms. Raises Refused (422) if they cancel each other out."""
    try:
        return weighted_sum(terms)
    except TermsCancel:
        hint = "change a weight, or leave a term out"
        raise Refused(422, "empty_query", "the terms cancel each other out", hint) from None


def _direction(form: SearchForm) -> str | None:
    """The direction whose calibration applies to the scores."""
    return direction_of([(term.text, term.weight) for term in form.texts], images=bool(form.images))


def _page(
    connection: Connection, shown: Shown, query: Vector, form: Paged, direction: str | None, without: str | None = None
) -> Results:
    calibration = shown.calibration(direction)
    least = CUTOFF if form.min_score is None and calibration else form.min_score
    nearest = least_similarity(least, calibration)
    wanted = form.offset + form.k + 1  # one more shows whether there is a next page
    rows: list[store.Found] = []
    if nearest is None or nearest < math.inf:
        k = wanted + (without is not None)
        rows = store.search(
            connection, shown.name, query, k, form.filter, nearest, form.grouped, model=shown.model.name
        )
    rows = [row for row in rows if row["image_id"] != without][:wanted]
    return _results(shown, rows, form, direction if calibration else None, least)


def _results(
    shown: Shown, rows: Sequence[store.Found], form: Paged, direction: str | None, least: float | None
) -> Results:
    """The wanted page of rows, of which one more than the page needs shows that there is a next one."""
    calibration = shown.calibration(direction)
    return Results(
        collection=shown.name,
        results=[
            Result(**row, score=score_of(row["similarity"], calibration))
            for row in rows[form.offset : form.offset + form.k]
        ],
        more=len(rows) == form.offset + form.k + 1,
        calibration=direction,
        min_score=least,
    )
