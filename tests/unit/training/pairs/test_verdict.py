from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.training.pairs.mean_of_weights import Chosen
from image_retrieval.training.pairs.recall import Recall
from image_retrieval.training.pairs.verdict import on_fine_tuned, on_text_side
from image_retrieval.training.verdict import LEAST


def found(share: float, chance: float, queries: int) -> dict[str, Recall]:
    return {"text_to_image": Recall(queries, queries, {"R@10": share}, {"R@10": chance})}


@given(st.sampled_from([None, 0.5, 1.0]), st.integers(0, 2 * LEAST))
def test_a_fine_tuned_model_passes_if_a_mean_was_chosen_by_enough_pictures(alpha, held_out):
    verdict = on_fine_tuned(Chosen(alpha, "told"), held_out)
    wanted = "refused" if alpha is None else "passed" if held_out >= LEAST else "undecided"
    assert verdict.decision == wanted


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99), st.integers(LEAST, 5_000))
def test_a_text_side_passes_if_each_language_finds_significantly_more_than_chance(one, other, chance, queries):
    verdict = on_text_side({"en": found(one, chance, queries), "zh": found(other, chance, queries)}, queries)
    low = [share - 1.96 * (share * (1 - share) / queries) ** 0.5 for share in (one, other)]
    wanted = "refused" if min(one, other) <= chance else "passed" if min(low) > chance else "undecided"
    assert verdict.decision == wanted
    assert "\n" not in verdict.reason
    assert on_text_side({"en": found(one, chance, queries)}, LEAST - 1).decision == "undecided"
