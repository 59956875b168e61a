import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from image_retrieval.training.pairs.mean_of_weights import ALPHAS, MOST_LOST, Judged, choose, mix, sweep

SHARES = st.floats(0, 1)
FOUND = st.fixed_dictionaries(
    {alpha: st.builds(lambda held, general: Judged(held, general, {}), SHARES, SHARES) for alpha in (0.0, *ALPHAS)}
)


@given(FOUND)
def test_what_is_chosen_is_better_and_loses_at_most_a_point(found):
    chosen = choose(found)
    allowed = [one for alpha, one in found.items() if alpha and one.general >= found[0.0].general - MOST_LOST]
    better = [one for one in allowed if one.held_out > found[0.0].held_out]
    if chosen.alpha is None:
        assert not better
    else:
        assert found[chosen.alpha].held_out == max(one.held_out for one in better)
        assert found[chosen.alpha].general >= found[0.0].general - MOST_LOST - 1e-8
    assert "\n" not in chosen.reason


def test_without_a_general_set_only_the_held_out_pairs_count():
    found = {alpha: Judged(alpha, None, {}) for alpha in (0.0, *ALPHAS)}
    assert choose(found).alpha == 1.0
    assert choose({alpha: Judged(0.5, None, {}) for alpha in found}).alpha is None


def test_the_sweep_goes_from_the_weights_before_to_those_after():
    weights = {"a": nn.Parameter(torch.tensor([3.0, 5.0]))}
    before, seen = {"a": torch.tensor([1.0, 1.0])}, []

    def judge() -> Judged:
        seen.append(weights["a"].tolist())
        return Judged(0.0, None, {})

    assert list(sweep(weights, before, judge)) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert seen == [[1.0, 1.0], [1.5, 2.0], [2.0, 3.0], [2.5, 4.0], [3.0, 5.0]]
    mix(weights, before, {"a": torch.tensor([3.0, 5.0])}, 0.5)
    assert weights["a"].tolist() == [2.0, 3.0]
