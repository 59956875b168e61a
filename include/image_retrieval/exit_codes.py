"""Exit statuses of image-retrieval besides 0 (done) and 1 (a failed run, a refused model, or an unexpected error)."""

MISTAKE = 2  # a mistake that the user can correct; the same command would fail again
OUT_OF_MEMORY = 71  # `embed`, `caption-shards`: the device or the machine is short of memory (EX_OSERR of sysexits.h)
OUTAGE = 75  # `embed`, `caption-shards`, …: a store does not answer; another try may succeed (EX_TEMPFAIL)
TERMINATED = 143  # `caption`, `embed`, `run`, `training run`, …: ended by SIGTERM; a new try goes on from there
