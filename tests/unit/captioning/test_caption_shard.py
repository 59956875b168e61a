"""A shard's captions are complete and in order however often the process that makes them ends early."""

from contextlib import suppress

import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from image_retrieval.captioning.answers import MOST_LETTERS, Fault, answer_of, cleaned
from image_retrieval.captioning.caption_shard import caption_shard
from image_retrieval.captioning.model_captioner import ModelCaptioner
from image_retrieval.embedding import checkpoint
from image_retrieval.errors import OutOfMemory
from image_retrieval.models.captioners.loading import LoadedCaptioner, Said
from image_retrieval.settings import Settings
from unit.embedding.packed import SIDE, pack

SETTINGS = Settings(database_url="")
LANGUAGES = ("en", "zh")


class Model:
    """Says the value of a picture; `bad` ones never end, say nothing or raise. Memory is for `fits` pictures."""

    def __init__(self, bad=(), fits=100, fails_at=None, error=KeyboardInterrupt):
        self.bad, self.fits, self.sizes = dict(bad), fits, []
        self._fails_at, self._error = fails_at, error

    def __call__(self, pixels, language):
        if len(self.sizes) == self._fails_at:
            raise self._error("no more")
        self.sizes.append(len(pixels))
        if len(pixels) > self.fits:
            raise torch.OutOfMemoryError("out of memory")
        values = pixels[:, 0, 0, 0].tolist()
        if any(self.bad.get(value) == "raises" for value in values):
            raise RuntimeError("this picture\nis odd")
        return [self.said(value, language) for value in values]

    def said(self, value, language):
        match self.bad.get(value):
            case "loops":
                return Said("on and on and", ended=False, new=50)
            case "silent":
                return Said(" . ", ended=True, new=1)
            case _:
                return Said(f"{language} {value}", ended=True, new=2)


def writer(model, size=4, digest="d"):
    return ModelCaptioner(LoadedCaptioner((SIDE, SIDE), torch.device("cpu"), digest, model), LANGUAGES, size)


def caption(folder, model, **options):
    made = writer(model, **options)
    caption_shard(str(folder / "in.parquet"), str(folder / "out.parquet"), LANGUAGES, lambda: made, SETTINGS)


def found(folder):
    return pq.read_table(folder / "out.parquet").to_pylist()


def expected(ids, bad=None):
    return [(id, language, None if id in (bad or {}) else f"{language} {id}") for id in ids for language in LANGUAGES]


def texts(folder):
    return [(row["id"], row["language"], row["text"]) for row in found(folder)]


def test_each_picture_has_a_row_per_language(tmp_path):
    ids = pack(tmp_path / "in.parquet", 11, rejected=(2, 7))
    model = Model()
    caption(tmp_path, model)
    assert texts(tmp_path) == expected(ids)
    assert set(model.sizes) == {4}  # the last batch is padded
    caption(tmp_path, Model(error=AssertionError, fails_at=0))  # the file exists


def test_a_bad_picture_is_rejected_alone_with_a_reason(tmp_path):
    bad = {1: "loops", 4: "silent", 6: "raises"}
    ids = pack(tmp_path / "in.parquet", 9)
    caption(tmp_path, Model(bad))
    assert texts(tmp_path) == expected(ids, bad)
    reasons = {row["id"]: (row["reason"], row["detail"]) for row in found(tmp_path) if row["reason"]}
    assert reasons == {
        1: ("no_end", "no end within 50 tokens: on and on and"),
        4: ("empty", "."),
        6: ("model_failed", "this picture"),
    }


def test_a_model_that_fails_on_every_picture_ends_the_shard(tmp_path):
    pack(tmp_path / "in.parquet", 5)
    with pytest.raises(RuntimeError, match="this picture"):
        caption(tmp_path, Model(dict.fromkeys(range(251), "raises")))


@pytest.mark.parametrize("fits", [1, 3])
def test_batches_are_halved_when_memory_is_short(tmp_path, fits):
    ids = pack(tmp_path / "in.parquet", 9)
    model = Model(fits=fits)
    caption(tmp_path, model, size=8)
    assert texts(tmp_path) == expected(ids)
    assert model.sizes.count(8) == 1
    with pytest.raises(OutOfMemory, match="with a single image"):
        writer(Model(fits=0))._answers(torch.zeros(1, SIDE, SIDE, 3, dtype=torch.uint8), "en")


@given(ends=st.lists(st.integers(0, 8), max_size=4), count=st.integers(1, 13), size=st.integers(1, 5))
def test_a_shard_goes_on_where_a_former_process_was(tmp_path_factory, ends, count, size):
    folder = tmp_path_factory.mktemp("shard")
    ids = pack(folder / "in.parquet", count, rejected=[row for row in range(count) if row % 5 == 3])
    for end in ends:
        with suppress(KeyboardInterrupt):
            caption(folder, Model(fails_at=end), size=size)
    caption(folder, Model(), size=size)
    assert texts(folder) == expected(ids)
    assert not list(folder.glob("out.parquet.parts/**/*.parquet"))


def test_what_another_captioner_saved_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)
    ids = pack(tmp_path / "in.parquet", 9)
    with pytest.raises(KeyboardInterrupt):
        caption(tmp_path, Model(fails_at=4), digest="other")
    model = Model()
    caption(tmp_path, model)
    assert texts(tmp_path) == expected(ids)
    assert len(model.sizes) == 6


@given(st.text(max_size=60))
@example("0 \x08 0")
def test_a_caption_is_one_line_that_any_table_holds(text):
    found = cleaned(text)
    found.encode()
    assert "\0" not in found
    assert found == " ".join(found.split()) == cleaned(found)
    answer = answer_of(text, ended=True, tokens=5)
    assert (answer.text is None) == (answer.reason is not None)
    assert answer.text is None or any(letter.isalnum() for letter in answer.text)


def test_a_caption_without_bound_is_none():
    assert answer_of("a" * (MOST_LETTERS + 1), ended=True, tokens=5).reason is Fault.NO_END
