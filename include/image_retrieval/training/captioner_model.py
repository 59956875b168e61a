"""The captioner before training: the picture tower of the shipped dual encoder, a small GPT-2, and a tokenizer."""

from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    ChineseCLIPImageProcessorPil,
    ChineseCLIPModel,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    VisionEncoderDecoderModel,
)

from image_retrieval.models.shipped import DUAL
from image_retrieval.scenes.captions import CHINESE, CHINESE_BESIDE, words
from image_retrieval.training.captioner_texts import LANGUAGES

LONGEST = 32  # tokens of a caption, its language's and its end included
LAYERS = 3
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
BLANK = "▁"  # stands for the blank before a word, as in SentencePiece


def make_tokenizer() -> PreTrainedTokenizerFast:
    """A token for each language, and for each English word, Chinese word and Chinese character of the scenes' captions.

    Decoding gives back the caption to the letter. What else there may be is UNKNOWN.
    """
    chinese = [*CHINESE.values(), *(way for ways in CHINESE_BESIDE.values() for way in ways), "背景"]
    known = [BLANK, *(BLANK + word if word.isascii() else word for word in words()), *chinese]
    special = [PAD, UNKNOWN, START, END, *map(of_language, LANGUAGES)]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys([*special, *known]))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    longest_first = "|".join(sorted(chinese, key=len, reverse=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(BLANK),
            pre_tokenizers.Split(Regex(f"{longest_first}|[^{BLANK}!-~]"), "isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(BLANK)
    named = {"pad_token": PAD, "unk_token": UNKNOWN, "bos_token": START, "eos_token": END}
    others = [of_language(language) for language in LANGUAGES]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, extra_special_tokens=others, model_max_length=LONGEST, **named
    )


def of_language(language: str) -> str:
    """The token that a caption of this language begins with, after START."""
    return f"[{language}]"


def make_captioner(tokenizer: PreTrainedTokenizerFast) -> VisionEncoderDecoderModel:
    """The model: trained to see, with a decoder of random weights, of torch's present seed."""
    encoder = ChineseCLIPModel.from_pretrained(DUAL, dtype="float32").vision_model
    width = encoder.config.hidden_size
    decoder = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer), n_positions=LONGEST, n_embd=width, n_layer=LAYERS, n_head=4, n_inner=2 * width,
            resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, add_cross_attention=True,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    decoder.config.is_decoder = True
    model = VisionEncoderDecoderModel(encoder=encoder, decoder=decoder)
    model.config.decoder_start_token_id = tokenizer.bos_token_id
    model.config.eos_token_id, model.config.pad_token_id = tokenizer.eos_token_id, tokenizer.pad_token_id
    tokens = {language: tokenizer.convert_tokens_to_ids(of_language(language)) for language in LANGUAGES}
    model.generation_config = GenerationConfig(
        decoder_start_token_id=tokenizer.bos_token_id, forced_bos_token_id=tokens[LANGUAGES[0]],
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, max_length=LONGEST,
        lang_to_id=tokens,
    )  # fmt: skip
    return model


def save_preparation(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write what transformers needs to prepare pictures and to read captions."""
    ChineseCLIPImageProcessorPil.from_pretrained(DUAL).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
