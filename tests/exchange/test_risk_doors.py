"""Limits at both doors: an order that is near a limit, or over it, comes out the same whichever door it takes."""

import os
from random import Random

import pytest
from flows import seeded_flow

from exchange.limited import limited
from exchange.test_doors import Doors
from exchange.test_risk_differential import some_limits

PLAIN = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


@pytest.mark.parametrize("seed", range(3 if PLAIN else 40))
def test_limits_come_out_the_same_at_both_doors(seed: int) -> None:
    random = Random(seed)
    doors = Doors(limited(*some_limits(random)))
    flow = list(seeded_flow(seed, 120 if PLAIN else 400, flawed=0.02, spread=6))
    while flow:
        doors.expect()
        taken = [flow.pop(0) for _ in range(min(len(flow), random.randint(1, 8)))]
        doors.turn([(name, doors.frame(name, fields)) for name, fields in taken])
        if random.random() < 0.2:
            for stage in doors.stages:
                stage.now_ns += 1_000_000_000
                stage.exchange.tick(stage.now_ns)
                stage.exchange.commit()
            doors.compare([])
