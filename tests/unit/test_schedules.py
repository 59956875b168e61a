from datetime import datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from image_retrieval.schedules import PRESETS, check_schedule

NUMBERS = st.integers(0, 70).map(str)
ITEMS = st.one_of(
    st.just("*"),
    NUMBERS,
    st.tuples(NUMBERS, NUMBERS).map("-".join),
    NUMBERS.map("*/{}".format),
    st.sampled_from(["?", "L", "L5", "mon#5", "feb", "sun", "R", "H", "W", "15W", "R(1-5)", "", "-", "/", "#"]),
)
FIELDS = st.lists(ITEMS, min_size=1, max_size=2).map(",".join)


@pytest.mark.parametrize(
    "schedule",
    [*PRESETS, "30 4 * * 1-5", "*/15 * * * *", "0 0 1 1 *", "0 0 31 12 *", "0 0 L * *", "0 0 * * sun#2", "0 0 31 2 1"],
)
def test_what_comes_every_year_is_taken(schedule):
    assert check_schedule(schedule) == schedule


@pytest.mark.parametrize("schedule", ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 29 2 *", "0 0 29 2 mon#5"])
def test_what_never_comes_or_not_every_year_is_refused(schedule):
    with pytest.raises(ValueError, match="in most years it would never run"):
        check_schedule(schedule)


@pytest.mark.parametrize(
    "schedule",
    [
        *("*/5 * * * * *", "0 0 1 1 * 0 2020", "@reboot", "@midnight", "@quarterly", "@once", "@continuous", "@Daily"),
        *("H * * * *", "R R * * *", "R(0-5) * * * *", "h(0-5) * * * *", "61 * * * *", "0 24 * * *", "0 0 * * 8"),
        *("", " ", "0 0 * *", "daily", "٠ ٠ * * *", "0 0 1-31/0 * *", "\0 * * * *"),
    ],
)
def test_what_others_read_otherwise_is_refused(schedule):
    with pytest.raises(ValueError, match="a cron expression of five fields"):
        check_schedule(schedule)


@given(st.lists(FIELDS, min_size=4, max_size=7).map(" ".join) | st.text(max_size=12), st.integers(0, 20))
def test_whatever_is_taken_comes_within_four_years_of_any_day(schedule, years):
    try:
        check_schedule(schedule)
    except ValueError:
        return
    if schedule not in PRESETS:
        start = datetime(2026 + years, 5, 17)
        assert croniter(schedule, start).get_next(datetime) <= start + timedelta(days=4 * 366)
