"""The dual encoder before training: Chinese-CLIP's shape at a small size, and its tokenizer."""

from pathlib import Path

from transformers import (
    BertTokenizer,
    ChineseCLIPConfig,
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
)

from image_retrieval.scenes.captions import words
from image_retrieval.training.local_init import begin_local
from image_retrieval.training.samples import SIDE

PATCH = 14
WIDTH = 128  # of the image tower, the text tower and the vectors
LONGEST = 48  # tokens
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MEAN = STD = (0.5, 0.5, 0.5)


def make_tokenizer(folder: Path) -> BertTokenizer:
    """A tokenizer of the captions' words and characters; what else there may be is [UNK]. Writes vocab.txt."""
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join((*SPECIAL, *words())) + "\n", encoding="utf-8")
    return BertTokenizer(str(vocabulary), do_lower_case=True, model_max_length=LONGEST)


def save_preparation(tokenizer: BertTokenizer, folder: Path) -> None:
    """Write what transformers needs to prepare pictures and texts for the model."""
    size = {"height": SIDE, "width": SIDE}
    images = ChineseCLIPImageProcessorPil(
        size=size, do_center_crop=False, crop_size=size, image_mean=MEAN, image_std=STD
    )
    images.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_dual_encoder(words_known: int) -> ChineseCLIPModel:
    """The model with random weights, of torch's present seed."""
    vision = {
        **{"hidden_size": WIDTH, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 384},
        **{"image_size": SIDE, "patch_size": PATCH, "hidden_act": "gelu"},
    }
    text = {
        **{"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256},
        **{"vocab_size": words_known, "max_position_embeddings": LONGEST, "type_vocab_size": 1},
        **{"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "pad_token_id": 0},
    }
    model = ChineseCLIPModel(ChineseCLIPConfig(vision_config=vision, text_config=text, projection_dim=WIDTH))
    seen = model.vision_model.embeddings
    attentions = [layer.self_attn for layer in model.vision_model.encoder.layers]
    begin_local(seen.position_embedding.weight, seen.patch_embedding, attentions)
    return model
