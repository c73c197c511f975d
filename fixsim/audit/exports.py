"""Rows of an answer for other programs: CSV, and Parquet where the extra is installed."""

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TextIO

from fixsim.errors import UsageError

#: What is said where Parquet is asked for and cannot be written.
NO_PARQUET: Final = "Parquet needs two more packages: install fixsim with its extra, `fixsim[parquet]`; --csv needs nothing"

Rows = Sequence[Mapping[str, Any]]


def write_csv(columns: Sequence[str], rows: Rows, file: TextIO) -> None:
    """RFC 4180 with a line of names first; decimals are exact, nothing is an empty cell, booleans are true and false."""
    writer = csv.writer(file)
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else _text(value)


def _text(value: Any) -> str:
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def write_parquet(columns: Sequence[str], rows: Rows, path: Path) -> None:
    """One Parquet file: integers as int64, truth as boolean, everything else, exact decimals included, as text.

    UsageError where the extra is not installed.
    """
    try:
        from arro3.core import Array, DataType, Table
        from arro3.io import write_parquet as write
    except ImportError as error:
        raise UsageError(NO_PARQUET) from error
    kinds = {bool: DataType.bool(), int: DataType.int64()}
    table: dict[str, Any] = {}
    for column in columns:
        values = [row[column] for row in rows]
        types = {type(value) for value in values if value is not None}
        kind = types.pop() if len(types) == 1 else str
        if kind in kinds:
            table[column] = Array(values, type=kinds[kind])
        else:
            table[column] = Array([None if value is None else _text(value) for value in values], type=DataType.utf8())
    write(Table.from_pydict(table), str(path))
