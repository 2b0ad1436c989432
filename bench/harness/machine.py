"""What the run ran on, for the result file."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def describe() -> dict[str, object]:
    """Kernel, processors, memory (KiB) and the load average when called."""
    model = next((line.split(":", 1)[1].strip()
                  for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), "unknown")
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {"kernel": platform.release(), "processor": model, "cores": os.cpu_count(),
            "memory_kib": int(memory), "load_average": [round(x, 2) for x in os.getloadavg()]}
