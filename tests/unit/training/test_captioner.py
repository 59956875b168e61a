"""What the captioner learns to say can be read back, by its tokenizer and as facts, and it learns to say it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, VisionEncoderDecoderModel

from benchmarks.caption_facts import ASPECTS, read_caption, right
from image_retrieval.scenes.layout import lay_out
from image_retrieval.training import captioner
from image_retrieval.training.captioner_model import LONGEST, make_tokenizer, of_language
from image_retrieval.training.captioner_texts import LANGUAGES, tell
from image_retrieval.training.samples import draw_samples

TOKENIZER = make_tokenizer()
SAMPLES = draw_samples(40, 0)
layouts = st.builds(lay_out, st.integers(0, 10_000), st.integers(0, 10**9))


@given(layouts)
def test_every_caption_survives_the_tokenizer_to_the_letter(layout):
    for language, text in tell(layout).items():
        tokens = TOKENIZER(TOKENIZER.bos_token + of_language(language) + text + TOKENIZER.eos_token)["input_ids"]
        assert TOKENIZER.unk_token_id not in tokens
        assert len(tokens) <= LONGEST
        assert TOKENIZER.decode(tokens, skip_special_tokens=True) == text


@given(layouts, layouts)
def test_a_caption_is_right_of_its_own_scene_and_of_another_only_where_that_is_alike(layout, other):
    for language, text in tell(layout).items():
        claim = read_caption(text, language)
        assert claim.holds(layout)
        assert right([claim], [layout]).all()
        assert claim.holds(other) == right([claim], [other]).all()


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language in LANGUAGES for text in ("", "在，", " on a ")]
)
def test_what_is_no_caption_says_nothing(language, text):
    assert not right([read_caption(text, language)], [SAMPLES.layouts[0]])[0][ASPECTS.index("shape")]


def test_it_learns_loads_and_is_of_its_seed(tmp_path, monkeypatch):
    monkeypatch.setattr(captioner, "BATCH", 8)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name, seed, steps in (("a", 0, 2), ("b", 0, 2), ("c", 1, 6)):
            (tmp_path / name).mkdir()
            losses = captioner.train(tmp_path / name, SAMPLES, steps, seed)
    finally:
        torch.set_num_threads(threads)
    assert np.mean(losses[-2:]) < losses[0]
    first, same, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
    assert first == same
    assert first != other
    model = VisionEncoderDecoderModel.from_pretrained(tmp_path / "a")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "a")
    assert model.generation_config.lang_to_id == {
        language: tokenizer.convert_tokens_to_ids(of_language(language)) for language in LANGUAGES
    }
