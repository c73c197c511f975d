"""`docs/risk.md` has the table of checks that the code has: the same checks, in the same order, with the same answers."""

import re

from pages import ROOT

from fixsim.config import Limits
from fixsim.config.risk import HELD, INSTRUMENT_ONLY
from fixsim.exchange.gate import CHECKS

ROW = re.compile(r"^\| ([^|]+) \| ((?:`\w+` ?)*)\| (\d+) \| (.+?) \|$", re.M)
PAGE = (ROOT / "docs" / "risk.md").read_text(encoding="utf-8")
#: Keys that are no check of their own: who is meant, and what bounds a market order instead of refusing it.
NO_CHECKS = {"scope", "name", "protection_ticks", "protection_bps"}


def test_the_checks_are_documented_as_they_are_made() -> None:
    documented = [(tuple(re.findall(r"`(\w+)`", keys)), int(reason), text) for _, keys, reason, text in ROW.findall(PAGE)]
    assert documented == [(check.keys, check.reason, check.text) for check in CHECKS]


def test_every_limit_has_its_check() -> None:
    checked = {key for check in CHECKS for key in check.keys}
    assert checked | NO_CHECKS == set(Limits.__dataclass_fields__)
    assert checked >= {*HELD, *INSTRUMENT_ONLY}
