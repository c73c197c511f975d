"""Eight bytes at a time: the few operations numba has no word for, as plain Python and as machine code.

A word is eight bytes read as a little-endian signed integer. `load_word` and `store_word` touch eight bytes whatever is wanted
of them: every buffer of the machine has that much slack behind it. Each function is called by its name in both worlds.
"""

import platform

import llvmlite.ir as ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, type_callable
from numba.np.arrayobj import make_array, populate_array

from fixsim.engine.table import TableType, row_bytes

WORD = ir.IntType(64)
BYTE = ir.IntType(8)

ONES = 0x0101010101010101
HIGH_BITS = -0x7F7F7F7F7F7F7F80  # 0x80 in each byte
LOW_BITS = 0x7F7F7F7F7F7F7F7F
#: What a processor fetches from memory at once.
CACHE_LINE_BYTES = 64
#: CRC32C's polynomial, bits reversed.
CRC_POLYNOMIAL = 0x82F63B78
#: Lowest and highest byte a value may have on the fast door: printable, and no blank.
PRINTABLE_MIN, PRINTABLE_MAX = 0x21, 0x7E


def load_word(octets, at):
    """The eight bytes from `at`."""
    return int.from_bytes(bytes(octets[at : at + 8]).ljust(8, b"\0"), "little", signed=True)


def store_word(octets, at, word):
    """Write eight bytes at `at`."""
    for i in range(8):
        octets[at + i] = (int(word) >> (8 * i)) & 255


def copy_bytes(octets, at, text, begin, length):
    """Copy `length` bytes of `text` from `begin` to `at`; the two do not overlap."""
    for i in range(length):
        octets[at + i] = text[begin + i]


def trailing_zeros(word):
    """Zero bits below the lowest that is set, 64 for none."""
    word = int(word) & 0xFFFFFFFFFFFFFFFF
    return 64 if word == 0 else (word & -word).bit_length() - 1


def plain_run(word):
    """How many bytes of a word, from the first, are printable and no blank."""
    for i in range(8):
        byte = (int(word) >> (8 * i)) & 255
        if byte < PRINTABLE_MIN or byte > PRINTABLE_MAX:
            return i
    return 8


def crc_word(crc, word):
    """CRC32C register after eight more bytes (iSCSI's polynomial, RFC 3720 appendix B.4); it begins as and is told inverted."""
    for i in range(8):
        crc = CRC_TABLE[(int(crc) ^ (int(word) >> (8 * i))) & 255] ^ (int(crc) >> 8)
    return crc


def address_of(table, at):
    """Where row `at` of a table lies, for the operating system."""
    return table.ctypes.data + at * table.itemsize


def as_array(table):
    """A table of bytes as the array it is elsewhere."""
    return table


def quotient(value, divisor):
    """`value // divisor`, neither negative."""
    return value // divisor


def send_for(table, row):
    """Have row `row` of a table on its way from memory while something else is done. It need not be there."""


def send_for_byte(table, row, offset):
    """The same for the one cache line that holds byte `offset` of the row."""


def _crc_table():
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (CRC_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()

# ---------------------------------------------------------------- as machine code


def _byte_pointer(context, builder, kind, value, at):
    """Pointer to byte `at` of a table, an array, or a text in a row."""
    if isinstance(kind, TableType):
        data = cgutils.create_struct_proxy(kind)(context, builder, value).data
    else:
        data = make_array(kind)(context, builder, value).data
    return builder.gep(builder.bitcast(data, BYTE.as_pointer()), [at])


def _to_word(context, builder, kind, value):
    return context.cast(builder, value, kind, types.int64)


@type_callable(load_word)
def _type_load_word(context):
    return lambda octets, at: types.int64


@lower_builtin(load_word, types.Any, types.Integer)
def _lower_load_word(context, builder, sig, args):
    at = _to_word(context, builder, sig.args[1], args[1])
    pointer = _byte_pointer(context, builder, sig.args[0], args[0], at)
    return builder.load(builder.bitcast(pointer, WORD.as_pointer()), align=1)


@type_callable(store_word)
def _type_store_word(context):
    return lambda octets, at, word: types.none


@lower_builtin(store_word, types.Any, types.Integer, types.Integer)
def _lower_store_word(context, builder, sig, args):
    at, word = (_to_word(context, builder, kind, value) for kind, value in zip(sig.args[1:], args[1:], strict=True))
    pointer = _byte_pointer(context, builder, sig.args[0], args[0], at)
    builder.store(word, builder.bitcast(pointer, WORD.as_pointer()), align=1)
    return context.get_dummy_value()


@type_callable(copy_bytes)
def _type_copy_bytes(context):
    return lambda octets, at, text, begin, length: types.none


@lower_builtin(copy_bytes, types.Any, types.Integer, types.Any, types.Integer, types.Integer)
def _lower_copy_bytes(context, builder, sig, args):
    at, begin, length = (_to_word(context, builder, sig.args[i], args[i]) for i in (1, 3, 4))
    target = _byte_pointer(context, builder, sig.args[0], args[0], at)
    source = _byte_pointer(context, builder, sig.args[2], args[2], begin)
    cgutils.raw_memcpy(builder, target, source, length, 1)
    return context.get_dummy_value()


@type_callable(trailing_zeros)
def _type_trailing_zeros(context):
    return lambda word: types.int64


@lower_builtin(trailing_zeros, types.Integer)
def _lower_trailing_zeros(context, builder, sig, args):
    word = _to_word(context, builder, sig.args[0], args[0])
    return builder.cttz(word, ir.Constant(ir.IntType(1), 0))


@type_callable(plain_run)
def _type_plain_run(context):
    return lambda word: types.int64


@lower_builtin(plain_run, types.Integer)
def _lower_plain_run(context, builder, sig, args):
    """High bits of the bytes that are too low, too high or above 127; a borrow or a carry spoils only what lies behind."""
    word = _to_word(context, builder, sig.args[0], args[0])

    def constant(value):
        return ir.Constant(WORD, value)

    low = builder.and_(builder.sub(word, constant(ONES * PRINTABLE_MIN)), builder.not_(word))
    high = builder.add(builder.and_(word, constant(LOW_BITS)), constant(ONES * (0x7F - PRINTABLE_MAX)))
    odd = builder.and_(builder.or_(builder.or_(low, high), word), constant(HIGH_BITS))
    return builder.lshr(builder.cttz(odd, ir.Constant(ir.IntType(1), 0)), constant(3))


@type_callable(send_for)
def _type_send_for(context):
    return lambda table, row: types.none


@lower_builtin(send_for, TableType, types.Integer)
def _lower_send_for(context, builder, sig, args):
    """A prefetch for each cache line the row may lie in."""
    size = row_bytes(sig.args[0])
    for at in sorted({*range(0, size, CACHE_LINE_BYTES), size - 1}):
        _prefetch(context, builder, sig.args, args, ir.Constant(WORD, at))
    return context.get_dummy_value()


@type_callable(send_for_byte)
def _type_send_for_byte(context):
    return lambda table, row, offset: types.none


@lower_builtin(send_for_byte, TableType, types.Integer, types.Integer)
def _lower_send_for_byte(context, builder, sig, args):
    _prefetch(context, builder, sig.args, args, _to_word(context, builder, sig.args[2], args[2]))
    return context.get_dummy_value()


def _prefetch(context, builder, kinds, args, offset):
    """Fetch the cache line of byte `offset` of a row, to be kept in all caches."""
    row = builder.mul(_to_word(context, builder, kinds[1], args[1]), ir.Constant(WORD, row_bytes(kinds[0])))
    place = _byte_pointer(context, builder, kinds[0], args[0], builder.add(row, offset))
    flag = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [BYTE.as_pointer(), flag, flag, flag])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(prefetch, [place, ir.Constant(flag, 0), ir.Constant(flag, 3), ir.Constant(flag, 1)])


@type_callable(quotient)
def _type_quotient(context):
    return lambda value, divisor: types.int64


@lower_builtin(quotient, types.Integer, types.Integer)
def _lower_quotient(context, builder, sig, args):
    value, divisor = (_to_word(context, builder, kind, one) for kind, one in zip(sig.args, args, strict=True))
    return builder.udiv(value, divisor)


#: The processor's own step of CRC32C, by architecture: LLVM's name for it, and whether the register is 64 bits wide.
CRC_STEPS = {"x86_64": ("llvm.x86.sse42.crc32.64.64", True), "aarch64": ("llvm.aarch64.crc32cx", False)}
CRC_FEATURES = {"x86_64": "sse4.2", "aarch64": "crc"}


def _crc_step(builder):
    """The processor's instruction as a function, None where there is none."""
    machine = platform.machine()
    if machine not in CRC_STEPS or not get_host_cpu_features().get(CRC_FEATURES[machine]):
        return None, True
    name, wide = CRC_STEPS[machine]
    register = WORD if wide else ir.IntType(32)
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(register, [register, WORD]), name), wide


@type_callable(crc_word)
def _type_crc_word(context):
    return lambda crc, word: types.int64


@lower_builtin(crc_word, types.Integer, types.Integer)
def _lower_crc_word(context, builder, sig, args):
    crc, word = (_to_word(context, builder, kind, one) for kind, one in zip(sig.args, args, strict=True))
    step, wide = _crc_step(builder)
    if step is None:
        return _crc_by_table(builder, crc, word)
    if wide:
        return builder.call(step, [crc, word])
    narrow = builder.call(step, [builder.trunc(crc, ir.IntType(32)), word])
    return builder.zext(narrow, WORD)


def _crc_by_table(builder, crc, word):
    """Eight steps through the table, for processors without the instruction."""
    kind = ir.ArrayType(WORD, 256)
    table = cgutils.add_global_variable(builder.module, kind, ".crc32c")
    table.linkage, table.global_constant = "internal", True
    table.initializer = ir.Constant(kind, CRC_TABLE)
    for i in range(8):
        byte = builder.lshr(word, ir.Constant(WORD, 8 * i))
        place = builder.and_(builder.xor(crc, byte), ir.Constant(WORD, 255))
        entry = builder.load(builder.gep(table, [ir.Constant(WORD, 0), place]))
        crc = builder.xor(entry, builder.lshr(crc, ir.Constant(WORD, 8)))
    return crc


@type_callable(address_of)
def _type_address_of(context):
    return lambda table, at: types.int64


@lower_builtin(address_of, TableType, types.Integer)
def _lower_address_of(context, builder, sig, args):
    at = builder.mul(_to_word(context, builder, sig.args[1], args[1]), ir.Constant(WORD, row_bytes(sig.args[0])))
    return builder.ptrtoint(_byte_pointer(context, builder, sig.args[0], args[0], at), WORD)


OCTETS = types.Array(types.uint8, 1, "C")


@type_callable(as_array)
def _type_as_array(context):
    return lambda table: OCTETS


@lower_builtin(as_array, TableType)
def _lower_as_array(context, builder, sig, args):
    table = cgutils.create_struct_proxy(sig.args[0])(context, builder, args[0])
    array = make_array(OCTETS)(context, builder)
    one = context.get_constant(types.intp, 1)
    populate_array(array, data=table.data, shape=[table.size], strides=[one], itemsize=one, meminfo=None, parent=None)
    return array._getvalue()
