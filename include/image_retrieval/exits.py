"""Exit statuses of image-retrieval, beside 0 (done) and 1 (a run that failed)."""

MISTAKE = 2  # something that its user can mend: the same command would fail the same way
OUTAGE = 75  # `embed` only: the store does not answer, another try may succeed (EX_TEMPFAIL of sysexits.h)
