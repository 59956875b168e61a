"""Fine-tunes a dual encoder, judges the means of its weights before and after, and writes the best one that may be."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
from numpy.typing import NDArray

from image_retrieval.errors import UserError
from image_retrieval.models.description import ModelDescription, read_config
from image_retrieval.models.fetching import STATED, TOKENIZER
from image_retrieval.objects import ObjectStore
from image_retrieval.training.loop import Outcome
from image_retrieval.training.pairs.card import fine_tuned_card
from image_retrieval.training.pairs.course import Course, learn
from image_retrieval.training.pairs.embedding import BATCH, pixels_of, text_vectors
from image_retrieval.training.pairs.fine_tuning import DualEncoder, FineTuning, attention_weights, load_dual_encoder
from image_retrieval.training.pairs.mean_of_weights import Judged, choose, mix, sweep
from image_retrieval.training.pairs.options import LEAST_TEXTS
from image_retrieval.training.pairs.paired import Paired
from image_retrieval.training.pairs.recall import as_json, both_ways
from image_retrieval.training.pairs.texts import TextSet
from image_retrieval.training.pairs.verdict import on_fine_tuned
from image_retrieval.training.saving import save_model

log = structlog.get_logger()
MOST_JUDGED = 2_000  # pictures of a set
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Asked:
    """Pictures to judge by: their numbers, pixels (n, height, width, 3) and the texts of the set."""

    numbers: Numbers
    pixels: torch.Tensor
    texts: TextSet


def tune(
    course: Course, folder: Path, described: ModelDescription, general: Paired | None, made: Path, device: str
) -> tuple[Outcome, dict[str, Any]]:
    """Train, and write the model into `made` unless it is refused; returns the report, which is empty if it stopped."""
    options, paired, store = course.options, course.paired, course.store
    encoder = load_dual_encoder(folder, described, device)
    weights = attention_weights(encoder.model)
    if not weights:
        raise UserError(f"model {options.start!r} has no attention that can be fine-tuned")
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    texts = paired.learnt_texts
    if len(texts) < LEAST_TEXTS and not options.text_only:
        log.warning("few distinct texts: --text-only changes the text side alone", texts=len(texts), least=LEAST_TEXTS)
    held_out = _asked(paired, paired.held_out, store, encoder)
    apart = _asked(general, np.arange(len(general.index)), store, encoder) if general else None
    log.info("training", pictures=len(paired.learnt), texts=len(texts))
    learner = FineTuning(encoder, course)
    outcome = learn(course, learner)
    if not outcome.finished:
        return outcome, {}
    learner.merge()
    found = sweep(weights, before, lambda: _judged(encoder, held_out, apart))
    chosen = choose(found)
    verdict = on_fine_tuned(chosen, len(paired.held_out))
    report = {
        "kind": "fine_tuned",
        "decision": verdict.decision,
        "reason": verdict.reason,
        "alpha": chosen.alpha,
        "learnt": len(paired.learnt),
        "held_out": len(held_out.numbers),
        "texts": len(texts),
        "sweep": {str(alpha): {"held_out": one.held_out, "general": one.general} for alpha, one in found.items()},
        "before": found[0.0].figures,
        "after": found[chosen.alpha or 1.0].figures,
    }
    if chosen.alpha is not None:
        after = {name: weight.detach().clone() for name, weight in weights.items()}  # the last mean is the whole of it
        mix(weights, before, after, chosen.alpha)
        _save(encoder, folder, made)
        (made / "README.md").write_text(fine_tuned_card(options, folder, report), encoding="utf-8")
    return outcome, report


def _asked(paired: Paired, numbers: Numbers, store: ObjectStore, encoder: DualEncoder) -> _Asked:
    chosen = numbers[np.linspace(0, len(numbers) - 1, min(MOST_JUDGED, len(numbers))).astype(np.int64)]
    pixels = [pixels_of([picture], encoder.images.size) for picture in paired.pictures(store, chosen.tolist())]
    return _Asked(chosen, torch.cat(pixels), paired.texts)


def _judged(encoder: DualEncoder, held_out: _Asked, general: _Asked | None) -> Judged:
    figures = {"held_out": _figures(encoder, held_out)} | ({"general": _figures(encoder, general)} if general else {})
    return Judged(_mean(figures["held_out"]), _mean(figures["general"]) if general else None, figures)


def _figures(encoder: DualEncoder, asked: _Asked) -> dict[str, Any]:
    parts = (asked.pixels[at : at + BATCH] for at in range(0, len(asked.pixels), BATCH))
    seen = torch.cat([encoder.images.embed(part) for part in parts]).numpy()
    vectors = np.zeros((len(asked.texts.of_pictures), seen.shape[1]), np.float32)
    vectors[asked.numbers] = seen
    own = np.unique(np.concatenate([asked.texts.of_pictures[at] for at in asked.numbers]))
    of_texts = np.zeros((len(asked.texts.texts), seen.shape[1]), np.float32)
    of_texts[own] = text_vectors(encoder.texts, [asked.texts.texts[at] for at in own])
    return as_json(both_ways(asked.texts, of_texts, vectors, asked.numbers, asked.numbers))


def _mean(figures: dict[str, Any]) -> float:
    """The mean R@1 over languages and directions."""
    return float(np.mean([own["found"]["R@1"] for ways in figures.values() for own in ways.values()]))


def _save(encoder: DualEncoder, folder: Path, made: Path) -> None:
    """Write the model in the precision of its start; its calibration, which no longer fits, stays behind."""
    stated = read_config(folder)
    half = "float16" in (stated.get("dtype"), stated.get("torch_dtype"))
    save_model(encoder.model.cpu(), made, half=half)
    _copy(folder, made, [name for name in (*STATED, *TOKENIZER) if name != "config.json"])


def _copy(folder: Path, made: Path, names: Sequence[str]) -> None:
    for name in names:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, made / name)
