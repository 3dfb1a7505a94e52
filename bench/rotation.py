"""So many secrets that are due at the same minute: how long, how many at once, how many writes."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.measuring import OperatorUnderTest, Writes
from bench.workload import Workload
from keyturn_controlplane.cluster import ControlPlane

SECONDS_PER_OBJECT = 0.15
"""What making one takes at most, to choose a minute at which all are there."""

LEAST = timedelta(minutes=1)
PAUSE = 0.5


async def due(control_plane: ControlPlane, count: int, folder: Path) -> dict[str, Any]:
    """Rotate `count` secrets of the strategy Regenerate whose schedule names one minute."""
    with OperatorUnderTest(control_plane, folder) as operator:
        async with Workload(control_plane, "bench") as workload:
            lead = LEAST + timedelta(seconds=count * SECONDS_PER_OBJECT)
            at = (datetime.now(UTC) + lead).replace(second=0, microsecond=0)
            at += timedelta(minutes=1)
            await workload.create(count, rotation={"schedule": f"{at.minute} {at.hour} * * *"})
            await workload.all_have(count, version=1)
            await asyncio.sleep((at - datetime.now(UTC)).total_seconds())
            before, cpu, began = Writes.of(control_plane), operator.cpu_seconds(), time.monotonic()
            await workload.all_have(count, version=2, pause=PAUSE)
            elapsed = time.monotonic() - began
            writes = (Writes.of(control_plane) - before).per(count)
            used = (operator.cpu_seconds() - cpu) / count * 1000
        return {
            "due_at_once": count,
            "seconds_until_all_rotated": round(elapsed, 1),
            "rotated_per_s": round(count / elapsed, 1),
            "most_at_once": _most_at_once(operator.log),
            "cpu_ms_per_rotation": round(used, 2),
            "writes_per_rotation": writes,
            "rss_mb": round(operator.rss_mb(), 1),
        }


def _most_at_once(log: str) -> int:
    """Read out of the operator's log how many rotations were at work at once."""
    told = re.findall(r"(\d+) rotations at work at once", log)
    return max((int(number) for number in told), default=0)
