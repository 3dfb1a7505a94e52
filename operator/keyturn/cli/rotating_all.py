"""`keyturn rotate --all`: a campaign, its progress, and what is told at its end."""

import secrets
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from keyturn.api import routes, schemas
from keyturn.api.routes import Asked
from keyturn.cli import account, campaign, client, exits, following, output
from keyturn.cli.campaign import Result, Standing
from keyturn.domain.errors import ConflictError, NotFoundError, RaceError
from keyturn.domain.label_selector import parse_selector
from keyturn.domain.secret import SecretName
from keyturn.settings import Settings

Json = dict[str, Any]

CONFLICT_SECONDS = 30.0
"""How long a rotation that somebody else began is waited for, before this one is begun."""

FAILED_COLUMNS = ("NAMESPACE", "NAME", "CODE", "WHY NOT")


@dataclass(frozen=True, slots=True)
class Plan:
    """What was typed: `namespace` None means all of them, `name` may be empty."""

    namespace: str | None
    selector: str
    at_once: int
    name: str
    dry_run: bool
    force: bool

    def command(self, name: str) -> str:
        """Write the command that takes the campaign up again."""
        where = ["-A"] if self.namespace is None else ["-n", self.namespace]
        which = ["-l", self.selector] if self.selector else []
        many = ["--max-concurrent", str(self.at_once), "--campaign", name]
        forced = ["--force"] if self.force else []
        return shlex.join(["keyturn", "rotate", "--all", *where, *which, *many, *forced])


def rotate_all(plan: Plan) -> None:
    """Rotate what is selected; ends with `exits.NOT_ROTATED` when something was not."""
    settings, selector = Settings.load(), parse_selector(plan.selector)
    asked = Asked(namespace=plan.namespace)
    document = client.ask_running(settings, routes.ROTATED, asked)
    names, unread = campaign.chosen(document, selector), campaign.unread(document)
    if not names and not unread:
        raise NotFoundError("no secret that is rotated is selected; look with keyturn list -A")
    name = plan.name or _new_name()
    standings = [(each, Standing.WAITS) for each in names]
    if plan.name:
        # Only then something can be done already.
        standings = [(each, _standing(settings, each, name)) for each in names]
    if plan.dry_run:
        _write_plan(standings, unread)
        return
    exits.print_note(f"this is the campaign {name}; ^C leaves it, and it can be taken up again")
    try:
        results = _run(settings, campaign.in_order(standings), name, plan)
    except KeyboardInterrupt:
        exits.print_note(
            f"what has begun goes on by itself; to take the rest up: {plan.command(name)}"
        )
        raise typer.Exit(exits.INTERRUPTED) from None
    _write_end([*results, *unread], plan.command(name))


def _standing(settings: Settings, name: SecretName, token: str) -> Standing:
    journal = following.patiently(lambda: following.journal(settings, name))
    return campaign.standing_of(journal, token)


def _run(settings: Settings, names: Sequence[SecretName], token: str, plan: Plan) -> list[Result]:
    def rotate(name: SecretName) -> Result:
        rotation = _begun(settings, name, token, force=plan.force)
        ended = following.follow(
            lambda: following.journal(settings, name), rotation, lambda _: None
        )
        return campaign.result_of(name, ended)

    with _telling(len(names)) as tell:
        return campaign.run(names, rotate, tell, at_once=plan.at_once)


def _begun(settings: Settings, name: SecretName, token: str, *, force: bool) -> Json:
    """Begin the rotation of a secret, or find the one that the token began before.

    Raises:
        ConflictError: another rotation of it is under way, and does not end.
        KeyturnError: it cannot begin.
    """
    by = account.by("keyturn rotate --all")
    body = schemas.encode(schemas.rotate_request(by, token, force=force))
    until = time.monotonic() + CONFLICT_SECONDS
    while True:
        try:
            found = following.patiently(
                lambda: client.ask_running(settings, routes.ROTATE, Asked(name, body=body))
            )
        except ConflictError as error:
            # One that is deleted, or whose target is another's, will not do so in a while either.
            passes = type(error) is ConflictError or isinstance(error, RaceError)
            if not passes or time.monotonic() >= until or _is_failing(settings, name):
                raise
            time.sleep(following.LAST_PAUSE)
            continue
        rotation = following.with_token(found, token)
        if rotation is not None:
            return rotation
        raise ConflictError(f"the rotation of {name} is not in its journal any more")


def _is_failing(settings: Settings, name: SecretName) -> bool:
    """Tell whether the rotation that is under way waits for its next try."""
    items = following.patiently(lambda: following.journal(settings, name))["items"]
    return bool(items and items[0]["outcome"] is None and items[0]["failures"])


@contextmanager
def _telling(total: int) -> Iterator[Callable[[Result], None]]:
    """Show a bar on a terminal, and a line for each secret elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _write_at_once
        return
    failed = 0
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        task = progress.add_task("rotated", total=total)

        def tell(result: Result) -> None:
            nonlocal failed
            failed += result.version is None
            told = f"ended, {failed} of them not rotated" if failed else "rotated"
            progress.update(task, advance=1, description=told)

        yield tell


def _write_at_once(result: Result) -> None:
    output.write_line(_line(result))
    sys.stdout.flush()


def _line(result: Result) -> str:
    if result.version is not None:
        return f"{result.name}: version {result.version} is Current"
    return f"{result.name}: not rotated: {result.why}"


def _write_end(results: Sequence[Result], command: str) -> None:
    failed = [result for result in results if result.version is None]
    output.write_line(f"secrets rotated: {len(results) - len(failed)} of {len(results)}")
    if not failed:
        return
    rows = sorted((r.name.namespace, r.name.name, r.code, r.why) for r in failed)
    output.write_table(FAILED_COLUMNS, rows)
    exits.print_note(
        f"when the causes are mended, this waits for them and begins the rest: {command}"
    )
    raise typer.Exit(exits.NOT_ROTATED)


def _write_plan(standings: Sequence[tuple[SecretName, Standing]], unread: Sequence[Result]) -> None:
    rows = [(name.namespace, name.name, standing.value) for name, standing in standings]
    rows += [(r.name.namespace, r.name.name, f"cannot be read: {r.why}") for r in unread]
    output.write_table(["NAMESPACE", "NAME", "ROTATION"], rows)


def _new_name() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
