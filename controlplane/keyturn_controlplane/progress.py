"""How a long step is shown to whoever waits for it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

PLAIN_SECONDS = 30.0
"""How often a step says that it still runs where nothing can be redrawn, such as in a CI log."""


class Reporter:
    """Tells about steps: on a terminal a line that moves, elsewhere plain lines."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, text: str) -> Iterator[Callable[[], None]]:
        """Show that a step runs, and how long it took; what it yields is to be called meanwhile."""
        start = time.monotonic()
        if self._console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
            with Progress(*columns, console=self._console, transient=True) as progress:
                progress.add_task(text, total=None)
                yield lambda: None
        else:
            self.say(f"{text} ...")
            yield self._plain_ticker(text, start)
        self.say(f"{text}: {_elapsed(start)}")

    def _plain_ticker(self, text: str, start: float) -> Callable[[], None]:
        last = start

        def tick() -> None:
            nonlocal last
            if time.monotonic() - last >= PLAIN_SECONDS:
                last = time.monotonic()
                self.say(f"{text} ... {_elapsed(start)} so far")

        return tick


def _elapsed(start: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
