"""Progress bars on standard error; none if that is not a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class StageProgress:
    """Progress of each stage; call it with a stage and the number of further images that are done."""

    def __init__(self, progress: Progress, stages: tuple[str, ...]) -> None:
        self._progress = progress
        self._bars = {stage: progress.add_task(stage, total=None) for stage in stages}

    def expect(self, images: int) -> None:
        """Set the number of images that each stage will process."""
        for bar in self._bars.values():
            self._progress.update(bar, total=images)

    def __call__(self, stage: str, done: int) -> None:
        self._progress.advance(self._bars[stage], done)


@contextmanager
def stage_progress(stages: tuple[str, ...]) -> Iterator[StageProgress]:
    """One bar per stage while the block runs."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield StageProgress(progress, stages)
