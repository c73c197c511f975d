"""docs/journal.md says what the layout says: each table is compared with its dtype, field by field."""

import re
from pathlib import Path

import numpy as np
import pytest

from fixsim import layout, limits
from fixsim.journal.record import KIND_NAMES

PAGE = Path(__file__).parents[2] / "docs" / "journal.md"


def table(title: str) -> list[list[str]]:
    """Rows of the first table behind the heading `title`, cells without backticks."""
    _, _, rest = PAGE.read_text().partition(f"\n### {title}\n")
    lines = rest[rest.index("|") :].split("\n\n")[0].splitlines()
    return [[cell.strip().strip("`") for cell in line.strip("| ").split(" | ")] for line in lines[2:]]


def fields_of(dtype: np.dtype) -> list[list[str]]:
    """Offset, name and type of each field, as the page writes them."""
    rows = []
    for name in dtype.names or ():
        kind, offset = dtype.fields[name][:2]
        shape = f"[{kind.shape[0]}]" if kind.shape else ""
        rows.append([str(offset), name, kind.base.str.replace("|", "") + shape])
    return rows


@pytest.mark.parametrize("name", ["RECORD", "SEAL", "RESEND"])
def test_the_tables_of_the_page_are_the_layout(name):
    rows = table(name)
    assert [row[:3] for row in rows] == fields_of(getattr(layout, name))
    assert all(row[3] for row in rows)


def test_the_kinds_of_the_page_are_the_layouts():
    rows = table("Kinds")
    assert {row[0]: int(row[1]) for row in rows} == {name: value for value, name in KIND_NAMES.items()}
    said = re.search(r"Kinds ([\d, and]+) change state", PAGE.read_text())
    assert said is not None
    assert {int(number) for number in re.findall(r"\d+", said[1])} == layout.INBOUND


def test_the_sizes_of_the_page_are_the_limits():
    page = PAGE.read_text()
    assert f"{limits.SEGMENT_BYTES:020d}.fixj" in page
    assert f"segments of {limits.SEGMENT_BYTES >> 20} MiB" in page
    assert f"another batch of {limits.BATCH_BYTES >> 20} MiB" in page
    assert f"kept tail of {limits.SEGMENT_TAIL_BYTES >> 20} MiB" in page
    assert f"0x{layout.RECORD_MAGIC:X}" in page
