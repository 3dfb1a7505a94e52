"""Measure the operator on a real control plane: made and synced, latency, writes, restart.

Run it by `make bench`, or `make bench ARGS="500 2000"` for other numbers of ManagedSecrets, or
`make bench ARGS="rotations 1000"` for rotations that are due at the same minute, or
`make bench ARGS="drift 300"` for Secrets that are changed and deleted by hand.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from bench.measuring import OperatorUnderTest, Sample, Writes, percentile
from bench.rotation import due
from bench.workload import Workload
from keyturn_controlplane.binaries import find_or_build
from keyturn_controlplane.cluster import ControlPlane

ROOT = Path(__file__).parents[1]
DEFAULT_SIZES = (500, 2000, 5000)
RATE, RATE_SECONDS = 10, 30
BARE = 1000


@contextmanager
def _control_plane() -> Iterator[ControlPlane]:
    with ControlPlane(find_or_build(), crds=[ROOT / "crds"]) as control_plane:
        control_plane.kubectl("create", "namespace", "keyturn-system")
        control_plane.kubectl("apply", "--server-side", "-f", str(ROOT / "rbac"))
        control_plane.kubectl("create", "namespace", "bench")
        yield control_plane


async def _burst(control_plane: ControlPlane, size: int, folder: Path) -> dict[str, Any]:
    """Create `size` ManagedSecrets at once, then restart the operator with all of them."""
    with OperatorUnderTest(control_plane, folder) as operator:
        idle_rss = operator.rss_mb()
        async with Workload(control_plane, "bench") as workload:
            before, cpu = Writes.of(control_plane), operator.cpu_seconds()
            samples, elapsed = await workload.create(size)
            await workload.all_have(size, version=1)
            writes = (Writes.of(control_plane) - before).per(size)
            used = (operator.cpu_seconds() - cpu) / size * 1000
        row = {
            "n": size,
            "synced_per_s": round(size / elapsed, 1),
            **_latencies(samples),
            "cpu_ms_per_object": round(used, 2),
            "writes_per_object": writes,
            "rss_mb": round(operator.rss_mb(), 1),
            "rss_kb_per_object": round((operator.rss_mb() - idle_rss) * 1024 / size, 1),
        }
        operator.stop()
        before = Writes.of(control_plane)
        operator.start()
        row["restart_s"] = round(operator.seconds_until_idle(), 2)
        row["restart_writes"] = (Writes.of(control_plane) - before).total
    return row


async def _bare(control_plane: ControlPlane) -> dict[str, Any]:
    """Measure the machine: the same writes without an operator."""
    before = time.process_time()
    async with Workload(control_plane, "bench") as workload:
        elapsed = await workload.bare(BARE)
    used = (time.process_time() - before) / BARE * 1000
    return {
        "bare": True,
        "n": BARE,
        "written_per_s": round(BARE / elapsed, 1),
        "cpu_ms_per_object": round(used, 2),
    }


async def _steady(control_plane: ControlPlane, folder: Path) -> dict[str, Any]:
    """Create ManagedSecrets at a fixed rate."""
    with OperatorUnderTest(control_plane, folder):
        async with Workload(control_plane, "bench") as workload:
            samples = await workload.create_at(RATE, RATE * RATE_SECONDS)
    return {"rate_per_s": RATE, "n": len(samples), **_latencies(samples)}


async def _drift(control_plane: ControlPlane, count: int, folder: Path) -> dict[str, Any]:
    """Change, then delete, Secrets by hand at a fixed rate, until each is right again."""
    with OperatorUnderTest(control_plane, folder):
        async with Workload(control_plane, "bench") as workload:
            await workload.create(count)
            await workload.all_have(count, version=1)
            edited = await workload.put_right_at(RATE)
            deleted = await workload.put_right_at(RATE, delete=True)
    return {
        "drifted": count,
        "rate_per_s": RATE,
        "edited": _latencies(edited),
        "deleted": _latencies(deleted),
    }


def _latencies(samples: Sequence[Sample]) -> dict[str, float]:
    latencies = [sample.seconds * 1000 for sample in samples]
    return {
        "p50_ms": round(percentile(latencies, 50), 1),
        "p99_ms": round(percentile(latencies, 99), 1),
    }


def main(arguments: Sequence[str]) -> None:
    """Print one JSON line for each run; each begins with a control plane of its own."""
    folder = Path(tempfile.mkdtemp(prefix="keyturn-bench-"))
    try:
        if arguments[:1] == ["rotations"]:
            with _control_plane() as control_plane:
                row = uvloop.run(due(control_plane, int(arguments[1]), folder / "due"))
                sys.stdout.write(json.dumps(row) + "\n")
            return
        if arguments[:1] == ["drift"]:
            with _control_plane() as control_plane:
                row = uvloop.run(_drift(control_plane, int(arguments[1]), folder / "drift"))
                sys.stdout.write(json.dumps(row) + "\n")
            return
        sizes = [int(argument) for argument in arguments] or list(DEFAULT_SIZES)
        with _control_plane() as control_plane:
            bare = uvloop.run(_bare(control_plane))
            sys.stdout.write(json.dumps(bare) + "\n")
        with _control_plane() as control_plane:
            steady = uvloop.run(_steady(control_plane, folder / "steady"))
            sys.stdout.write(json.dumps(steady) + "\n")
        for size in sizes:
            with _control_plane() as control_plane:
                row = uvloop.run(_burst(control_plane, size, folder / str(size)))
                sys.stdout.write(json.dumps(row) + "\n")
                sys.stdout.flush()
    except subprocess.CalledProcessError as error:
        sys.exit(f"a command failed: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


main(sys.argv[1:])
