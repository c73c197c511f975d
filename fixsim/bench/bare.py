"""The book's own kernels with some of their callees replaced by nothing: what matching costs without ids, and without reports.

`silenced` loads a module a second time, so that the verbs which are measured are those of the exchange, line by line; only
what they call is another. Two books are made of it: one that says nothing, and one that does not know ids either, whose
rows are given back as soon as an order is closed.
"""

import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import numba
import numpy as np

from fixsim.engine.jit import CACHE_FOLDER, CACHED, kernel
from fixsim.layout import NIL

Drive = Callable[..., Any]


@kernel
def unsaid(m, slot, exec_type, name, orig, route, lots, price, liquidity):
    """A report that is not written; its ExecID is used up."""
    m.core[0]["exec_id"] += 1


@kernel
def unnamed(m, session, order, text, begin, length, request):
    """An id that is not kept."""
    return np.int64(NIL)


@kernel
def unkept(m, session, name):
    """An id that need not be remembered."""


@kernel
def unlimited(m, slot):
    """An order without ids has never too many."""


@kernel
def closed(m, slot):
    """An order is done, and as it has no id its row may be used again."""
    core, order = m.core[0], m.orders[slot]
    m.sessions[np.int64(order["session"])]["open_orders"] -= 1
    core["open_orders"] -= 1
    order["next"] = core["orders_free"]
    core["orders_free"] = slot
    core["orders_used"] -= 1


def silenced(name: str, label: str, **replaced: Any) -> ModuleType:
    """The module `name` once more, with other callees; its kernels are compiled again, and cached under `label`."""
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None
    spec = importlib.util.spec_from_file_location(f"{name}_{label}", found.origin)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    # numba's cache knows a kernel by file and line, which are the same in both
    config: Any = numba.config
    kept = config.CACHE_DIR
    if CACHED:
        config.CACHE_DIR = str(CACHE_FOLDER / label)
    try:
        spec.loader.exec_module(module)
    finally:
        config.CACHE_DIR = kept
    for attribute, value in replaced.items():
        assert hasattr(module, attribute)
        setattr(module, attribute, value)
    return module


@cache
def silent_book() -> ModuleType:
    """The book without its reports."""
    return silenced("fixsim.engine.book", "silent", report=unsaid)


@cache
def bare_book() -> ModuleType:
    """The book without reports and ids: queues and prices."""
    nothing = {"report": unsaid, "add_name": unnamed, "retire": unkept, "limit_names": unlimited, "close": closed}
    return silenced("fixsim.engine.book", "bare", **nothing)


def _driven(name: str, label: str, book: ModuleType) -> ModuleType:
    """Module `name` with the verbs of `book`."""
    return silenced(name, label, enter=book.enter, cancel=book.cancel, resume=book.resume)


@cache
def silent_drive() -> Drive:
    """Queues, prices and ids as text; no reports."""
    return _driven("fixsim.bench.drive", "silent", silent_book()).drive  # type: ignore[no-any-return]


@cache
def bare_drives() -> tuple[Drive, Drive]:
    """Queues and prices, orders known by their rows; and the same with a look at the clock at each operation."""
    module = _driven("fixsim.bench.rows", "bare", bare_book())
    return module.drive, module.drive_timed
