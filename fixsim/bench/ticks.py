"""The processor's own clock, from compiled code: a few ns a look, where a system call's way to the time is twenty and more."""

import platform
import time

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable

#: Processors whose counter runs evenly and may be read by everybody.
AVAILABLE = platform.machine() in ("x86_64", "AMD64")


def ticks() -> int:
    """Ticks of a clock that runs evenly; how long one is has to be found out."""
    return time.perf_counter_ns()


@type_callable(ticks)
def _type_ticks(context):
    return lambda: types.int64


@lower_builtin(ticks)
def _lower_ticks(context, builder, sig, args):
    word = ir.IntType(64)
    counter = cgutils.get_or_insert_function(builder.module, ir.FunctionType(word, []), "llvm.readcyclecounter")
    return builder.call(counter, [])
