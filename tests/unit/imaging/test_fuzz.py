from image_retrieval.errors import Reason
from unit.imaging import fuzz


def test_mutated_files_end_as_pictures_or_as_rejections():
    ends, longest = fuzz.run(600, seed=1)
    assert sum(ends.values()) == 600
    assert set(ends) <= {"picture", *Reason}
    assert ends["picture"] > 50
    assert longest < 2 * fuzz.SETTINGS.max_image_seconds


def test_the_same_seed_makes_the_same_files():
    assert list(fuzz.mutants(50, 7)) == list(fuzz.mutants(50, 7))
