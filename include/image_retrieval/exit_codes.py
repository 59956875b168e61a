"""Exit statuses of image-retrieval, beside 0 (done) and 1 (a run, or something unforeseen, that failed)."""

MISTAKE = 2  # something that its user can mend: the same command would fail the same way
OUT_OF_MEMORY = 71  # `embed` only: the device or the machine; a smaller batch may succeed (EX_OSERR of sysexits.h)
OUTAGE = 75  # `embed`, `healthcheck`: the store does not answer, another try may succeed (EX_TEMPFAIL)
TERMINATED = 143  # `embed`, `run`: asked to end (SIGTERM); what was done is saved, the same command goes on from there
