"""What the collections file takes as a schedule, Airflow's own timetable takes, and finds a time for."""

from datetime import UTC, datetime, timedelta

from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from image_retrieval.collection import Collection
from image_retrieval.schedules import PRESETS, check_schedule
from orchestration.watching import schedule_of


def field(first, last, *words):
    """What may stand for minutes, hours and so on."""
    numbers = st.integers(first, last).map(str)
    spans = st.tuples(numbers, numbers).map("-".join)
    items = st.one_of(st.sampled_from(["*", "?", *words]), numbers, spans, numbers.map("*/{}".format))
    return st.lists(items, min_size=1, max_size=2).map(",".join)


FIELDS = (field(0, 59), field(0, 23), field(1, 31, "L"), field(1, 12, "feb", "DEC"), field(0, 7, "sun", "L5", "mon#2"))


@settings(max_examples=40)
@given(st.tuples(*FIELDS).map(" ".join) | st.sampled_from(PRESETS))
@example("0 0 L * *")
@example("0 0 * * sun#2")
@example("0 0 31 2 1")
@example("*/61 23-1 ? feb-DEC L5")
def test_airflow_reads_what_the_file_takes(schedule):
    try:
        check_schedule(schedule)
    except ValueError:
        assume(False)
    timetable = CronTriggerTimetable(schedule, timezone="UTC")
    timetable.validate()
    soon = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, catchup=False)
    )
    assert soon is not None


def test_a_dag_that_is_switched_on_after_its_time_waits_for_the_next_one():
    now = datetime.now(UTC)
    before = now - timedelta(minutes=2)
    entry = Collection(
        name="demo",
        source="s3://images/demo/",
        model={"name": "scenes_dual", "source": "s3://models/scenes_dual/"},
        schedule=f"{before.minute} {before.hour} * * *",
        watch={"poll": True},
    )
    timetable = coerce_to_core_timetable(schedule_of(entry).timetable)
    first = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, catchup=False)
    )
    assert first.run_after > now
