"""What can go wrong in the demo; the message says what was expected and what was seen."""


class DemoError(Exception):
    """The demo cannot go on."""


class StepFailedError(DemoError):
    """A step did not show what it should."""

    def __init__(self, expected: str, saw: str) -> None:
        super().__init__(f"expected: {expected}\nsaw: {saw}")


class CommandFailedError(DemoError):
    """A command that the demo runs ended with an error."""

    def __init__(self, command: str, said: str) -> None:
        self.said = said.strip() or "no message"
        super().__init__(f"expected: {command} succeeds\nsaw: {self.said}")
