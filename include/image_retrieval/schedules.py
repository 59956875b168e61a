"""Schedules: presets, and cron expressions that Airflow and people read in the same way."""

import re
from datetime import datetime, timedelta

from croniter import CroniterError, croniter

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
FIELDS = 5  # Airflow would accept a sixth field, seconds, which other programs expect elsewhere
A_YEAR = timedelta(days=365)
START = datetime(2024, 12, 31, 23, 59)  # fixed, so that the result never changes; before a year without a leap day


def check_schedule(schedule: str) -> str:
    """The schedule, if it comes at least once in every year. Raises ValueError that says what is wrong."""
    if schedule in PRESETS:
        return schedule
    fields = schedule.split()
    # R: croniter's random time, which changes at each reading
    if len(fields) != FIELDS or not schedule.isascii() or re.search(r"\b[rR]\b", schedule):
        raise ValueError(_refused(schedule))
    try:
        times = croniter(schedule, START, max_years_between_matches=1)
    except (CroniterError, ValueError, KeyError, ArithmeticError):
        raise ValueError(_refused(schedule)) from None
    try:
        comes = times.get_next(datetime) <= START + A_YEAR
    except CroniterError:
        comes = False
    if not comes:
        raise ValueError(f"{schedule!r} is not allowed: in most years it would never run")
    return schedule


def _refused(schedule: str) -> str:
    return f"{schedule!r} is not allowed: use null, a cron expression of five fields, or one of {', '.join(PRESETS)}"
