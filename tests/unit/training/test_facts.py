import random

import numpy as np

from image_retrieval.scenes.captions import describe
from image_retrieval.scenes.layout import lay_out
from image_retrieval.training.facts import facts_claimed, facts_of, held


def test_a_batch_is_held_against_scenes_as_each_claim_is():
    layouts = [lay_out(number, 3) for number in range(0, 300, 2)]
    rng = random.Random(0)
    claims = [describe(layout, length, rng).claim for layout in layouts for length in ("short", "middling", "full")]
    found = held(np.array([facts_claimed(claim) for claim in claims]), np.array([facts_of(of) for of in layouts]))
    assert (found == [[claim.holds(layout) for layout in layouts] for claim in claims]).all()
    assert 0 < found.mean() < 1
