"""What the demo shows: on a terminal with colours and a moving line, elsewhere plain text."""

import shlex
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager

from rich.console import Console
from rich.text import Text

from keyturn.cli import output
from keyturn_controlplane.progress import Reporter

TABLE_WIDTH = 72
"""On a terminal that is narrower, the tables of the demo are lists."""


class Screen:
    """Tells the story of the demo on stdout, step by step."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._steps = 0
        self.title = "The start"
        self.reporter = Reporter(self._console)

    def step(self, title: str, shows: str) -> None:
        """Begin a step: what it is about, and what it shows, in one line."""
        self._steps += 1
        self.title = f"{self._steps}. {title}"
        self._line()
        self._line(self.title, "bold cyan")
        self._line(shows, "dim")

    def end(self) -> None:
        """Tell that all was shown, and that what follows is the cleaning up."""
        self._line()
        self._line("That was all. Everything is removed now; make demo KEEP=1 keeps it.", "bold")

    def leave(self, texts: Iterable[str]) -> None:
        """Tell how to go on with what keeps running; indented lines are to be copied."""
        self._line()
        for text in texts:
            is_copied = text.startswith(" ")
            self._line(text, "" if is_copied else "bold", is_copied=is_copied)

    def say(self, text: str) -> None:
        self._line(output.visible(text), is_copied=True)

    def well(self, text: str) -> None:
        """Tell what the step has shown."""
        self._line(f"=> {output.visible(text)}", "green")

    def command(self, *words: str) -> None:
        """Show a command that the demo runs, as a person would type it."""
        self._line(f"$ {shlex.join(words)}", "bold", is_copied=True)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show a table; on a narrow terminal, where it would be torn, each row as a list."""
        if not self._console.is_terminal or self._console.width >= TABLE_WIDTH:
            output.write_table(columns, rows)
            return
        for first, *others in rows:
            self.say(str(first))
            for column, cell in zip(columns[1:], others, strict=True):
                self.say(f"  {column}: {output.NOTHING if cell == '' else cell}")

    def waiting(self, text: str) -> AbstractContextManager[Callable[[], None]]:
        """Show what is waited for; what the `with` gives is to be called meanwhile."""
        return self.reporter.step(text)

    def _line(self, text: str = "", style: str = "", *, is_copied: bool = False) -> None:
        # Wrapped on a terminal alone, and not what people copy: there a line stays a line.
        is_wrapped = self._console.is_terminal and not is_copied
        self._console.print(Text(text, style), soft_wrap=not is_wrapped)


def write_failure(title: str, message: str) -> None:
    """Tell on stderr that a step failed, and why, in as many lines as that takes."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(Text("error: ", "bold red") + Text(f'the demo failed at "{title}"'))
    for line in output.visible(message).splitlines():
        console.print(Text(f"  {line}"))
