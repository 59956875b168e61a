"""What trainings do for labelled pictures that they never saw: `python -m benchmarks.training IMAGES LABELS`.

IMAGES and LABELS are files of MNIST's format (IDX, also gzipped), such as those of Debian's dataset-fashion-mnist. For
each seed, pictures are packed and some of them held out; each method trains a model on the others without their labels.
Measured, for the start and for the trained model: how many of the held-out pictures get their label from their nearest
neighbours among the others; and what the gate finds, to which pictures of one label are a group. Methods that can start
from nothing do so, `continue` goes on from the shipped vision model, unless told otherwise. The last line is JSON.
"""

import argparse
import gzip
import io
import tempfile
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.needs import positive, reported, run, whole
from image_retrieval.models.shipped import VISION
from image_retrieval.models.source import model_folder
from image_retrieval.models.towers import ImageTower, load_image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.candidates import CANDIDATES, shuffled
from image_retrieval.pipeline.packing import PackOptions, pack
from image_retrieval.settings import Settings, load_settings
from image_retrieval.training.backbones import from_nothing, save
from image_retrieval.training.gate import BEFORE, TRAINED, judge
from image_retrieval.training.gating import COLUMNS
from image_retrieval.training.loop import Collapsed
from image_retrieval.training.methods import BACKBONE
from image_retrieval.training.options import BACKBONES, METHODS, RANDOM, Method, TrainingOptions
from image_retrieval.training.packs import read_index, read_pictures
from image_retrieval.training.running import run_training

NEIGHBOURS = 20  # of which each has a vote
BATCH = 256
SIDE = 28
Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Small:
    """A training for two cores: pictures to learn from, start, side of crops; where the rate is None, the method's."""

    learnt: int
    start: str
    crop: int
    epochs: int = 10
    backbone: str | None = None
    rate: float | None = None


SMALL: dict[Method, Small] = {
    "moco": Small(6_000, RANDOM, SIDE, backbone="vit_mini"),
    "moby": Small(6_000, RANDOM, SIDE, backbone="vit_mini"),
    "swav": Small(6_000, RANDOM, SIDE, backbone="vit_mini"),
    "continue": Small(3_000, str(VISION), 2 * SIDE),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--method", choices=METHODS, nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=whole(1), default=3, help="how many, from 0 on")
    parser.add_argument("--held-out", type=whole(100), default=1_000, help="pictures")
    parser.add_argument("--learnt", type=whole(100), help="pictures to learn from")
    parser.add_argument("--start", help="a model, or `random`")
    parser.add_argument("--backbone", choices=BACKBONES)
    parser.add_argument("--crop", type=whole(16))
    parser.add_argument("--epochs", type=whole(1))
    parser.add_argument("--lr", dest="rate", type=positive)
    parser.add_argument("--batch-size", type=whole(2), default=64)
    chosen = parser.parse_args()
    stated = {name: value for name, value in vars(chosen).items() if name not in ("images", "labels")}
    with tempfile.TemporaryDirectory() as folder, reported(_shown, **stated) as found:
        bench = _Bench(chosen, Path(folder), load_settings())
        found["runs"] = []
        for method in chosen.method:
            for seed in range(chosen.seeds):
                found["runs"].append(bench.measured(method, seed))


class _Bench:
    """What one command measures; a pack or a start that several trainings share is made and measured once."""

    def __init__(self, chosen: argparse.Namespace, work: Path, settings: Settings) -> None:
        self._chosen, self._work, self._settings = chosen, work, settings
        self._pixels = _content(chosen.images)[16:].reshape(-1, SIDE, SIDE)
        self._labels = _content(chosen.labels)[8:]
        self._starts: dict[str, dict[str, float]] = {}

    def measured(self, method: Method, seed: int) -> dict[str, Any]:
        """The figures of a training and of its start."""
        small, chosen = SMALL[method], self._chosen
        told = {name: getattr(chosen, name) for name in ("learnt", "start", "crop", "epochs", "rate", "backbone")}
        small = replace(small, **{name: value for name, value in told.items() if value is not None})
        if small.start != RANDOM:
            small = replace(small, backbone=None)
        packed = self._packed(small.learnt, seed)
        options = TrainingOptions(
            packed, method, small.start, backbone=small.backbone, epochs=small.epochs, rate=small.rate,
            batch_size=chosen.batch_size, crop=small.crop, seed=seed, readers=2,
        )  # fmt: skip
        start, out = self._start(options), self._work / f"{method}-{seed}"
        found = {"method": method, "seed": seed, **asdict(small), "started": self._started(start, packed)}
        try:
            found |= run_training(options, out, self._settings, "cpu").figures
        except Collapsed as error:
            return found | {"gate": str(error)}
        return found | {"trained": self._right(out, packed)} | self._judged(out, start, packed, seed)

    def _packed(self, learnt: int, seed: int) -> str:
        """The pack's folder: pictures go the way of any others, but for the list of them."""
        folder = self._work / f"pack-{learnt}-{seed}"
        if folder.is_dir():
            return f"{folder}/"
        count = learnt + self._chosen.held_out
        numbers = np.random.default_rng(seed).permutation(len(self._pixels))[:count]
        pictures, rows = self._work / "pictures", []
        pictures.mkdir(exist_ok=True)
        for number in numbers.tolist():
            file = io.BytesIO()
            Image.fromarray(self._pixels[number]).save(file, "PNG")
            path = pictures / f"{number}.png"
            path.write_bytes(file.getvalue())
            rows.append((str(number), f"file://{path}", None, None, None, None, number))
        columns = [
            pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), CANDIDATES, strict=True)
        ]
        table = shuffled(pa.Table.from_arrays(columns, schema=CANDIDATES), seed, None)
        how = PackOptions(held_out_share=self._chosen.held_out / count, seed=seed)
        pack("pictures", f"{folder}/", how, lambda: table, self._settings)
        return f"{folder}/"

    def _start(self, options: TrainingOptions) -> Path:
        if options.start != RANDOM:
            return model_folder(options.start, None, self._settings)
        torch.manual_seed(options.seed)
        folder = self._work / f"{options.backbone}-{options.crop}-{options.seed}"
        if not folder.is_dir():
            backbone = from_nothing(options.backbone or BACKBONE[options.method], options.crop or SIDE)
            save(backbone, backbone.encoder, folder, half=False)
        return folder

    def _started(self, start: Path, packed: str) -> dict[str, float]:
        key = f"{start} {packed}"
        if key not in self._starts:
            self._starts[key] = self._right(start, packed)
        return self._starts[key]

    def _right(self, model: Path, packed: str) -> dict[str, float]:
        """The share of held-out pictures whose nearest neighbour, and whose nearest ones by vote, have their label."""
        store, tower = ObjectStore(self._settings), _tower(model)
        index = read_index(store, packed, ("shard", "offset", "size", "held_out", "image_id"))
        own, held_out = self._labels_of(index), index["held_out"].to_numpy().astype(bool)
        vectors = _vectors(tower, store, packed, index)
        near = (vectors[held_out] @ vectors[~held_out].T).topk(NEIGHBOURS).indices.numpy()
        votes = own[~held_out][near]
        most = np.array([np.bincount(row).argmax() for row in votes])
        right = {"nearest": votes[:, 0] == own[held_out], f"of_{NEIGHBOURS}": most == own[held_out]}
        return {name: round(float(share.mean()), 4) for name, share in right.items()}

    def _judged(self, out: Path, start: Path, packed: str, seed: int) -> dict[str, Any]:
        """What the gate finds; labels are groups for it alone, so that those held out have others learnt from."""
        store = ObjectStore(self._settings)
        index = read_index(store, packed, (*COLUMNS, "image_id"))
        labels = pa.array([str(label) for label in self._labels_of(index)])
        index = index.set_column(index.column_names.index("group_id"), "group_id", labels)
        towers = {TRAINED: _tower(out), BEFORE: _tower(start)}
        report = judge(towers, index, partial(read_pictures, store, packed, index), seed=seed)
        originals = {name: _mean(figures.recall_at_1) for name, figures in report.figures.items()}
        groups = {name: figures.groups for name, figures in report.figures.items()}
        return {"gate": report.decision, "originals": originals, "groups": groups, "reason": report.reason}

    def _labels_of(self, index: pa.Table) -> Labels:
        return self._labels[[int(id) for id in index["image_id"].to_pylist()]]


HEAD = "\nmethod    seed  nearest         vote of 20      originals       groups          gate"


def _shown(name: str, value: Any) -> str:
    """A fact as a line, the trainings as a table."""
    return "\n".join([HEAD, *map(_row, value)]) if name == "runs" else f"{name:<24}{value}"


def _row(found: dict[str, Any]) -> str:
    """A line of the table: start and trained of each figure."""
    pairs = [(found["started"][name], found.get("trained", {}).get(name)) for name in ("nearest", f"of_{NEIGHBOURS}")]
    pairs += [(found.get(name, {}).get(BEFORE), found.get(name, {}).get(TRAINED)) for name in ("originals", "groups")]
    shown = "  ".join(" ".join("-----" if one is None else f"{one:.4f}" for one in pair).ljust(14) for pair in pairs)
    return f"{found['method']:<8}  {found['seed']:>4}  {shown}  {found['gate']}"


def _mean(shares: dict[str, float]) -> float:
    return round(sum(shares.values()) / len(shares), 4)


def _tower(model: Path) -> ImageTower:
    return load_image_tower(model, dtype="float32", device="cpu", use_cls_token=True)


def _vectors(tower: ImageTower, store: ObjectStore, packed: str, index: pa.Table) -> torch.Tensor:
    pictures = [
        np.asarray(picture.resize(tower.size, Image.Resampling.BICUBIC))
        for picture in read_pictures(store, packed, index, range(len(index)))
    ]
    batches = (pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH))
    return torch.cat([tower.embed(torch.from_numpy(np.stack(batch))) for batch in batches])


def _content(path: Path) -> NDArray[np.uint8]:
    data = path.read_bytes()
    return np.frombuffer(gzip.decompress(data) if path.suffix == ".gz" else data, np.uint8)


if __name__ == "__main__":
    run(main)
