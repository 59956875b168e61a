"""Queries of counts, places and absence over drawn scenes: `python -m benchmarks.compositional [--queries N]`.

Each query is asked in English and Chinese: by the vectors of the dual encoder that ships, by the words of the captions
that the shipped captioner gives the scenes, by both, and by `images.search_hybrid`, in which a minus sign stands before
what shall be missing. No training saw the scenes. Recall@5 is the number of scenes
among the first five that are as the query says, over five, or over all such scenes if they are fewer. The last line is
JSON.
"""

import argparse
import json
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.bm25 import Bm25, words_of
from benchmarks.captions import LANGUAGES, captions
from benchmarks.fused import filled, first_found
from benchmarks.needs import run, whole
from benchmarks.shipped import HELD_OUT, Vectors, distinct, embed, embed_texts, load
from image_retrieval.models.shipped import CAPTIONER, DUAL
from image_retrieval.pipeline.wording import asked_text
from image_retrieval.scenes import draw_scenes
from image_retrieval.scenes.captions import CHINESE, PLURALS, Claim, Kind, put_into_words
from image_retrieval.scenes.layout import SHAPES, Group, Layout

WAYS = ("vectors", "words", "both", "hybrid")
NOT = {"en": " without ", "zh": "，没有"}
FIRST = 5
TRIES = 100  # scenes that are looked at for each query
Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Query:
    """A text in each of LANGUAGES, and what it asks for; things of the shape `missing` shall not be there."""

    kind: str
    texts: dict[str, str]
    claim: Claim
    missing: str | None = None

    def holds(self, layout: Layout) -> bool:
        """Whether a scene is as the query says."""
        groups = filter(None, (layout.main, layout.companion))
        return self.claim.holds(layout) and all(group.shape != self.missing for group in groups)


def count_query(layout: Layout, rng: random.Random) -> Query | None:
    """So many things of a shape and, at times, a hue."""
    kind = Kind(layout.main.shape, layout.main.hue if rng.random() < 0.5 else None, count=len(layout.main.things))
    return _asked("count", Claim(kind), rng)


def place_query(layout: Layout, rng: random.Random) -> Query | None:
    """Things of a shape or hue beside others."""
    if layout.companion is None:
        return None
    return _asked("place", Claim(_kind(layout.main, rng), _kind(layout.companion, rng), layout.relation), rng)


def absence_query(layout: Layout, rng: random.Random) -> Query | None:
    """Things of a hue and shape without things of another shape."""
    missing = rng.choice(SHAPES)
    if missing in (layout.main.shape, layout.companion.shape if layout.companion else None):
        return None
    asked = _asked("absence", Claim(Kind(layout.main.shape, layout.main.hue)), rng)
    others = {"en": NOT["en"] + PLURALS[missing], "zh": NOT["zh"] + CHINESE[missing]}
    return Query("absence", {name: text + others[name] for name, text in asked.texts.items()}, asked.claim, missing)


KINDS: tuple[Callable[[Layout, random.Random], Query | None], ...] = (count_query, place_query, absence_query)


def _kind(group: Group, rng: random.Random) -> Kind:
    return Kind(group.shape, group.hue if rng.random() < 0.5 else None)


def _asked(kind: str, claim: Claim, rng: random.Random) -> Query:
    said = put_into_words(claim, rng)
    return Query(kind, {"en": said.english, "zh": said.chinese}, claim)


def make_queries(layouts: list[Layout], count: int, seed: int) -> list[Query]:
    """Queries that differ, each true of a scene, of each of KINDS in turn until it has no more.

    A query of absence is also such that a scene has both: what is asked for, and what shall be missing.
    """
    rng, kinds = random.Random(seed), deque(KINDS)
    found: dict[tuple[Claim, str | None], Query] = {}
    while kinds and len(found) < count:
        kind = kinds.popleft()
        for _ in range(TRIES):
            query = kind(rng.choice(layouts), rng)
            if query is None or (query.claim, query.missing) in found:
                continue
            if query.missing is None or any(query.claim.holds(one) and not query.holds(one) for one in layouts):
                found[query.claim, query.missing] = query
                kinds.append(kind)
                break
    return list(found.values())


def by_words(query: str, language: str, texts: Bm25) -> Scores:
    """BM25 of a query's words in each caption; captions with what shall be missing come last."""
    wanted, _, missing = query.partition(NOT[language])
    scores = texts.scores(words_of(wanted))
    if missing:
        scores[texts.holding(words_of(missing))] = -1
    return scores


def of_both(vectors: Scores, words: Scores) -> Scores:
    """The mean of both scores, each from 0 to 1 over the scenes (Bruch et al. 2023, arXiv:2210.11934)."""
    spread = [(scores - scores.min()) / max(np.ptp(scores), 1e-9) for scores in (vectors, np.maximum(words, 0))]
    return np.where(words < 0, -1, spread[0] + spread[1])


def hybrid_text(query: Query, language: str) -> str:
    """The query as a person writes it for a hybrid search."""
    wanted, _, _ = query.texts[language].partition(NOT[language])
    if query.missing is None:
        return wanted
    names = {"en": (query.missing, PLURALS[query.missing]), "zh": (CHINESE[query.missing],)}[language]
    return " ".join([wanted, *(f"-{name}" for name in names)])


def recall(scores: Scores, holds: NDArray[np.bool_]) -> float:
    return recall_of(np.argsort(-scores, kind="stable")[:FIRST], holds)


def recall_of(first: NDArray[np.int64], holds: NDArray[np.bool_]) -> float:
    return float(holds[first].sum() / min(FIRST, holds.sum()))


def measure(
    queries: list[Query], layouts: list[Layout], images: Vectors, told: dict[str, list[str]]
) -> dict[str, float]:
    """Mean recall@5 for each way, kind of query and language."""
    holds = np.array([[query.holds(layout) for layout in layouts] for query in queries])
    figures: dict[str, list[float]] = {}
    for language in LANGUAGES:
        told_words = Bm25([words_of(text) for text in told[language]])
        cosines = embed_texts(DUAL, [query.texts[language] for query in queries]) @ images.T
        for at, query in enumerate(queries):
            words = by_words(query.texts[language], language, told_words)
            vectors = cosines[at].astype(np.float64)
            for way, scores in zip(WAYS, (vectors, words, of_both(vectors, words)), strict=False):
                figures.setdefault(f"{way}_{query.kind}_{language}", []).append(recall(scores, holds[at]))
    captions_of_both = ["\n".join(both) for both in zip(*(told[name] for name in LANGUAGES), strict=True)]
    with filled(images, captions_of_both) as connection:
        for language in LANGUAGES:
            texts = [hybrid_text(query, language) for query in queries]
            asked = embed_texts(DUAL, [asked_text(text) for text in texts])
            for query, text, vector, held in zip(queries, texts, asked, holds, strict=True):
                found = np.array(first_found(connection, text, vector, FIRST), np.int64)
                figures.setdefault(f"hybrid_{query.kind}_{language}", []).append(recall_of(found, held))
    return {name: float(np.mean(values)) for name, values in figures.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=whole(3, 100_000), default=1_000)
    parser.add_argument("--scenes", type=whole(50, 100_000), default=1_000)
    arguments = parser.parse_args()
    scenes = list(draw_scenes(2 * arguments.scenes, HELD_OUT))
    scenes = [scenes[at] for at in distinct(scenes, arguments.scenes)]
    layouts, files = [scene.layout for scene in scenes], [scene.data for scene in scenes]
    queries = make_queries(layouts, arguments.queries, HELD_OUT)
    figures = measure(queries, layouts, embed(load(DUAL), files), captions(CAPTIONER, files))
    print(f"{'recall@5':<20}" + "".join(f"{way:>10}" for way in WAYS))
    for kind in dict.fromkeys(query.kind for query in queries):
        for language in LANGUAGES:
            shown = (100 * figures[f"{way}_{kind}_{language}"] for way in WAYS)
            print(f"{kind + ', ' + language:<20}" + "".join(f"{value:8.1f} %" for value in shown))
    facts = {"queries": len(queries), "scenes": len(scenes)}
    print(json.dumps(facts | {name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    run(main)
