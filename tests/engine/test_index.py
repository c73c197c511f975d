"""ClOrdIDs by session against a dict: texts of any length, hashes that collide, deletions in any order."""

from hypothesis import given
from hypothesis import strategies as st

from engine.walk import machine_of, rows_of, text
from fixsim.engine.index import (
    NEAR,
    add_name,
    drop_name,
    find_name,
    has_name_room,
    name_hash,
    name_rows,
    put_name,
    text_hash,
)
from fixsim.engine.machine import Machine
from fixsim.layout import NAME_TEXT_BYTES, NIL
from fixsim.limits import TEXT_BYTES_MAX

#: Rows of the index of a machine with 16 names: few, so that runs are long and go round the end.
MASK = 31


def colliding(home: int, count: int) -> list[bytes]:
    """Texts of session 0 that all want the same place of a small index."""
    found: list[bytes] = []
    number = 0
    while len(found) < count:
        name = b"%d" % number + bytes((0x30 | home & NEAR,))
        if name_hash(0, text(name), 0, len(name)) & MASK == home:
            found.append(name)
        number += 1
    return found


COLLIDING = colliding(MASK, 4) + colliding(0, 4) + colliding(MASK - 1, 4)
TEXTS = st.one_of(
    st.sampled_from(COLLIDING),
    st.binary(min_size=1, max_size=TEXT_BYTES_MAX),
    st.builds(lambda length: b"x" * length, st.sampled_from((1, 29, 30, 31, 59, 60, 61, 63, 64))),
)


class Twin:
    """An index of 16 rows of names, and the dict it must be equal to."""

    def __init__(self) -> None:
        self.machine: Machine = machine_of(names=16, orders=16)
        assert len(self.machine.name_index) == MASK + 1
        self.names: dict[tuple[int, bytes], int] = {}
        for slot in range(16):
            self.machine.orders[slot]["session"] = slot % 2

    def add(self, session: int, name: bytes) -> None:
        rows = sum(name_rows(len(known)) for _, known in self.names)
        room = has_name_room(self.machine, len(name))
        assert room == (rows + name_rows(len(name)) <= 16)
        if room and (session, name) not in self.names:
            row = add_name(self.machine, session, session, text(b"<" + name + b">"), 1, len(name), 0)
            self.names[session, name] = int(row)

    def drop(self, number: int) -> None:
        if self.names:
            session, name = list(self.names)[number % len(self.names)]
            assert drop_name(self.machine, self.names.pop((session, name))) == session

    def check(self) -> None:
        for session in (0, 1):
            for name in {name for _, name in self.names} | set(COLLIDING):
                row = find_name(self.machine, session, text(name), 0, len(name))
                assert row == self.names.get((session, name), NIL)
        for (_, name), row in self.names.items():
            buffer = text(bytes(80))
            assert put_name(self.machine, buffer, 3, row) == 3 + len(name)
            assert buffer.tobytes() == bytes(3) + name + bytes(77 - len(name))
        used = [row for name in self.names.values() for row in rows_of(self.machine, name)]
        assert len(set(used)) == len(used) == int(self.machine.core[0]["names_used"])
        assert [int(self.machine.orders[session]["names"]) for session in (0, 1)] == [
            sum(owner == session for owner, _ in self.names) for session in (0, 1)
        ]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 1), TEXTS, st.integers(0, 15)), max_size=50))
def test_an_index_is_a_dict(steps: list[tuple[bool, int, bytes, int]]) -> None:
    twin = Twin()
    for adds, session, name, number in steps:
        if adds:
            twin.add(session, name)
        else:
            twin.drop(number)
        twin.check()
    while twin.names:
        twin.drop(0)
    twin.check()
    assert not twin.machine.name_index.any() and int(twin.machine.core[0]["names_used"]) == 0


def test_rows_of_a_text() -> None:
    assert [name_rows(length) for length in (1, NAME_TEXT_BYTES, NAME_TEXT_BYTES + 1, TEXT_BYTES_MAX)] == [1, 1, 2, 3]


@given(st.integers(0, 16_383), st.binary(max_size=64))
def test_a_hash_has_31_bits_and_depends_on_session_and_text_alone(session: int, name: bytes) -> None:
    hashed = text_hash(session, text(b"..." + name), 3, len(name))
    assert 0 <= hashed < 1 << 31
    assert hashed == text_hash(session, text(name), 0, len(name))


@given(st.integers(0, 16_383), st.binary(min_size=1, max_size=64))
def test_ids_that_are_counted_lie_side_by_side(session: int, name: bytes) -> None:
    hashed = name_hash(session, text(b"..." + name), 3, len(name))
    assert 0 <= hashed < 1 << 31 and hashed & NEAR == name[-1] & NEAR
    assert hashed == name_hash(session, text(name), 0, len(name))
    neighbour = name[:-1] + bytes((name[-1] ^ 1,))
    assert name_hash(session, text(neighbour), 0, len(name)) == hashed ^ 1
