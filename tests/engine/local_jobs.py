"""Runs the Jobs of a rotation as processes of this machine, which go on when the operator dies."""

import asyncio
import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyturn.domain.errors import TargetLockedError
from keyturn.domain.rotation_job import (
    FILES,
    REFUSED_EXIT_CODE,
    REQUEST_FILE,
    SCRIPT,
    JobResult,
    RotationJob,
)

EXAMPLES = Path(__file__).parents[2] / "examples"
"""Where the scripts are, each in a folder that has the name of its ConfigMap."""

# $0 is the folder; what ends is told in one step.
WRAPPER = '"$@"; echo $? > "$0/code.new"; mv "$0/code.new" "$0/code"'


class LocalJobs:
    """A `JobRunner` whose Jobs are in folders; a lock that the process holds says that it runs."""

    namespace = "keyturn-jobs"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def run(self, job: RotationJob) -> JobResult:
        place = self._folder / str(job.secret_id)
        with _lock(place) as free:
            if free is not None:
                # It ended, was never started, or there is none: the step is done anew.
                self._start(place, job, free)
            elif (place / "act").read_text() != job.act:
                raise TargetLockedError("a Job of the same secret runs for another act")
        await asyncio.to_thread(_wait, place)
        code = (place / "code").read_text().strip()
        shutil.rmtree(place / "files")
        ends = {"0": JobResult.DONE, str(REFUSED_EXIT_CODE): JobResult.REFUSED}
        return ends.get(code, JobResult.FAILED)

    def _start(self, place: Path, job: RotationJob, lock: int) -> None:
        (place / "code").unlink(missing_ok=True)
        shutil.rmtree(place / "files", ignore_errors=True)
        for name, value in {**job.files, REQUEST_FILE: None}.items():
            file = place / "files" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(job.request if value is None else value.reveal())
        (place / "act").write_text(job.act)
        mounts = {FILES: place / "files", SCRIPT: EXAMPLES / job.pod.script_config_map}

        def here(word: str) -> str:
            for path, folder in mounts.items():
                if word == path or word.startswith(f"{path}/"):
                    return str(folder) + word.removeprefix(path)
            return word

        words = [here(word) for word in (*job.pod.command, *job.pod.args)]
        subprocess.Popen(
            ["sh", "-c", WRAPPER, place, *words],
            env={"PATH": os.defpath},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[lock],
            start_new_session=True,
        )


@contextmanager
def _lock(place: Path) -> Iterator[int | None]:
    """Take the lock of a Job, which a process that inherits it keeps; None where it is taken."""
    place.mkdir(parents=True, exist_ok=True)
    lock = os.open(place / "lock", os.O_CREAT | os.O_RDWR)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        os.close(lock)


def _wait(place: Path) -> None:
    """Wait until no process holds the lock of a Job."""
    with (place / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
