"""What searches show at the default cutoff: `python -m benchmarks.calibration [--scenes N]`.

The models that ship, on drawn scenes of seeds that they were neither trained nor calibrated on. Per direction: of the
first ten results, those that are shown, and how many of them are right; and how often a search for what no scene holds
shows nothing. For texts that is everyday things, and captions that hold of none of the scenes; for pictures, scenes of
a class that is not there. The last line is JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.needs import model, run, whole
from benchmarks.shipped import ABSENT, Vectors, embed, embed_texts, load
from image_retrieval.models.calibration import CUTOFF, IMAGES, calibration_of, read_calibration
from image_retrieval.models.shipped import DUAL, VISION
from image_retrieval.scenes import Scene, draw_scenes
from image_retrieval.scenes.captions import Caption
from image_retrieval.training.calibrate import SHOWN
from image_retrieval.training.facts import Facts, facts_claimed, facts_of, held

SEED, OTHER_SEED = 5, 6  # of the scenes that are searched, and of those that captions of something else come from
FARTHEST = -2.0  # below any cosine
MORE_ABSENT = {  # what no scene holds, some of it in the words of those that do
    "en": (
        *(
            "a red dog",
            "two blue fish",
            "three people on a white background",
            "a large orange cat",
            "four green leaves",
        ),
        *("a small yellow bird", "a purple sky", "a picture of a house", "a picture of nothing", "one pale blue eye"),
        *("a birthday cake", "an old man reading", "a football match", "rain on a window", "a cup of coffee"),
        *("a page of text", "a pink flamingo", "grey stones", "a laptop on a desk", "an empty road"),
    ),
    "zh": (
        *("一只红色的狗", "两条蓝色的鱼", "白色背景上，三个人", "一只橙色的猫", "四片绿叶"),
        *("一只黄色小鸟", "紫色的天空", "图片里有一座房子", "什么都没有", "一只浅蓝色的眼睛"),
        *("生日蛋糕", "看书的老人", "一场足球比赛", "窗上的雨", "一杯咖啡"),
        *("一页文字", "粉色的火烈鸟", "灰色的石头", "桌上的电脑", "空荡荡的路"),
    ),
}
LANGUAGES = (("en", "english"), ("zh", "chinese"))
Right = NDArray[np.bool_]


def shown(cosines: Vectors, right: Right, middle: float) -> dict[str, float]:
    """Of the first results of each query (row): how many of the right ones are shown, and the share that is right."""
    first = np.argsort(-cosines, axis=1)[:, :SHOWN]
    seen = np.take_along_axis(cosines, first, axis=1) >= middle
    good = np.take_along_axis(right, first, axis=1)
    return {"right": float(good[seen].mean()), "shown_of_right": float((good & seen).sum() / good.sum())}


def quiet(cosines: Vectors, middle: float) -> float:
    """The share of queries (rows) that show nothing."""
    return float((cosines.max(axis=1) < middle).mean())


def cutoff(folder: Path, direction: str) -> float:
    """The least cosine that is shown."""
    calibration = calibration_of(read_calibration(folder), direction)
    assert calibration is not None, f"{folder} is not calibrated: {direction}"
    return calibration.cosine(CUTOFF)


def by_pictures(folder: Path, scenes: list[Scene], vectors: Vectors) -> dict[str, float]:
    """Searches by each scene for the others."""
    middle = cutoff(folder, IMAGES)
    kinds = np.array([scene.key.partition("/")[0] for scene in scenes])
    alike = kinds[:, None] == kinds[None]
    cosines = vectors @ vectors.T
    found = shown(np.where(np.eye(len(scenes), dtype=bool), FARTHEST, cosines), alike, middle)
    return {**found, "quiet": quiet(np.where(alike, FARTHEST, cosines), middle)}


def holds(captions: list[Caption], facts: Facts) -> Right:
    """Which caption (row) is true of which scene (column)."""
    return held(np.array([facts_claimed(caption.claim) for caption in captions]), facts)


def by_texts(folder: Path, scenes: list[Scene], vectors: Vectors, language: str, attribute: str) -> dict[str, float]:
    """Searches by captions of the scenes, short, middling and full."""
    middle = cutoff(folder, f"text_image_{language}")
    facts = np.array([facts_of(scene.layout) for scene in scenes])
    captions = [caption for scene in scenes for caption in scene.captions]
    others = [caption for scene in draw_scenes(len(scenes), OTHER_SEED) for caption in scene.captions]
    nowhere = [caption for caption, right in zip(others, holds(others, facts), strict=True) if not right.any()]

    def cosines(texts: list[str]) -> Vectors:
        found: Vectors = embed_texts(folder, texts) @ vectors.T
        return found

    return {
        **shown(cosines([getattr(told, attribute) for told in captions]), holds(captions, facts), middle),
        "quiet": quiet(cosines([*ABSENT[language], *MORE_ABSENT[language]]), middle),
        "quiet_caption": quiet(cosines([getattr(told, attribute) for told in nowhere]), middle),
    }


def measure(vision: Path, dual: Path, count: int) -> dict[str, dict[str, float]]:
    """The figures of every direction of both models, as shares."""
    scenes = list(draw_scenes(count, SEED))
    files = [scene.data for scene in scenes]
    figures = {"vision_image_image": by_pictures(vision, scenes, embed(load(vision), files))}
    vectors = embed(load(dual), files)
    figures["dual_image_image"] = by_pictures(dual, scenes, vectors)
    for language, attribute in LANGUAGES:
        figures[f"dual_text_image_{language}"] = by_texts(dual, scenes, vectors, language, attribute)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=whole(11), default=1_000)
    parser.add_argument("--vision", type=model, default=VISION, help="another vision model than the one that ships")
    parser.add_argument("--dual", type=model, default=DUAL, help="another dual encoder")
    arguments = parser.parse_args()
    figures = measure(arguments.vision, arguments.dual, arguments.scenes)
    for direction, found in figures.items():
        print(f"{direction:<20}", "  ".join(f"{name} {100 * value:.1f} %" for name, value in found.items()))
    rounded = {key: {name: round(value, 4) for name, value in found.items()} for key, found in figures.items()}
    print(json.dumps({"scenes": arguments.scenes, **rounded}))


if __name__ == "__main__":
    run(main)
