"""`keyturn run`: the operator itself, until it is told to stop."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop

from keyturn.cli import exits
from keyturn.domain.errors import KeyturnError
from keyturn.observability import failures
from keyturn.observability.logging import configure
from keyturn.settings import Settings

logger = logging.getLogger(__name__)


def run(
    *,
    data_dir: Annotated[Path | None, typer.Option(help="Where the store lies.")] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="The cluster; none: the one that this pod runs in.")
    ] = None,
    key_file: Annotated[
        Path | None,
        typer.Option(help="The file of the default key; none: it is a Secret in the cluster."),
    ] = None,
    watch_namespace: Annotated[
        list[str] | None, typer.Option(help="Watch this namespace alone; may be repeated.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.")] = None,
) -> None:
    """Run the operator until SIGTERM or ^C; a second signal ends it at once.

    Each option stands for the variable KEYTURN_ and its name, and goes before it.
    """
    given = {
        "DATA_DIR": data_dir,
        "KUBECONFIG": kubeconfig,
        "KEY_FILE": key_file,
        "WATCH_NAMESPACES": ",".join(watch_namespace or []),
        "LOG_LEVEL": log_level,
    }
    settings = Settings.load(
        overrides={f"KEYTURN_{name}": str(value) for name, value in given.items() if value}
    )
    configure(settings.log_level)
    failures.install()
    # Only here: no other command needs the operator, and loading it takes most of a second.
    from keyturn import bootstrap  # noqa: PLC0415

    try:
        uvloop.run(until_signalled(bootstrap.run(settings)))
    except KeyturnError as error:
        logger.critical("the operator stops: %s", error.message)
        raise typer.Exit(exits.exit_code(error)) from None


async def until_signalled(work: Coroutine[Any, Any, None]) -> None:
    """Run until done or told to stop; stopping cancels the work and waits for its clean end."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(failures.handle_in_loop)
    task = asyncio.create_task(work)
    stopping = False

    def stop(number: signal.Signals) -> None:
        nonlocal stopping
        if stopping:
            os._exit(exits.SIGNALLED + number)
        stopping = True
        logger.info("stopping on %s", number.name)
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    try:
        await task
    except asyncio.CancelledError:
        if not stopping:
            raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
