"""The order state change matrices of FIX 4.4 volume 4, Appendix D, for an exchange that decides at once.

Pending reports are never sent, so the rows about them fall away; J (corrections), K (halt instructions) and L
(stopped, cash quantities) are not offered, nor is what starts at the desk (E).
"""

from oracle_stage import Venue, check


def test_a_1_a_filled_order() -> None:
    venue = Venue()
    check(venue.buy("A", "X", 10_000, "10"), "A 150=0|39=0|38=10000|14=0|151=10000")
    check(venue.sell("B", "1", 2_000, "10")[2:], "A 150=F|39=1|14=2000|151=8000|32=2000|11=X")
    check(venue.sell("B", "2", 1_000, "10")[2:], "A 150=F|39=1|14=3000|151=7000|32=1000|11=X")
    check(venue.sell("B", "3", 7_000, "10")[2:], "A 150=F|39=2|14=10000|151=0|32=7000|11=X")


def test_a_1_a_refused_order() -> None:
    check(Venue().buy("A", "X", "0.5", "10"), "A 150=8|39=8|14=0|151=0|37=NONE")


def test_a_1_b_part_filled_day_order_ends_with_the_day() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 3_000, "10")
    check(venue.next_day(), "A 150=C|39=C|38=10000|14=3000|151=0|-41|11=X")


def test_b_1_a_cancel_of_a_zero_filled_order() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    check(venue.cancel("A", "Y", "X"), "A 150=4|39=4|11=Y|41=X|38=10000|14=0|151=0|6=0")


def test_b_1_b_cancel_of_a_part_filled_order() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 5_000, "10")
    check(venue.cancel("A", "Y", "X"), "A 150=4|39=4|11=Y|41=X|38=10000|14=5000|151=0")


def test_b_1_c_filled_before_the_cancel() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 10_000, "10")
    check(venue.cancel("A", "Y", "X"), "A 35=9|11=Y|41=X|39=2|102=0|434=1")


def test_b_1_f_cancel_for_an_unknown_order_leaves_the_id_free() -> None:
    venue = Venue()
    check(venue.cancel("A", "Y", "X"), "A 35=9|37=NONE|11=Y|41=X|39=8|102=1")
    check(venue.buy("A", "X", 10_000, "10"), "A 150=0|11=X")
    check(venue.buy("A", "Y", 10_000, "10"), "A 150=0|11=Y")


def test_c_1_a_increase_of_a_zero_filled_order() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    check(venue.replace("A", "Y", "X", 11_000, "10"), "A 150=5|39=0|11=Y|41=X|38=11000|14=0|151=11000")
    check(venue.sell("B", "1", 1_000, "10")[2:], "A 150=F|39=1|11=Y|38=11000|14=1000|151=10000")
    check(venue.sell("B", "2", 10_000, "10")[2:], "A 150=F|39=2|11=Y|38=11000|14=11000|151=0")


def test_c_1_b_increase_of_a_part_filled_order() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 1_100, "10")
    check(venue.replace("A", "Y", "X", 12_000, "10"), "A 150=5|39=1|11=Y|41=X|38=12000|14=1100|151=10900")
    check(venue.sell("B", "2", 10_900, "10")[2:], "A 150=F|39=2|11=Y|14=12000|151=0")


def test_c_1_c_increase_of_a_filled_order_is_too_late() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 10_000, "10")
    check(venue.replace("A", "Y", "X", 12_000, "10"), "A 35=9|11=Y|41=X|39=2|102=0|434=2")


def test_c_2_a_change_of_price_after_the_fill_is_too_late() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 10_000, "10")
    check(venue.replace("A", "Y", "X", 10_000, "11"), "A 35=9|39=2|102=0")


def test_c_3_a_decrease_above_what_is_filled() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 1_000, "10")
    check(venue.replace("A", "Y", "X", 8_000, "10"), "A 150=5|39=1|11=Y|41=X|38=8000|14=1000|151=7000")
    check(venue.sell("B", "2", 7_000, "10")[2:], "A 150=F|39=2|14=8000|151=0")


def test_c_3_b_decrease_to_what_is_filled() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 7_000, "10")
    check(venue.replace("A", "Y", "X", 7_000, "10"), "A 150=5|39=2|11=Y|41=X|38=7000|14=7000|151=0")


def test_c_3_c_decrease_below_what_is_filled_is_amended() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 8_000, "10")
    check(venue.replace("A", "Y", "X", 7_000, "10"), "A 150=5|39=2|11=Y|41=X|38=8000|14=8000|151=0")


def test_d_1_a_two_replaces_in_turn() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    check(venue.replace("A", "Y", "X", 8_000, "10"), "A 150=5|11=Y|41=X|38=8000")
    check(venue.replace("A", "Z", "Y", 6_000, "10"), "A 150=5|11=Z|41=Y|38=6000")


def test_d_1_b_after_a_refused_replace_the_next_names_the_last_accepted_id() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    check(venue.replace("A", "Y", "X", "8000.5", "10"), "A 35=9|11=Y|41=X|39=0|102=2")
    check(venue.replace("A", "Z", "Y", 6_000, "10"), "A 35=9|11=Z|41=Y|39=8|102=1")
    check(venue.replace("A", "Z", "X", 6_000, "10"), "A 150=5|11=Z|41=X|38=6000")


def test_d_2_a_two_replaces_sent_at_once() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    venue.sell("B", "1", 1_000, "10")
    check(venue.replace("A", "Y", "X", 8_000, "10"), "A 150=5|39=1|38=8000|14=1000|151=7000")
    check(venue.replace("A", "Z", "Y", 7_000, "10"), "A 150=5|39=1|38=7000|14=1000|151=6000")


def test_f_1_a_duplicate_id_is_refused_with_the_state_of_the_first_order() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    check(venue.buy("A", "X", 15_000, "11"), "A 150=8|39=0|103=6|38=10000|14=0|151=10000|37=1")
    venue.sell("B", "1", 10_000, "10")
    check(venue.buy("A", "X", 15_000, "11"), "A 150=8|39=8|103=6|37=NONE|38=15000|14=0|151=0")


def test_f_1_b_poss_resend() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    check(venue.buy("A", "X", 10_000, "10", "97=Y"), "A 150=I|39=0|38=10000|14=0|151=10000|17=0")
    check(venue.buy("A", "X", 20_000, "10"), "A 150=8|39=0|38=10000|14=0|151=10000|103=6")
    check(venue.buy("A", "Y", 10_000, "10", "97=Y"), "A 150=0|39=0|11=Y")


def test_g_1_a_status_of_an_unknown_order() -> None:
    check(Venue().status("A", "X"), "A 150=I|39=8|37=NONE|103=5|17=0")


def test_g_1_c_status_during_the_life_of_an_order() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10")
    check(venue.status("A", "X"), "A 150=I|39=0|14=0|151=10000")
    venue.sell("B", "1", 2_000, "10")
    check(venue.status("A", "X"), "A 150=I|39=1|14=2000|151=8000")
    venue.sell("B", "2", 8_000, "10")
    check(venue.status("A", "X"), "A 150=I|39=2|14=10000|151=0")


def test_h_1_a_good_till_cancel_goes_on_the_next_day() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10", "59=1")
    venue.sell("B", "1", 2_000, "10")
    assert venue.next_day() == []
    check(venue.sell("B", "2", 1_000, "10")[2:], "A 150=F|39=1|38=10000|14=3000|151=7000")


def test_h_1_c_and_d_good_till_cancel_is_replaced_and_cancelled_the_next_day() -> None:
    venue = Venue()
    venue.buy("A", "X", 10_000, "10", "59=1")
    venue.sell("B", "1", 3_000, "10")
    venue.next_day()
    check(venue.replace("A", "Y", "X", 15_000, "10"), "A 150=5|39=1|38=15000|14=3000|151=12000")
    check(venue.cancel("A", "Z", "Y"), "A 150=4|39=4|11=Z|41=Y|14=3000|151=0")


def test_i_1_a_fok_that_cannot_fill() -> None:
    venue = Venue()
    venue.sell("B", "1", 9_999, "10")
    check(
        venue.buy("A", "X", 10_000, "10", "59=4"),
        "A 150=0|39=0|151=10000",
        "A 150=4|39=4|14=0|151=0|-41",
    )


def test_i_1_b_ioc_that_fills_in_part() -> None:
    venue = Venue()
    venue.sell("B", "1", 1_000, "10")
    replies = venue.buy("A", "X", 10_000, "10", "59=3")
    check(
        [reply for reply in replies if reply.session == "A"],
        "A 150=0|39=0|151=10000",
        "A 150=F|39=1|14=1000|151=9000",
        "A 150=4|39=4|14=1000|151=0|-41",
    )
