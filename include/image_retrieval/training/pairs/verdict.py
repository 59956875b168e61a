"""Decides whether a model that was trained on pairs may be used, from what it finds of held-out pairs.

The first rule that fits decides. On a fine-tuned model:

1. Refused: no mean of the weights before and after finds more held-out pairs, and loses at most a point on the general
   set.
2. Undecided: fewer than 100 pictures are held out.
3. Passed otherwise.

On a text side:

1. Undecided: fewer than 100 pictures are held out.
2. Refused: in some language, texts find their pictures among the ten nearest no more often than chance would.
3. Undecided: in some language, the difference is not significant (95 %).
4. Passed otherwise.
"""

from collections.abc import Mapping

from image_retrieval.training.pairs.mean_of_weights import Chosen
from image_retrieval.training.pairs.recall import Recall
from image_retrieval.training.verdict import LEAST, NORMAL_95, Verdict

NEAREST = "R@10"


def on_fine_tuned(chosen: Chosen, held_out: int) -> Verdict:
    """The verdict on a fine-tuned model, by the mean of weights that was chosen."""
    if chosen.alpha is None:
        return Verdict("refused", chosen.reason)
    return _too_few(held_out) or Verdict("passed", chosen.reason)


def on_text_side(found: Mapping[str, Mapping[str, Recall]], held_out: int) -> Verdict:
    """The verdict on a text side, by what is found per language and direction among the held-out pictures."""
    if few := _too_few(held_out):
        return few
    own = {language: ways["text_to_image"] for language, ways in found.items()}
    told = ", ".join(f"{name} {one.found[NEAREST]:.1%}" for name, one in own.items())
    for name, one in own.items():
        if one.found[NEAREST] <= one.chance[NEAREST]:
            return Verdict("refused", f"texts in {name} find no more than chance: {told} among the ten nearest")
    for name, one in own.items():
        if _low(one) <= one.chance[NEAREST]:
            return Verdict("undecided", f"texts in {name} find not significantly more than chance: {told}")
    return Verdict("passed", f"texts find their pictures among the ten nearest: {told}")


def _too_few(held_out: int) -> Verdict | None:
    if held_out >= LEAST:
        return None
    return Verdict("undecided", f"{held_out} pictures with texts are held out: at least {LEAST} are needed")


def _low(one: Recall) -> float:
    """The lower bound of the interval of 95 % of a share."""
    share = one.found[NEAREST]
    error: float = (share * (1 - share) / max(1, one.queries)) ** 0.5
    return share - NORMAL_95 * error
