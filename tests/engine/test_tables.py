"""Where a table lies: a row that needs two cache lines gets two, and a word may be read at the end of the last one."""

from typing import Any

import numpy as np
import pytest

from fixsim.engine.machine import SLACK_BYTES, TABLES, new_table
from fixsim.engine.words import CACHE_LINE_BYTES


@pytest.mark.parametrize("dtype", [pytest.param(dtype, id=name) for name, dtype in TABLES.items()])
def test_a_table_begins_with_a_cache_line_and_has_slack_behind_it(dtype: np.dtype[Any]) -> None:
    table = new_table(dtype, 7)
    first, owner = table.ctypes.data, table
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    assert (len(table), table.dtype) == (7, dtype)
    assert not np.any(table.view(np.uint8))
    assert first % CACHE_LINE_BYTES == 0
    assert first + table.nbytes + SLACK_BYTES <= owner.ctypes.data + owner.nbytes
