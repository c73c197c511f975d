"""The views people ask must be the ones fixsim made: a view that was changed shows what nobody shipped.

PostgreSQL keeps a view as a tree and writes it out in its own words, so ours are made once more, as temporary views in a
transaction that is rolled back, and both are compared in those words.
"""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

import asyncpg

from fixsim.audit.findings import ALTERED, DATABASE, MISSING, Finding
from fixsim.audit.migrations import versions
from fixsim.audit.tables import DOCUMENTED

_VIEW: Final = re.compile(r"CREATE (?:OR REPLACE )?VIEW public\.(\w+) AS\s(.*)", re.DOTALL)
_TEMPORARY: Final = "fixsim_verified"


def definitions() -> Iterator[tuple[str, str]]:
    """Name and query of every documented view, as the newest migration has it."""
    found: dict[str, str] = {}
    for module in sorted(iter_modules(versions.__path__), key=lambda module: module.name):
        written = getattr(import_module(f"{versions.__name__}.{module.name}"), "VIEWS", "")
        for statement in written.split(";"):
            view = _VIEW.search(statement)
            if view:
                found[view[1]] = view[2]
    return ((name, found[name]) for name in DOCUMENTED)


async def check_views(connection: asyncpg.Connection, tell: Callable[[Finding], None]) -> bool:
    """`tell` is called for each view that is not the one fixsim made. False where this login may not find out."""
    for name, query in definitions():
        there = await _written(connection, f"public.{name}")
        if there is None:
            tell(Finding(MISSING, DATABASE, 0, f"the view {name}"))
            continue
        transaction = connection.transaction()
        await transaction.start()
        try:
            await connection.execute(f"CREATE TEMPORARY VIEW {_TEMPORARY} AS {query}")
            ours = await _written(connection, f"pg_temp.{_TEMPORARY}")
        except (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError):
            return False
        finally:
            await transaction.rollback()
        if there != ours:
            tell(Finding(ALTERED, DATABASE, 0, f"the view {name}", "it does not show what was shipped: fixsim made another"))
    return True


async def _written(connection: asyncpg.Connection, name: str) -> str | None:
    """A view in PostgreSQL's words; None when there is no such view."""
    found: str | None = await connection.fetchval(
        "SELECT pg_get_viewdef(oid) FROM pg_class WHERE oid = to_regclass($1) AND relkind = 'v'", name
    )
    return found
