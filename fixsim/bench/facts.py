"""What a figure is worth nothing without: machine, versions, commit."""

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any, Final

from fixsim import __version__

LIBRARIES: Final = ("numba", "numpy", "llvmlite", "google-crc32c", "asyncpg")


def machine() -> dict[str, Any]:
    """Processor, how many, memory, system, and how busy it was when asked."""
    import psutil  # type: ignore[import-untyped]

    return {
        "processor": _processor(), "processors": os.cpu_count(), "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}", "architecture": platform.machine(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
    }  # fmt: skip


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor()


def versions() -> dict[str, str]:
    """fixsim, and what its kernels are compiled with."""
    found = {"fixsim": __version__}
    for name in LIBRARIES:
        found[name] = importlib.metadata.version(name)
    return found


def commit() -> str | None:
    """The commit of the checkout this package lies in, with a + when it was changed; None for an installed wheel."""
    home = Path(__file__).resolve().parents[2]
    if not (home / ".git").exists():
        return None
    try:
        told = _git(home, "rev-parse", "--short=12", "HEAD")
        return told + ("+" if _git(home, "status", "--porcelain", "--", "fixsim") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(home: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(home), *arguments], capture_output=True, text=True, check=True).stdout.strip()


def facts() -> dict[str, Any]:
    """All of it."""
    return {
        "machine": machine(), "python": platform.python_version(), "versions": versions(), "commit": commit(),
    }  # fmt: skip
