"""BERT and XLM-RoBERTa as sentence-transformers uses them: texts to vectors, without an image side."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from image_retrieval.errors import UserError
from image_retrieval.models.description import TEXT_ENCODERS, read_config

KEY = "text_encoder"  # of config.json, where `models add` writes what sentence-transformers keeps in files beside it
MODULES, POOLING, LIMITS = "modules.json", "1_Pooling/config.json", "sentence_bert_config.json"
SUPPORTED = {"Transformer", "Pooling", "Normalize"}
RESERVED = {"bert": 0, "xlm-roberta": 2}  # positions that no token has


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """The length of the vectors, whose features they are (`mean` of all tokens, or `cls`), and how texts are read."""

    model_type: str
    dimensions: int
    pooling: str
    most_tokens: int
    lower_case: bool


def describe_text_encoder(folder: Path) -> TextEncoder | None:
    """Read a model's config; None if its type is no text encoder. Raises UserError if it lacks what is needed."""
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
            pooling={"mean": "mean", "cls": "cls"}[stated["pooling"]],
            most_tokens=min(max(int(stated["cut_at"] or positions), 4), positions),
            lower_case=bool(stated["lower_case"]),
        )
    except (TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise UserError(f"config.json of model {folder} is not as expected ({type(error).__name__}: {error})") from None


def described_by(modules: Any, pooling: Any, limits: Any) -> dict[str, Any]:
    """What KEY holds, from the files of sentence-transformers; None is a file that is not there.

    Raises UserError where they state something else.
    """
    limits = limits or {}
    if not isinstance(modules, list) or not isinstance(pooling, dict) or not isinstance(limits, dict):
        raise UserError(
            f"the model reads texts only, and lacks {MODULES} or {POOLING}, which state how its tokens become a vector"
        )
    kinds = [str(module.get("type")).rpartition(".")[2] for module in modules if isinstance(module, dict)]
    if unknown := [kind for kind in kinds if kind not in SUPPORTED]:
        raise UserError(f"{MODULES} states {unknown[0][:80]!r}: supported are {', '.join(sorted(SUPPORTED))}")
    modes = {"cls_token": "cls", "mean_tokens": "mean"}
    chosen = [name.removeprefix("pooling_mode_") for name in pooling if name.startswith("pooling_mode_")]
    chosen = [modes.get(name, name) for name in chosen if pooling[f"pooling_mode_{name}"]]
    if chosen not in (["cls"], ["mean"]):
        told = repr(", ".join(chosen)[:80]) if chosen else "nothing"
        raise UserError(f"{POOLING} states {told}: supported are the mean of the tokens, or the first one")
    most, lower_case = limits.get("max_seq_length"), bool(limits.get("do_lower_case"))
    return {"pooling": chosen[0], "cut_at": most, "lower_case": lower_case}


class TextFeatures(torch.nn.Module):
    """Tokenised texts (batch, tokens) to features (batch, hidden_size)."""

    def __init__(self, model: PreTrainedModel, pooling: str) -> None:
        super().__init__()
        self.model, self.pooling = model, pooling

    def forward(self, **tokens: torch.Tensor) -> torch.Tensor:
        states: torch.Tensor = self.model(**tokens).last_hidden_state
        if self.pooling == "cls":
            return states[:, 0]
        mask = tokens["attention_mask"].unsqueeze(-1).float()
        return (states.float() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1e-9)
