"""What a training does for labelled pictures that it never saw: `python -m benchmarks.training IMAGES LABELS`.

IMAGES and LABELS are files of MNIST's format (IDX, also gzipped), such as those of Debian's dataset-fashion-mnist. So
many pictures are packed, some of them held out; a model is trained on the others without their labels. Measured, for
the start and for the trained model: how many of the held-out pictures get their label from their nearest neighbours
among the others. The last line is JSON.
"""

import argparse
import gzip
import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.needs import positive, reported, run, whole
from image_retrieval.models.source import model_folder
from image_retrieval.models.towers import ImageTower, load_image_tower
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.candidates import CANDIDATES, shuffled
from image_retrieval.pipeline.packing import PackOptions, pack
from image_retrieval.settings import Settings, load_settings
from image_retrieval.training.backbones import from_nothing, save
from image_retrieval.training.options import BACKBONES, METHODS, RANDOM, TrainingOptions
from image_retrieval.training.packs import read_index, read_pictures
from image_retrieval.training.running import run_training

NEIGHBOURS = 20  # of which each has a vote
BATCH = 256
SIDE = 28
Labels = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--pictures", type=whole(200), default=7_000, help="how many are packed")
    parser.add_argument("--held-out", type=positive, default=1 / 7, help="share of them")
    parser.add_argument("--method", choices=METHODS, default="moco")
    parser.add_argument("--start", default=RANDOM)
    parser.add_argument("--backbone", choices=BACKBONES)
    parser.add_argument("--crop", type=whole(16), default=SIDE)
    parser.add_argument("--epochs", type=whole(1), default=10)
    parser.add_argument("--batch-size", type=whole(2), default=64)
    parser.add_argument("--lr", type=positive)
    parser.add_argument("--seed", type=whole(0), default=0)
    chosen = parser.parse_args()
    settings = load_settings()
    with tempfile.TemporaryDirectory() as folder, reported(**_stated(chosen)) as found:
        work, labels = Path(folder), _labels(chosen.labels)
        packed = _packed(chosen, work, settings)
        options = TrainingOptions(
            packed, chosen.method, chosen.start, backbone=chosen.backbone, epochs=chosen.epochs, rate=chosen.lr,
            batch_size=chosen.batch_size, crop=chosen.crop, seed=chosen.seed, readers=2,
        )  # fmt: skip
        start = _start(options, work, settings)
        found["start_right"] = _right(start, packed, labels, settings)
        found |= run_training(options, work / "trained", settings, "cpu").figures
        found["trained_right"] = _right(work / "trained", packed, labels, settings)


def _stated(chosen: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(chosen).items() if name not in ("images", "labels")}


def _packed(chosen: argparse.Namespace, work: Path, settings: Settings) -> str:
    """The pack's folder: pictures go the way of any others, but for the list of them."""
    pixels = _content(chosen.images)[16:].reshape(-1, SIDE, SIDE)
    numbers = np.random.default_rng(chosen.seed).permutation(len(pixels))[: chosen.pictures]
    (work / "pictures").mkdir()
    rows = []
    for number in numbers.tolist():
        file = io.BytesIO()
        Image.fromarray(pixels[number]).save(file, "PNG")
        path = work / "pictures" / f"{number}.png"
        path.write_bytes(file.getvalue())
        rows.append((str(number), f"file://{path}", None, None, None, None, number))
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), CANDIDATES, strict=True)]
    table = shuffled(pa.Table.from_arrays(columns, schema=CANDIDATES), chosen.seed, None)
    folder = f"{work}/pack/"
    pack("pictures", folder, PackOptions(held_out_share=chosen.held_out, seed=chosen.seed), lambda: table, settings)
    return folder


def _start(options: TrainingOptions, work: Path, settings: Settings) -> Path:
    if options.start != RANDOM:
        return model_folder(options.start, None, settings)
    torch.manual_seed(options.seed)
    backbone = from_nothing(options.backbone or "resnet18", options.crop or SIDE)
    save(backbone, backbone.encoder, work / "start", half=False)
    return work / "start"


def _right(model: Path, packed: str, labels: Labels, settings: Settings) -> dict[str, float]:
    """The share of the held-out pictures whose nearest neighbour, and whose nearest ones by vote, have its label."""
    store, tower = ObjectStore(settings), load_image_tower(model, dtype="float32", device="cpu", use_cls_token=True)
    index = read_index(store, packed, ("shard", "offset", "size", "held_out", "image_id"))
    own = labels[[int(id) for id in index["image_id"].to_pylist()]]
    held_out = index["held_out"].to_numpy().astype(bool)
    vectors = _vectors(tower, store, packed, index)
    near = (vectors[held_out] @ vectors[~held_out].T).topk(NEIGHBOURS).indices.numpy()
    votes = own[~held_out][near]
    most = np.array([np.bincount(row).argmax() for row in votes])
    right = {"nearest": votes[:, 0] == own[held_out], f"of_{NEIGHBOURS}": most == own[held_out]}
    return {name: round(float(share.mean()), 4) for name, share in right.items()}


def _vectors(tower: ImageTower, store: ObjectStore, packed: str, index: pa.Table) -> torch.Tensor:
    pictures = [
        np.asarray(picture.resize(tower.size, Image.Resampling.BICUBIC))
        for picture in read_pictures(store, packed, index, range(len(index)))
    ]
    batches = (pictures[at : at + BATCH] for at in range(0, len(pictures), BATCH))
    return torch.cat([tower.embed(torch.from_numpy(np.stack(batch))) for batch in batches])


def _labels(path: Path) -> Labels:
    return _content(path)[8:]


def _content(path: Path) -> NDArray[np.uint8]:
    data = path.read_bytes()
    return np.frombuffer(gzip.decompress(data) if path.suffix == ".gz" else data, np.uint8)


if __name__ == "__main__":
    run(main)
