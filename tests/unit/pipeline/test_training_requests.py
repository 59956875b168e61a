"""The arguments that a DAG passes on say what the form said."""

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.cli import _parser
from image_retrieval.collection import Collection, ModelOptions
from image_retrieval.errors import UserError
from image_retrieval.pipeline.shown import Shown
from image_retrieval.pipeline.training_requests import (
    Wanted,
    _judged_against,
    _require_sound,
    _settings,
    gate_arguments,
    require_same,
    run_arguments,
)
from image_retrieval.settings import Settings
from image_retrieval.store.trainings import Begun
from image_retrieval.training.options import BACKBONES, METHODS, PRECISIONS, TrainingOptions
from image_retrieval.training.pairs.options import PAIR_METHODS, PairOptions

NUMBERS = st.integers(1, 1000)
WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
OPTIONS = st.builds(
    TrainingOptions,
    pack=st.just("s3://image-retrieval/trainings/mine/pack/"),
    method=st.sampled_from(METHODS),
    start=WORDS,
    revision=st.none() | WORDS,
    backbone=st.none() | st.sampled_from(BACKBONES),
    epochs=NUMBERS,
    batch_size=st.integers(2, 1000),
    rate=st.none() | st.floats(1e-9, 10),
    crop=st.none() | st.integers(16, 1024),
    checkpoint_every=NUMBERS,
    precision=st.sampled_from(PRECISIONS),
    seed=st.integers(0, 2**31 - 1),
    readers=st.integers(1, 256),
    accumulate=NUMBERS,
    gradient_checkpointing=st.booleans(),
    half=st.booleans(),
)


@given(OPTIONS, WORDS)
def test_the_arguments_are_read_as_the_options_that_they_were_made_of(options, against):
    stated = {name: value for name, value in asdict(options).items() if name not in ("pack", "method", "start")}
    model = "s3://image-retrieval/trainings/mine/model/"
    begun = Begun("mine", "things", options.method, options.start, against, stated, options.pack, model)
    read = _parser().parse_args(run_arguments(begun))
    given_ = vars(read) | {"rate": read.lr}
    assert TrainingOptions(**{name: given_[name] for name in asdict(options)}) == options
    assert (read.out, read.resume) == (model, True)
    read = _parser().parse_args(gate_arguments(begun))
    assert (read.pack, read.model, read.against, read.seed) == (options.pack, model, against, options.seed)
    assert read.exit_zero
    assert (read.against_revision, read.no_against_use_cls_token) == (None, False)


PAIR_OPTIONS = st.builds(
    PairOptions,
    pack=st.just("s3://image-retrieval/trainings/mine/pack/"),
    method=st.sampled_from(PAIR_METHODS),
    start=WORDS,
    revision=st.none() | WORDS,
    general=st.none() | st.sampled_from(["s3://a/general", "s3://a/general/", "s3://a/general.tsv"]),
    epochs=st.none() | NUMBERS,
    batch_size=st.integers(2, 1000),
    rate=st.none() | st.floats(1e-9, 10),
    seed=st.integers(0, 2**31 - 1),
    text_only=st.booleans(),
    checkpoint_every=st.none() | NUMBERS,
)


@given(PAIR_OPTIONS)
def test_the_arguments_of_a_training_on_texts_are_read_as_its_options(options):
    stated = {name: value for name, value in asdict(options).items() if name not in ("pack", "method", "start")}
    model = "s3://image-retrieval/trainings/mine/model/"
    begun = Begun("mine", "things", options.method, options.start, options.start, stated, options.pack, model)
    read = _parser().parse_args(run_arguments(begun))
    given_ = vars(read) | {"rate": read.lr, "method": options.method, "general": options.general}
    assert PairOptions(**{name: given_[name] for name in asdict(options)}) == options
    kept = {None: None, "s3://a/general.tsv": f"{options.pack}general/"}.get(options.general, "s3://a/general/")
    assert (read.general, read.out, read.resume, read.exit_zero) == (kept, model, True, True)
    assert gate_arguments(begun) == []


@given(WORDS, st.booleans())
def test_the_gate_loads_the_other_model_as_the_collection_does(revision, token):
    stated = {"seed": 1, "against_revision": revision, "against_use_cls_token": token}
    begun = Begun("mine", "things", "continue", "hub/model", "hub/model", stated, "s3://a/pack/", "s3://a/model/")
    read = _parser().parse_args(gate_arguments(begun))
    assert (read.against_revision, read.no_against_use_cls_token) == (revision, not token)


def test_a_pinned_model_is_judged_against_as_it_is_pinned():
    pinned = ModelOptions(name="shown", source="hub/model", revision="abc", use_cls_token=False)
    shown = Shown(
        Collection(name="things", source="s3://images/b/", model=pinned), pinned, "any", 4, None, None, False, True
    )
    options = TrainingOptions("", "continue", "hub/model", revision="new")
    for against in (None, "hub/model"):
        assert _judged_against(Wanted("mine", "things", options, against), options, shown) == pinned
    other = _judged_against(Wanted("mine", "things", options, "hub/other"), options, shown)
    assert (other.source, other.revision, other.use_cls_token) == ("hub/other", None, True)
    assert _judged_against(Wanted("mine", "s3://a/list.txt", options), options, None).revision == "new"


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 4))
def test_a_batch_is_divided_among_all_processes(machines, gpus, accumulate):
    parts = machines * gpus * accumulate
    pods = Settings(runner="kubernetes")
    for batch, fits in ((2 * parts, True), (2 * parts + 1, parts == 1), (parts, False)):
        options = TrainingOptions("", "moco", "hub/model", batch_size=batch, accumulate=accumulate)
        wanted = Wanted("mine", "things", options, gpus=gpus, machines=machines)
        if fits:
            _require_sound(wanted, pods)
        else:
            with pytest.raises(UserError, match=f"does not divide into {parts} parts"):
                _require_sound(wanted, pods)


def test_a_training_from_before_there_were_several_machines_had_one():
    options = TrainingOptions("", "moco", "hub/model")
    wanted = Wanted("mine", "things", options, gpus=2)
    stated = _settings(wanted, options)
    before = {name: value for name, value in stated.items() if name != "machines"}
    known = Begun("mine", "things", "moco", "hub/model", "hub/model", before, "s3://a/pack/", "s3://a/model/")
    require_same(wanted, known)
    with pytest.raises(UserError, match="was begun with machines 1, not 2"):
        require_same(Wanted("mine", "things", options, gpus=2, machines=2), known)
