"""The one decorator of the room, and where compiled kernels are kept.

numba keys its cache by the file of a kernel and does not see that a callee or a constant in another file has changed,
so the cache folder itself is keyed by a digest of every source a kernel can reach, and of the libraries. A cache that
cannot be written is tolerated: compilation is then paid at every start.
"""

import ast
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba import types

F = TypeVar("F", bound=Callable[..., Any])

PACKAGE = Path(__file__).resolve().parent.parent


def meaning(source: str) -> str:
    """A source as the compiler sees it: without comments, docstrings and layout."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            del node.body[0]
    return ast.dump(tree)


def kernel_digest() -> str:
    """Digest of all sources that kernels are compiled from, and of the libraries that compile them."""
    # numba looks for a cached kernel by the place of its source: another checkout has a folder of its own
    digest = hashlib.sha256(str(PACKAGE).encode())
    for source in sorted((PACKAGE / "engine").glob("*.py")):
        digest.update(source.read_bytes())
    for source in (PACKAGE / "layout.py", PACKAGE / "limits.py"):
        digest.update(meaning(source.read_text()).encode())
    digest.update(f"{numba.__version__} {np.__version__} {sys.version}".encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels of exactly these sources lie: in the user's cache folder, or where FIXSIM_KERNEL_CACHE says."""
    chosen = os.environ.get("FIXSIM_KERNEL_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fixsim"
    return base / f"kernels-{kernel_digest()}"


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


CACHE_FOLDER = cache_folder()
CACHED = _writable(CACHE_FOLDER)
if CACHED:
    numba.config.CACHE_DIR = str(CACHE_FOLDER)  # type: ignore[attr-defined]

#: Are kernels compiled? With NUMBA_DISABLE_JIT they run as plain Python.
IS_COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined]


def _compiled(function: F, **options: Any) -> F:
    """`function` as kernels are compiled: no bounds checks, no exceptions, no reference counts, cached on disk where possible.

    Kernels make no arrays, so counting references to those they are given (a dozen for each call) would be for nothing. And
    numba would compile a function once for each constant it is called with: the report alone six times in one kernel, six
    times the code for the processor's cache to hold. A constant is a number like others here; where it is worth knowing
    LLVM knows it, because the callee is written into its caller.
    """
    dispatcher = numba.njit(function, cache=CACHED, error_model="numpy", _nrt=False, **options)
    if IS_COMPILED:
        template_of = dispatcher.get_call_template
        dispatcher.get_call_template = lambda arguments, named: template_of(
            tuple(map(types.unliteral, arguments)), {name: types.unliteral(kind) for name, kind in named.items()}
        )
    return cast(F, dispatcher)


def kernel(function: F) -> F:
    """Compile `function` on first call."""
    return _compiled(function)


def part(function: F) -> F:
    """As `kernel`, for one with a single caller: it is written into that before anything is compiled.

    LLVM goes once more over everything a kernel calls, however deep; a chain of five kernels costs five times what the lowest
    costs, and half a minute of a cold start.
    """
    return _compiled(function, inline="always")


def loop(function: F) -> F:
    """As `kernel`, for one that waits and calls the operating system: other threads run meanwhile."""
    return _compiled(function, nogil=True)


def leaf(function: F) -> F:
    """As `kernel`, and always part of its caller: a call that passes all tables costs more than what a leaf does."""
    return _compiled(function, forceinline=True)
