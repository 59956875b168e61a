import pytest

from image_retrieval.store.vacuum import plan_vacuum


@pytest.mark.parametrize(
    ("live", "dead", "wanted", "told"),
    [
        (0, 0, False, "0 of 0 rows are dead, not over 5%"),
        (95, 5, False, "5 of 100 rows are dead, not over 5%"),
        (94, 6, True, "6 of 100 rows are dead, over 5%"),
        (0, 3, True, "3 of 3 rows are dead, over 5%"),
    ],
)
def test_what_is_vacuumed_and_why(live, dead, wanted, told):
    assert plan_vacuum(live, dead) == (wanted, told)
