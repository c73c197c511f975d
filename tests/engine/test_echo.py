"""Where the fast door looks for an account."""

from hypothesis import given
from hypothesis import strategies as st

from engine.walk import text
from fixsim.engine.echo import place_of_account, place_of_text
from fixsim.engine.jit import kernel


@kernel
def place(octets, begin, length):
    return place_of_text(octets, begin, length)


@given(account=st.binary(min_size=1, max_size=64), before=st.binary(max_size=9))
def test_both_doors_look_at_the_same_place(account: bytes, before: bytes) -> None:
    octets = text(before + account + b"\x0138=1\x01")
    assert int(place(octets, len(before), len(account))) == place_of_account(account)


def test_accounts_that_are_counted_are_not_in_each_other_s_way() -> None:
    places = [place_of_account(b"ACCOUNT-%04d" % number) for number in range(1_000)]
    assert len(set(places)) > 850
