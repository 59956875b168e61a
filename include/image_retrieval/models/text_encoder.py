"""Text embedding models in the format of sentence-transformers: texts to vectors, without an image side.

Families differ in their network, in how tokens become a vector (pooling), and in the prompt before a text. E5 (Wang et
al., arXiv 2402.05672) and MiniLM take the mean of the tokens, BGE-M3 (Chen et al., arXiv 2402.03216) the first one, and
Qwen3-Embedding (Zhang et al., arXiv 2506.05176) the last one, with an instruction before queries alone.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_ENCODERS, read_config

KEY = "text_encoder"  # of config.json, where `models add` writes what sentence-transformers keeps in files beside it
MODULES, POOLING, LIMITS = "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"
PROMPTS = "config_sentence_transformers.json"
SUPPORTED = {"Transformer", "Pooling", "Normalize"}
RESERVED = {"bert": 0, "xlm-roberta": 2, "qwen3": 0}  # positions that no token has
MODES = {"cls_token": "cls", "mean_tokens": "mean", "lasttoken": "last"}
PASSAGES = ("document", "passage", "corpus")  # names of the prompt before texts that are searched
E5 = re.compile(r"(?:^|[/_-])e5(?:[/_.-]|$)", re.IGNORECASE)  # in the name of a model, whose files do not state prompts
E5_PROMPTS = {"query": "query: ", "passage": "passage: "}
MOST_LETTERS = 1000  # of a prompt


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """The type of network, the length of its vectors, and how texts are read.

    `pooling`: the `mean` of all tokens, the first one (`cls`), or the `last`. `query` is put before texts that are
    searched by, `passage` before those that are searched.
    """

    model_type: str
    dimensions: int
    pooling: str
    most_tokens: int
    lower_case: bool
    query: str = ""
    passage: str = ""

    @property
    def family(self) -> str:
        """Its name in `retrieval.model`."""
        return KEY

    @property
    def image_family(self) -> str:
        """The same name, since there is no image side."""
        return KEY

    @property
    def calibration(self) -> None:
        """None: no such model brings one."""


def describe_text_encoder(folder: Path) -> TextEncoder | None:
    """Read a model's config; None if its type is no text encoder. Raises UserError if something needed is missing."""
    config = read_config(folder)
    model_type, stated = config.get("model_type"), config.get(KEY)
    if model_type not in TEXT_ENCODERS:
        return None
    if not isinstance(stated, dict):
        raise UserError(f"model {folder} does not state how its tokens become a vector: `models add` converts it")
    try:
        positions = int(config["max_position_embeddings"]) - RESERVED[model_type]
        return TextEncoder(
            model_type=model_type,
            dimensions=int(config["hidden_size"]),
            pooling={mode: mode for mode in MODES.values()}[stated["pooling"]],
            most_tokens=min(max(int(stated["cut_at"] or positions), 4), positions),
            lower_case=bool(stated["lower_case"]),
            query=_prompt(stated.get("query", "")),
            passage=_prompt(stated.get("passage", "")),
        )
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UserError(f"config.json of model {folder} is not as expected ({type(error).__name__}: {error})") from None


def described_by(modules: Any, pooling: Any, limits: Any, prompts: Any, *, source: str) -> dict[str, Any]:
    """What KEY holds, from the contents of the files of sentence-transformers; None: there is no such file.

    Prompts are those of the file PROMPTS. If it states none, and `source`, the model's place or name, says E5, they are
    E5's, and `assumed` is true. Raises UserError if the files state what is not supported.
    """
    limits, prompts = limits or {}, prompts or {}
    files = (pooling, limits, prompts)
    if not isinstance(modules, list) or not all(isinstance(file, dict) for file in files):
        raise UserError(
            f"the model reads texts only, and lacks {MODULES} or {POOLING}, which state how its tokens become a vector"
        )
    kinds = [str(module.get("type")).rpartition(".")[2] for module in modules if isinstance(module, dict)]
    if unknown := [kind for kind in kinds if kind not in SUPPORTED]:
        raise UserError(f"{MODULES} states {unknown[0][:80]!r}: supported are {', '.join(sorted(SUPPORTED))}")
    chosen = [name.removeprefix("pooling_mode_") for name in pooling if name.startswith("pooling_mode_")]
    chosen = [MODES.get(name, name) for name in chosen if pooling[f"pooling_mode_{name}"]]
    if len(chosen) != 1 or chosen[0] not in MODES.values():
        told = repr(", ".join(chosen)[:80]) if chosen else "nothing"
        raise UserError(f"{POOLING} states {told}: supported are the mean of the tokens, or the first or last one")
    most, lower_case = limits.get("max_seq_length"), bool(limits.get("do_lower_case"))
    return {"pooling": chosen[0], "cut_at": most, "lower_case": lower_case, **_prompts(prompts, source)}


def _prompts(stated: dict[str, Any], source: str) -> dict[str, Any]:
    """The prompts that PROMPTS states under `prompts`, else those of E5 for such a model, else nothing."""
    named = stated.get("prompts")
    named = named if isinstance(named, dict) else {}
    given = {"query": named.get("query"), "passage": next((named[name] for name in PASSAGES if named.get(name)), None)}
    try:
        found = {kind: _prompt(text) for kind, text in given.items() if text}
    except ValueError as error:
        raise UserError(f"{PROMPTS} {error}") from None
    return found or ({**E5_PROMPTS, "assumed": True} if E5.search(source.rstrip("/")) else {})


def _prompt(text: Any) -> str:
    """The prompt, if it is a text of usual length. Raises ValueError."""
    if not isinstance(text, str) or len(text) > MOST_LETTERS:
        raise ValueError(f"states a prompt that is no text of at most {MOST_LETTERS} characters")
    return text


class TextFeatures(torch.nn.Module):
    """Tokenised texts (batch, tokens) to features (batch, hidden_size)."""

    def __init__(self, model: PreTrainedModel, pooling: str) -> None:
        super().__init__()
        self.model, self.pooling = model, pooling

    def forward(self, **tokens: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(**tokens).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        mask = tokens["attention_mask"]
        if self.pooling == "last":  # wherever the padding is
            places = torch.arange(mask.shape[1], device=mask.device)
            return states[torch.arange(len(states), device=mask.device), (mask * places).argmax(dim=1)]
        shares = mask.unsqueeze(-1).float()
        return (states.float() * shares).sum(dim=1) / shares.sum(dim=1).clamp(min=1e-9)
