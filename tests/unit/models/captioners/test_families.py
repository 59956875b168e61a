"""Each family writes the tokens that transformers' own generate does, and tells what does not end by itself."""

import json

import pytest
import torch
from tiny_captioners import BEGIN, CHINESE, END, ENGLISH, FAMILIES, PICTURE, SIDE, SPECIAL, START, save_captioner
from transformers import AutoModelForImageTextToText, AutoTokenizer

from image_retrieval.caption_options import CaptionOptions
from image_retrieval.errors import UserError
from image_retrieval.models.captioners.description import captions_digest, describe_captioner
from image_retrieval.models.captioners.florence2 import QUESTION
from image_retrieval.models.captioners.loading import load_captioner

NEW = 9
PIXELS = torch.randint(0, 256, (5, SIDE, SIDE, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
NORMALISED = ((PIXELS.permute(0, 3, 1, 2).double() / 255 - 0.5) / 0.25).float()


def options(folder, **more):
    model = {"name": "m", "source": str(folder)}
    return CaptionOptions(**{"model": model, "max_new_tokens": NEW, **more})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    made = {family: tmp_path_factory.mktemp(family) for family in FAMILIES}
    for family, folder in made.items():
        save_captioner(folder, family)
    return made


def generated(family, folder, prompt):
    """What transformers writes, given what its processors make of a picture and a prompt."""
    model, tokenizer = AutoModelForImageTextToText.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    given = {"pixel_values": NORMALISED, "max_new_tokens": NEW, "do_sample": False, "num_beams": 1}
    words = tokenizer(prompt or "", add_special_tokens=False).input_ids
    if family == "florence2":
        pictures = model.get_image_features(NORMALISED[:1]).pooler_output.shape[1]
        asked = "[PICTURE]" * pictures + "[START]" + (prompt or QUESTION) + "[END]"
        given |= {"input_ids": tokenizer([asked] * 5, add_special_tokens=False, return_tensors="pt").input_ids}
        given |= {"forced_eos_token_id": 0}  # of another end: none is forced
        assert PICTURE in given["input_ids"]
    elif prompt:
        first, last = (BEGIN, [END]) if family == "blip" else (START, [])
        given |= {"input_ids": torch.tensor([[first, *words, *last]] * 5)}
    with torch.no_grad():
        return [ids.tolist() for ids in model.generate(**given)], words if family in ("blip", "git") else []


@pytest.mark.parametrize("prompt", [None, "w5 w9"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokens_are_those_of_transformers(folders, family, prompt):
    if family == "vision-encoder-decoder" and prompt:
        with pytest.raises(UserError, match="takes no prompt"):
            describe_captioner(folders[family], options(folders[family], prompt=prompt))
        return
    expected, words = generated(family, folders[family], prompt)
    tokenizer = AutoTokenizer.from_pretrained(folders[family])
    said = load_captioner(folders[family], options(folders[family], prompt=prompt), "cpu").say(PIXELS, "en")
    last = NEW - (family == "florence2")  # where its own settings force an end at the limit
    for found, ids in zip(said, expected, strict=True):
        theirs = tokenizer.decode(ids[: 1 + len(words) + last], skip_special_tokens=True).split()
        assert found.text.split()[: len(theirs)] == theirs
        assert len(theirs) > len(words) + 3
        assert (found.ended, found.new) == (False, NEW)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_caption_without_an_end_stops_where_the_positions_of_the_model_do(folders, family):
    positions = 64 if family == "vision-encoder-decoder" else 80
    prompt = None if family == "vision-encoder-decoder" else "w5 w9"
    said = load_captioner(folders[family], options(folders[family], prompt=prompt, max_new_tokens=500), "cpu").say(
        PIXELS, "en"
    )
    assert any(not each.ended for each in said)
    assert max(each.new for each in said) in range(positions - 2, positions + 1)
    if family in ("blip", "git"):
        with pytest.raises(UserError, match=r"the prompt leaves no room for a caption: it has 101 tokens, .* reads 80"):
            load_captioner(folders[family], options(folders[family], prompt="w5 " * 100), "cpu")


def test_a_picture_gets_the_same_caption_in_any_batch(folders):
    for folder in (folders["vision-encoder-decoder"], folders["git"]):
        say = load_captioner(folder, options(folder), "cpu").say
        assert say(PIXELS[[3]], "en")[0] == say(PIXELS, "en")[3]


def test_a_language_is_chosen_by_the_token_after_the_first(tmp_path):
    save_captioner(tmp_path, lang_to_id={"en": ENGLISH, "zh": CHINESE})
    model = AutoModelForImageTextToText.from_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    loaded = load_captioner(tmp_path, options(tmp_path, languages=["en", "zh"]), "cpu")
    for language, token in (("en", ENGLISH), ("zh", CHINESE)):
        with torch.no_grad():
            ids = model.generate(NORMALISED, forced_bos_token_id=token, max_new_tokens=NEW + 1, do_sample=False)
        theirs = [" ".join(text.split()) for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
        assert [said.text for said in loaded.say(PIXELS, language)] == theirs
    with pytest.raises(UserError, match="does not write in 'de': its languages are en, zh"):
        describe_captioner(tmp_path, options(tmp_path, languages=["de"]))


def test_a_caption_ends_before_its_end_token(tmp_path):
    save_captioner(tmp_path)
    whole = load_captioner(tmp_path, options(tmp_path), "cpu").say(PIXELS, "en")
    words = next(said.text.split() for said in whole if len(set(said.text.split())) > 1)
    end = next(word for word in words if word != words[0])
    path = tmp_path / "generation_config.json"
    told = json.loads(path.read_text()) | {"eos_token_id": [END, len(SPECIAL) + int(end[1:])]}
    path.write_text(json.dumps(told))
    for before, after in zip(whole, load_captioner(tmp_path, options(tmp_path), "cpu").say(PIXELS, "en"), strict=True):
        kept = before.text.split()
        place = kept.index(end) if end in kept else None
        assert (after.text, after.ended) == (" ".join(kept[:place]), place is not None)


def test_the_digest_tells_files_prompt_and_length_apart(folders, tmp_path):
    save_captioner(tmp_path)
    digests = {captions_digest(tmp_path, options(tmp_path, max_new_tokens=count)) for count in (NEW, NEW, 20)}
    digests.add(captions_digest(folders["blip"], options(tmp_path, prompt="w5")))
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 3}')
    digests.add(captions_digest(tmp_path, options(tmp_path)))
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {32}


def test_what_cannot_caption_is_told(folders, tmp_path, random_model):
    with pytest.raises(UserError, match="writes no captions here: supported are vision-encoder-decoder, blip, git"):
        describe_captioner(random_model, options(random_model))
    with pytest.raises(UserError, match="does not state how to choose a language"):
        describe_captioner(folders["git"], options(folders["git"], languages=["en", "zh"]))
    save_captioner(tmp_path)
    path = tmp_path / "generation_config.json"
    path.write_text('{"lang_to_id": {"en": "five"}}')
    with pytest.raises(UserError, match="is not as expected"):
        describe_captioner(tmp_path, options(tmp_path))
