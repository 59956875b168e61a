"""Schedules: presets and cron expressions, as far as Airflow and people read them alike."""

import re
from datetime import datetime, timedelta

from croniter import CroniterError, croniter

PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@yearly")
FIELDS = 5  # Airflow would take a sixth, of seconds, and others read it in another place
A_YEAR = timedelta(days=365)
START = datetime(2024, 12, 31, 23, 59)  # before a year without a leap day: whether a schedule is good never changes


def check_schedule(schedule: str) -> str:
    """The schedule, if it comes at least once in any year. Raises ValueError, which says what is wrong."""
    if schedule in PRESETS:
        return schedule
    fields = schedule.split()
    # R: croniter's word for a time by chance, another one each time it is read
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
        raise ValueError(f"{schedule!r} is not allowed: no time fits it in most years, so it would hardly ever run")
    return schedule


def _refused(schedule: str) -> str:
    return f"{schedule!r} is not allowed: null, a cron expression of five fields, or one of {', '.join(PRESETS)}"
