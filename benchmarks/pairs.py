"""What training on pictures with texts does: `python -m benchmarks.pairs emoji PICTURES NAMES`, or `… scenes`.

emoji: PICTURES is the folder `assets` of the npm package @lobehub/fluent-emoji-3d, NAMES that of emojibase-data. A text
side for EfficientNet-Lite2 is trained on the English and Chinese names of three in four emoji; the others' names search
among all pictures, and among the held-out ones. scenes: the shipped dual encoder is fine-tuned on drawn scenes that are
packed very small, and judged on others of these and on scenes of the usual size; with --negatives, each step holds
pictures that the start finds alike, at ranks 10 to 100. The last line is JSON.
"""

import argparse
import json
import random
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.needs import folder, reported, run, whole
from image_retrieval.models.adding import write_model
from image_retrieval.models.fetching import Fetched
from image_retrieval.models.packaged import packaged_weights
from image_retrieval.models.shipped import DUAL
from image_retrieval.models.towers import load_image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.packing import PackOptions
from image_retrieval.pipeline.pair_files import pack_pairs, pairs_of
from image_retrieval.scenes.captions import describe
from image_retrieval.scenes.drawing import draw
from image_retrieval.scenes.layout import lay_out
from image_retrieval.settings import Settings, load_settings
from image_retrieval.training.pairs.embedding import picture_vectors
from image_retrieval.training.pairs.options import PairOptions
from image_retrieval.training.pairs.paired import read_paired
from image_retrieval.training.pairs.running import train_pairs
from image_retrieval.training.pairs.texts import Pair

NEW, OLD = 71, 72  # seeds that nothing else uses
SIDE = 112  # of drawn scenes, as the shipped model reads them
SMALL = 24  # the longest side of the new scenes
SCALE = 0.35  # of drawing: a shorter side of 112 to 140 pixels
HELD_OUT = 0.3
RANKS = slice(10, 101)  # of hard negatives, as with a collection
HELD_OUT_EMOJI = 0.25  # so that chance finds few of them


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    emoji = kinds.add_parser("emoji")
    emoji.add_argument("pictures", type=folder)
    emoji.add_argument("names", type=folder)
    scenes = kinds.add_parser("scenes")
    scenes.add_argument("--scenes", type=whole(100), default=1_000, help="how many are packed, each way")
    scenes.add_argument("--batch-size", type=whole(2), default=128)
    scenes.add_argument("--negatives", action="store_true", help="put pictures that look alike beside each other")
    for kind in (emoji, scenes):
        kind.add_argument("--epochs", type=whole(1))
        kind.add_argument("--seed", type=whole(0), default=0)
    chosen = parser.parse_args()
    settings = load_settings()
    stated = {name: value for name, value in vars(chosen).items() if name not in ("pictures", "names")}
    with tempfile.TemporaryDirectory() as scratch, reported(**stated) as found:
        measure = _emoji if chosen.kind == "emoji" else _scenes
        found |= measure(chosen, Path(scratch), settings)


def _emoji(chosen: argparse.Namespace, work: Path, settings: Settings) -> dict[str, object]:
    weights = packaged_weights("efficientnet_lite2")
    (work / "start").mkdir()
    write_model(Fetched(weights.parent, (weights,)), weights.parent, work / "start")
    named = list(_names(chosen.pictures, chosen.names))
    _pack(named, work, "emoji", PackOptions(held_out_share=HELD_OUT_EMOJI, seed=chosen.seed), settings)
    options = PairOptions(f"{work}/emoji/", "text", str(work / "start"), epochs=chosen.epochs, seed=chosen.seed)
    return train_pairs(options, f"{work}/trained/", settings, "cpu").figures


def _names(pictures: Path, names: Path) -> Iterator[Pair]:
    files = {path.stem.upper(): path for path in sorted(pictures.glob("*.webp"))}
    for language in ("en", "zh"):
        for entry in json.loads((names / language / "data.json").read_text(encoding="utf-8")):
            code = entry["hexcode"]
            if path := files.get(code) or files.get(code.replace("-FE0F", "")):
                yield Pair(f"file://{path.resolve()}", entry["label"], language)


def _scenes(chosen: argparse.Namespace, work: Path, settings: Settings) -> dict[str, object]:
    small = PackOptions(longest_side=SMALL, held_out_share=HELD_OUT, seed=chosen.seed)
    _pack(_drawn(chosen.scenes, NEW, work), work, "new", small, settings)
    _pack(_drawn(chosen.scenes // 3, OLD, work), work, "old", PackOptions(seed=chosen.seed), settings)
    options = PairOptions(
        f"{work}/new/", "pairs", str(DUAL), general=f"{work}/old/", epochs=chosen.epochs,
        batch_size=chosen.batch_size, seed=chosen.seed, negatives="new" if chosen.negatives else None,
    )  # fmt: skip
    near = partial(_near, options, settings) if chosen.negatives else None
    return train_pairs(options, f"{work}/trained/", settings, "cpu", find_negatives=near).figures


def _near(options: PairOptions, settings: Settings) -> dict[str, list[str]]:
    """By image id, the pictures at ranks 10 to 100 for it, by the start's vectors."""
    store = ObjectStore(settings)
    paired = read_paired(store, options.pack)
    tower = load_image_tower(Path(options.start), dtype="float32", device="cpu", use_cls_token=True)
    vectors = picture_vectors(tower, paired, store)
    names = paired.index["image_id"].to_pylist()
    ranked = np.argsort(-(vectors @ vectors.T), axis=1)[:, RANKS]  # rank 0 is the picture itself
    return {name: [names[at] for at in row] for name, row in zip(names, ranked.tolist(), strict=True)}


def _drawn(count: int, seed: int, work: Path) -> list[Pair]:
    """Scenes, each with a full caption in both languages."""
    found = []
    for number in range(count):
        layout, rng = lay_out(number, seed), random.Random(f"{seed}-{number}")
        path = work / f"{seed}-{number}.png"
        draw(layout, rng, SCALE).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)
        caption = describe(layout, "full", rng)
        found += [Pair(f"file://{path}", text, own) for text, own in ((caption.english, "en"), (caption.chinese, "zh"))]
    return found


def _pack(pairs: list[Pair], work: Path, name: str, options: PackOptions, settings: Settings) -> None:
    """Pack the pictures of pairs the way of any others."""
    path = work / f"{name}.jsonl"
    lines = (json.dumps(pair._asdict(), ensure_ascii=False) for pair in pairs)
    path.write_text("\n".join(lines), encoding="utf-8")
    pack_pairs(str(path), pairs_of(str(path), settings), f"{work}/{name}/", options, settings)


if __name__ == "__main__":
    run(main)
