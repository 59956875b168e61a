"""What tests of captioning share: a random captioner that ends most of its captions, and what the tables hold."""

import io
import json

import torch
from PIL import Image
from tiny_captioners import CHINESE, ENGLISH, SIDE, SPECIAL, save_captioner

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.models.captioners.loading import load_captioner
from integration.pictures import FIRST

STORED = (
    "SELECT i.image_id, c.language, c.etag, c.digest, c.text FROM retrieval.caption AS c "
    "JOIN retrieval.image AS i ON i.id = c.image ORDER BY 1, 2"
)
MISSING = (
    "SELECT i.image_id, c.language, c.reason, c.attempts, c.final FROM retrieval.uncaptioned AS c "
    "JOIN retrieval.image AS i ON i.id = c.image ORDER BY 1, 2"
)


def save_ending_captioner(folder):
    """Write a random captioner that ends most captions of the scenes, and not all, within 12 tokens."""
    save_captioner(folder, lang_to_id={"en": ENGLISH, "zh": CHINESE})
    options = CaptionOptions(model={"name": "writer", "source": str(folder)}, max_new_tokens=12)
    loaded = load_captioner(folder, options, "cpu")
    pictures = [Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE, SIDE), 1) for data in FIRST.values()]
    pixels = torch.stack([torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8) for picture in pictures])
    said = [
        said.text.split() for language in ("en", "zh") for said in loaded.say(pixels.view(-1, SIDE, SIDE, 3), language)
    ]
    word = max(set().union(*said), key=lambda word: sum(word in words[1:] and words[0] != word for words in said))
    path = folder / "generation_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eos_token_id": [2, len(SPECIAL) + int(word[1:])]}))
