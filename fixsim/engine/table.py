"""How kernels see the machine: one address, from which each table's place is read where it is used.

numba passes an array as seven words; sixteen tables would be a hundred words at every call between kernels. `MachineType` is
one word: the address of a list of (address, length), two words for each table. A `TableType` is such a pair: it is indexed by
row, has a `size`, and knows nothing of negative indices. The same source runs as plain Python on numpy arrays.
"""

import operator

import llvmlite.ir as ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import NativeValue, lower_builtin, lower_getattr, models, register_model, unbox

WORD = ir.IntType(64)


class TableType(types.Type):
    """Rows of one dtype at one address."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(f"Table({dtype})")

    @property
    def key(self):
        return self.dtype


class MachineType(types.Type):
    """The address list of a machine whose tables are `tables`: pairs of name and TableType."""

    def __init__(self, tables):
        self.tables = tuple(tables)
        self.places = {name: place for place, (name, _) in enumerate(self.tables)}
        super().__init__(f"Machine({', '.join(name for name, _ in self.tables)})")

    @property
    def key(self):
        return self.tables


@register_model(TableType)
class TableModel(models.StructModel):
    """Address of the first row, and the number of rows."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, [("data", types.CPointer(types.uint8)), ("size", types.int64)])


@register_model(MachineType)
class MachineModel(models.PrimitiveModel):
    """One word."""

    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, WORD)


@unbox(MachineType)
def unbox_machine(kind, thing, c):
    """The address list of a Machine object."""
    held = c.pyapi.object_getattr_string(thing, "address")
    address = c.pyapi.long_as_longlong(held)
    c.pyapi.decref(held)
    return NativeValue(address, is_error=cgutils.is_not_null(c.builder, c.pyapi.err_occurred()))


@infer_getattr
class MachineAttributes(AttributeTemplate):
    """`machine.name` is a table."""

    key = MachineType

    def generic_resolve(self, machine, attr):
        place = machine.places.get(attr)
        return None if place is None else machine.tables[place][1]


@lower_getattr_generic(MachineType)
def machine_table(context, builder, kind, value, attr):
    """Read address and length; they never change, and the compiler may know that."""
    place = kind.places[attr]
    addresses = builder.inttoptr(value, WORD.as_pointer())
    words = []
    for i in range(2):
        word = builder.load(cgutils.gep_inbounds(builder, addresses, 2 * place + i))
        word.set_metadata("invariant.load", builder.module.add_metadata([]))
        words.append(word)
    table = cgutils.create_struct_proxy(kind.tables[place][1])(context, builder)
    table.data = builder.inttoptr(words[0], ir.IntType(8).as_pointer())
    table.size = words[1]
    return table._getvalue()


@infer_getattr
class TableAttributes(AttributeTemplate):
    """`table.size` is the number of rows."""

    key = TableType

    def resolve_size(self, table):
        return types.int64


@lower_getattr(TableType, "size")
def table_size(context, builder, kind, value):
    """Number of rows."""
    return cgutils.create_struct_proxy(kind)(context, builder, value).size


@infer_global(operator.getitem)
class TableGet(AbstractTemplate):
    """`table[row]`."""

    def generic(self, args, kws):
        table, row = args
        if isinstance(table, TableType) and isinstance(row, types.Integer):
            return signature(table.dtype, table, types.int64)
        return None


@infer_global(operator.setitem)
class TableSet(AbstractTemplate):
    """`table[row] = value`, for tables of integers."""

    def generic(self, args, kws):
        table, row, _ = args
        if isinstance(table, TableType) and isinstance(table.dtype, types.Integer) and isinstance(row, types.Integer):
            return signature(types.none, table, types.int64, table.dtype)
        return None


def row_bytes(kind):
    """Bytes of one row of a TableType."""
    return kind.dtype.size if isinstance(kind.dtype, types.Record) else kind.dtype.bitwidth // 8


def _row(context, builder, sig, args):
    """Pointer to the row that is meant, as its dtype is kept in memory."""
    kind = sig.args[0]
    data = cgutils.create_struct_proxy(kind)(context, builder, args[0]).data
    row = context.cast(builder, args[1], sig.args[1], types.int64)
    pointer = builder.gep(data, [builder.mul(row, ir.Constant(WORD, row_bytes(kind)))])
    if isinstance(kind.dtype, types.Record):
        return builder.bitcast(pointer, context.get_value_type(kind.dtype))
    return builder.bitcast(pointer, context.get_data_type(kind.dtype).as_pointer())


@lower_builtin(operator.getitem, TableType, types.Integer)
def table_get(context, builder, sig, args):
    """A record is its address; an integer is read."""
    pointer = _row(context, builder, sig, args)
    return pointer if isinstance(sig.return_type, types.Record) else builder.load(pointer)


@lower_builtin(operator.setitem, TableType, types.Integer, types.Any)
def table_set(context, builder, sig, args):
    """Write an integer."""
    value = context.cast(builder, args[2], sig.args[2], sig.args[0].dtype)
    builder.store(value, _row(context, builder, sig, args))
    return context.get_dummy_value()
