"""Fits a model's scores on held-out scenes: `python -m image_retrieval.training.calibrate FOLDER`.

Writes calibration.json beside the weights. Pairs consist of drawn scenes of a seed that no training, demo or
measurement uses, and their short, medium and full captions. A pair is right if both scenes have one class, or the
caption is true.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from image_retrieval.collection import ResampleOptions
from image_retrieval.errors import UserError
from image_retrieval.imaging.decode import Limits
from image_retrieval.imaging.resample import resample
from image_retrieval.models.calibration import FILE, IMAGES
from image_retrieval.models.description import describe
from image_retrieval.models.towers import load_image_tower, load_text_tower
from image_retrieval.scenes import Scene, draw_scenes
from image_retrieval.settings import Settings
from image_retrieval.training.facts import facts_claimed, facts_of, held

SEED = 2  # the demo's scenes are of seed 0, those of benchmarks/shipped.py of 1, the trainings' from a million on
SCENES = 1_000
SHOWN = 10  # results of a query that are counted
RIGHT = 0.97  # share of results with a score of 0.5 or more that must be right; the promise is 0.95
QUIET = 0.95  # share of queries without an answer that must show nothing; the promise is 0.9
BATCH = 64
STEPS = 50
ABSENT = {  # texts about things that no scene shows; benchmarks/shipped.py measures with others
    "en": (
        *("a cat on a sofa", "a sunset over the sea", "a crowded market", "an old book", "children on a swing"),
        *("a black horse", "four brown dogs", "a man with a red tie", "a bridge over a river", "a yellow taxi"),
        *("a bowl of soup", "snow in the forest", "a purple dress", "two birds above a lake", "a bottle of wine"),
        *("a train at the station", "a small house", "a hand", "three green apples", "a blue whale"),
    ),
    "zh": (
        *("沙发上的一只猫", "海上的日落", "拥挤的市场", "一本旧书", "荡秋千的孩子"),
        *("一匹黑马", "四只棕色的狗", "打红色领带的男人", "河上的桥", "一辆黄色出租车"),
        *("一碗汤", "森林里的雪", "紫色的裙子", "湖上的两只鸟", "一瓶葡萄酒"),
        *("车站的火车", "一座小房子", "一只手", "三个绿色的苹果", "一头蓝鲸"),
    ),
}
Vectors = NDArray[np.float32]
Right = NDArray[np.bool_]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Fitted:
    """A logistic function of the cosine, and what of the fitted pairs it shows at a score of 0.5 and more."""

    slope: float
    middle: float
    shown: int
    right: float
    source: str


def fit(cosines: Vectors, right: Right, absent: Vectors, source: str) -> Fitted:
    """Fit scores to pairs: a query a row, an image a column; `absent`: the best cosine of queries without an answer.

    Slope and middle maximise the likelihood of Platt's smoothed targets (Probabilistic outputs for support vector
    machines, 1999). If 0.5 would then show too many wrong results, the middle is moved up until RIGHT and QUIET hold.
    Raises UserError if right pairs are no more alike than wrong ones.
    """
    slope, middle = _platt(cosines.ravel().astype(np.float64), right.ravel())
    if not slope > 0:
        raise UserError("right pairs are no more alike than wrong ones: there is nothing to calibrate")
    first = np.argsort(-cosines, axis=1)[:, :SHOWN]
    best: NDArray[np.float64] = np.take_along_axis(cosines, first, axis=1).ravel().astype(np.float64)
    order = np.argsort(-best)
    best, good = best[order], np.take_along_axis(right, first, axis=1).ravel()[order]
    enough = np.flatnonzero(np.cumsum(good) >= RIGHT * np.arange(1, len(good) + 1))
    middle = max(middle, float(best[enough[-1]]) if len(enough) else float(best[0]) + 1e-3)
    if len(absent):
        middle = max(middle, float(np.quantile(absent, QUIET)) + 1e-3)
    shown = best >= middle
    return Fitted(round(slope, 4), round(middle, 5), int(shown.sum()), _share(good[shown]), source)


def _share(good: Right) -> float:
    return round(float(good.mean()), 4) if len(good) else 1.0


def _platt(cosines: NDArray[np.float64], right: Right) -> tuple[float, float]:
    """Slope and middle by Newton's method; a step that would not descend is halved."""
    positive, negative = float(right.sum()), float((~right).sum())
    targets = np.where(right, (positive + 1) / (positive + 2), 1 / (negative + 2))
    centre, width = float(cosines.mean()), float(cosines.std()) or 1.0
    x = (cosines - centre) / width
    a, b = 0.0, float(np.log((positive + 1) / (negative + 1)))

    def loss(a: float, b: float) -> float:
        z = a * x + b
        return float((np.logaddexp(0, z) - targets * z).mean())

    now = loss(a, b)
    for _ in range(STEPS):
        p = 1 / (1 + np.exp(-(a * x + b)))
        gradient = np.array([((p - targets) * x).mean(), (p - targets).mean()])
        w = p * (1 - p)
        hessian = np.array([[(w * x * x).mean(), (w * x).mean()], [(w * x).mean(), w.mean()]]) + 1e-10 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        size = 1.0
        while size > 1e-6 and loss(a - size * step[0], b - size * step[1]) > now:
            size /= 2
        a, b = a - size * float(step[0]), b - size * float(step[1])
        former, now = now, loss(a, b)
        if former - now < 1e-9:
            break
    return (a / width, centre - b * width / a) if a > 0 else (a, centre)


def calibrate(folder: Path, count: int = SCENES) -> dict[str, Fitted]:
    """The calibration of each direction of a model, fitted on `count` scenes. Raises UserError."""
    scenes = list(draw_scenes(count, SEED))
    source = f"{count} drawn scenes of seed {SEED}"
    tower = load_image_tower(folder, dtype="float32", device="cpu", use_cls_token=True)
    options = ResampleOptions(target_size=tower.size, keep=False)
    images = np.concatenate([tower.embed(_pixels(part, options)).numpy() for part in _parts(scenes)])
    among = images @ images.T
    kinds = np.array([scene.key.partition("/")[0] for scene in scenes])
    others = ~np.eye(len(scenes), dtype=bool)  # itself left out: every row loses one
    alike = (kinds[:, None] == kinds[None])[others].reshape(len(scenes), -1)
    elsewhere = np.where(kinds[:, None] == kinds[None], np.float32(-1), among).max(
        axis=1
    )  # no scene of its class there
    found = {IMAGES: fit(among[others].reshape(len(scenes), -1), alike, elsewhere, source)}
    if describe(folder).family == "dual_encoder":
        texts = load_text_tower(folder, dtype="float32", device="cpu")
        captions = [caption for scene in scenes for caption in scene.captions]
        facts = np.array([facts_of(scene.layout) for scene in scenes])
        true = held(np.array([facts_claimed(caption.claim) for caption in captions]), facts)
        for language, attribute in (("en", "english"), ("zh", "chinese")):
            words = [getattr(caption, attribute) for caption in captions]
            cosines = np.concatenate([texts.embed(part).numpy() @ images.T for part in _parts(words)])
            absent = (texts.embed(ABSENT[language]).numpy() @ images.T).max(axis=1)
            found[f"text_image_{language}"] = fit(cosines, true, absent, f"{source} and their captions")
    return found


def _parts(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items[start : start + BATCH] for start in range(0, len(items), BATCH)]


def _pixels(scenes: Sequence[Scene], options: ResampleOptions) -> torch.Tensor:
    width, height = options.target_size
    limits = Limits.of(Settings())
    packed = [np.frombuffer(resample(scene.data, options, limits).pixels, np.uint8) for scene in scenes]
    return torch.from_numpy(np.stack(packed).reshape(-1, height, width, 3))


def main() -> None:
    """Fit, write calibration.json, and print what the default cutoff shows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="config.json and weights")
    arguments = parser.parse_args()
    found = {direction: asdict(fitted) for direction, fitted in calibrate(arguments.folder).items()}
    (arguments.folder / FILE).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    for direction, fitted in found.items():
        shown = f"shown {fitted['shown']}, right {100 * fitted['right']:.1f} %"
        print(f"{direction:<14} middle {fitted['middle']:.3f}, {shown}")


if __name__ == "__main__":
    main()
