"""The command `keyturn`: all commands together, and how each of them ends."""

import os
import sys
from collections.abc import Sequence

import typer
from typer.main import get_command

from keyturn.cli import changing, consuming, exits, reading, rotating, running
from keyturn.cli.demo.command import demo
from keyturn.domain.errors import KeyturnError
from keyturn.observability import failures
from keyturn.observability.logging import configure

app = typer.Typer(
    name="keyturn",
    help="Keep, version and project the secrets of a Kubernetes cluster.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
key = typer.Typer(help="Handle the default key.")

app.command("list")(reading.list_)
app.command()(reading.describe)
app.command()(reading.history)
app.command()(reading.get)
app.command(context_settings=changing.EXTRA_ARGUMENTS)(changing.put)
app.command()(consuming.consumers)
app.command()(rotating.rotate)
app.command()(rotating.rotations)
app.command()(changing.rollback)
app.command()(changing.restore)
app.command()(changing.purge)
key.command("export")(changing.export_key)
app.add_typer(key, name="key")
app.command()(running.run)
app.command()(demo)
app.command()(reading.version)


def main() -> None:
    """Run the command that was typed, and end with its exit code."""
    configure("warning", as_text=True)
    failures.install(_report_unexpected)
    sys.exit(invoke(sys.argv[1:]))


def invoke(arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; every foreseen error is one line on stderr."""
    command = get_command(app)
    try:
        code = command.main(
            args=arguments or ["--help"], prog_name="keyturn", standalone_mode=False
        )
        sys.stdout.flush()
    except KeyturnError as error:
        return exits.report(error)
    except typer.Abort:
        return exits.INTERRUPTED
    except typer.TyperException as error:
        return _report_usage(error)
    except OSError as error:
        return _report_unwritten(error)
    return code if isinstance(code, int) else 0


def _report_unwritten(error: OSError) -> int:
    if not isinstance(error, BrokenPipeError):
        exits.print_error(f"cannot write the output: {error.strerror or 'it is closed'}")
    # What is left in the buffer goes nowhere: Python would try it again at the end, and complain.
    # A broken pipe is no error: whoever read it has enough, such as head.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return exits.UNEXPECTED


def _report_usage(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "keyturn"
    exits.print_error(f"{error.format_message().rstrip('.')}; see {command} --help")
    return error.exit_code


def _report_unexpected(error: BaseException) -> None:
    exits.print_error(f"unexpected {failures.describe(error)}; please report this line")
