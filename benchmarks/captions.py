"""What the captioner that ships says of scenes that it never saw: `python -m benchmarks.captions [--scenes N]`.

Pictures go the way of a collection: encoded, decoded, resampled. Captions are generated greedily, in each language, and
read back as facts. A fact counts as right where it is so of all things in the scene. The last line is JSON.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, VisionEncoderDecoderModel

from benchmarks.caption_facts import ASPECTS, read_caption, right
from benchmarks.needs import model, run, whole
from benchmarks.shipped import BATCH, HELD_OUT, LIMITS, OPTIONS
from image_retrieval.imaging.resample import resample
from image_retrieval.models.shipped import CAPTIONER
from image_retrieval.scenes import Scene, draw_scenes

LANGUAGES = ("en", "zh")


def captions(folder: Path, files: list[bytes]) -> dict[str, list[str]]:
    """The caption of each file, in each language."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    captioner = VisionEncoderDecoderModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    width, height = OPTIONS.target_size
    pixels = [np.frombuffer(resample(data, OPTIONS, LIMITS).pixels, np.uint8) for data in files]
    packed = torch.from_numpy(np.stack(pixels).reshape(-1, height, width, 3)).permute(0, 3, 1, 2)
    found: dict[str, list[str]] = {}
    for language in LANGUAGES:
        token = captioner.generation_config.lang_to_id[language]
        found[language] = []
        for batch in torch.split(packed, BATCH):
            told = captioner.generate(pixel_values=batch / 127.5 - 1, forced_bos_token_id=token, do_sample=False)
            found[language] += tokenizer.batch_decode(told, skip_special_tokens=True)
    return found


def measure(folder: Path, scenes: list[Scene]) -> dict[str, NDArray[np.bool_]]:
    """For each language, which aspects (columns) the caption of each scene (rows) tells right."""
    layouts = [scene.layout for scene in scenes]
    return {
        language: right([read_caption(text, language) for text in texts], layouts)
        for language, texts in captions(folder, [scene.data for scene in scenes]).items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=model, default=CAPTIONER, help="another captioner than the one that ships")
    parser.add_argument("--scenes", type=whole(1, 100_000), default=1_000)
    parser.add_argument("--seed", type=whole(0, 999_999), default=HELD_OUT, help="the trainings' are from a million on")
    arguments = parser.parse_args()
    scenes = list(draw_scenes(arguments.scenes, arguments.seed))
    figures: dict[str, float] = {}
    for language, told in measure(arguments.model, scenes).items():
        figures |= {f"{aspect}_{language}": float(told[:, at].mean()) for at, aspect in enumerate(ASPECTS)}
        figures[f"all_{language}"] = float(told.all(axis=1).mean())
    print(f"{'right':<10}{'English':>10}{'Chinese':>10}")
    for aspect in (*ASPECTS, "all"):
        print(f"{aspect:<10}" + "".join(f"{100 * figures[f'{aspect}_{language}']:8.1f} %" for language in LANGUAGES))
    print(json.dumps({"scenes": len(scenes)} | {name: round(value, 4) for name, value in figures.items()}))


if __name__ == "__main__":
    run(main)
