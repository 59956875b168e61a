"""Qwen-VL is given the chat and the patches that transformers gives it, and writes the same tokens."""

import json

import pytest
import torch
from tiny_captioners import END, IMAGE_PAD, QWEN, SIDE, WORDS, save_captioner
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.captioning.answers import Fault
from image_retrieval.captioning.model_captioner import ModelCaptioner
from image_retrieval.embedding.reader import Batch
from image_retrieval.errors import UserError
from image_retrieval.models.captioners.description import SIDE as READ
from image_retrieval.models.captioners.description import describe_captioner
from image_retrieval.models.captioners.loading import LoadedCaptioner, Said, load_captioner
from image_retrieval.models.captioners.question import SPARE, question

NEW = 5
LANGUAGES = ["en", "zh"]
PIXELS = torch.randint(0, 256, (3, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def options(folder, **more):
    return CaptionOptions(
        **{
            "model": {"name": "m", "source": str(folder)},
            "languages": LANGUAGES,
            "max_new_tokens": NEW,
            "prompt": "w5 w9",
            **more,
        }
    )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {family: tmp_path_factory.mktemp(family) for family in QWEN}
    for family, folder in made.items():
        save_captioner(folder, family)
    return made


def generated(family, folder):
    """What transformers writes, given its own patches, and the chat of the models' template with the answer begun."""
    model, tokenizer = AutoModelForImageTextToText.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    limits = {"shortest_edge": SIDE * SIDE, "longest_edge": SIDE * SIDE}
    patches = Qwen2VLImageProcessorPil(size=limits, patch_size=4, image_mean=[0.5] * 3, image_std=[0.25] * 3)
    seen = patches([picture.permute(2, 0, 1).numpy() for picture in PIXELS], return_tensors="pt")
    system = "" if family == "qwen3_vl" else "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    chat = (
        f"{system}<|im_start|>user\n<|vision_start|>{'<|image_pad|>' * 16}<|vision_end|>{question('w5 w9', LANGUAGES)}"
        '<|im_end|>\n<|im_start|>assistant\n{"en": "'
    )
    ids = tokenizer([chat] * len(PIXELS), add_special_tokens=False, return_tensors="pt").input_ids
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **seen}
    given |= {"mm_token_type_ids": (ids == IMAGE_PAD).long(), "max_new_tokens": 2 * NEW + SPARE, "do_sample": False}
    with torch.no_grad():
        return [row[ids.shape[1] :].tolist() for row in model.generate(**given)], tokenizer


@pytest.mark.parametrize("family", QWEN)
def test_the_tokens_are_those_of_transformers(folders, family):
    expected, tokenizer = generated(family, folders[family])
    loaded = load_captioner(folders[family], options(folders[family]), "cpu")
    assert (loaded.together, loaded.size) == (True, (SIDE, SIDE))
    found = loaded.say(PIXELS, None)
    assert len({tuple(ids) for ids in expected}) > 1  # the picture makes a difference
    for said, ids in zip(found, expected, strict=True):
        kept = ids[: ids.index(END)] if END in ids else ids
        assert said.text.endswith(" ".join(tokenizer.decode(kept, skip_special_tokens=True).split()))
        assert (said.ended, said.new) == (END in ids, len(kept))
        assert len(kept) > 3


def test_a_picture_gets_the_same_answer_in_any_batch(folders):
    for folder in folders.values():
        say = load_captioner(folder, options(folder), "cpu").say
        assert say(PIXELS[[2]], None)[0] == say(PIXELS, None)[2]


def test_pictures_of_no_stated_size_have_whole_patches(folders, tmp_path):
    save_captioner(tmp_path, "qwen3_vl")
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"shortest_edge": 65536, "longest_edge": 16777216}}')
    assert describe_captioner(tmp_path, options(tmp_path)).size == (READ, READ)
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 47, "width": 70}}')
    assert describe_captioner(tmp_path, options(tmp_path)).size == (64, 40)
    (tmp_path / "preprocessor_config.json").write_text('{"size": {"height": 7, "width": 70}}')
    with pytest.raises(UserError, match="1 to 4096 are used"):
        describe_captioner(tmp_path, options(tmp_path))


def test_a_tokenizer_of_another_model_is_told(tmp_path):
    save_captioner(tmp_path, "qwen2_vl")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"image_token_id": WORDS}))
    with pytest.raises(UserError, match=r"the tokenizer does not know <.image_pad.> as the model does"):
        load_captioner(tmp_path, options(tmp_path), "cpu")


def test_one_answer_has_the_captions_in_all_languages_or_none():
    texts = ['{"en": "two rings", "zh": "两个环"}', '{"en": "on and', '{"en": "a ring"}', '{"en": " ", "zh": "环"}', ""]
    said = [Said(text, ended=text != '{"en": "on and', new=9) for text in texts]
    told = dict(enumerate(said))
    captioner = LoadedCaptioner(
        (1, 1), torch.device("cpu"), "d", lambda pixels, _: [told[each] for each in pixels[:, 0, 0, 0].tolist()], True
    )
    pixels = torch.arange(5, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 1, 3)
    [found] = ModelCaptioner(captioner, LANGUAGES, 2).captions([Batch(None, pixels)])
    assert [[answer.text for answer in each] for each in found.answers] == [
        ["two rings", "两个环"],
        [None, None],
        ["a ring", None],
        [None, "环"],
        [None, None],
    ]
    reasons = [[answer.reason for answer in each] for each in found.answers]
    assert reasons[1] == [Fault.NO_END] * 2
    assert reasons[2] == [None, Fault.NONSENSE]
    assert reasons[3] == [Fault.EMPTY, None]
    assert reasons[4] == [Fault.EMPTY] * 2
