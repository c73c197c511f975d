"""A client lives through every kind of breaker: over real sockets, on a clock that the operator drives.

Each scene is a section of docs/scenarios.md with the messages as they were said.
"""

import re
from collections.abc import Iterator

import pytest
from harness import ROOT, QuickFixClient, ServerProcess
from scenes import BUY, SELL, Scene

from fixsim.config.reader import packaged
from fixsim.fix import tags

PAGE = ROOT / "docs" / "scenarios.md"
#: Trading is continuous in Frankfurt, London and New York.
AFTERNOON = ("--clock", "simulated", "--clock-start", "2025-11-20T15:00:00")
SECTION = re.compile(r"<!-- check: scene ([a-z-]+) -->\n```text\n(.*?)```\n", re.S)


def limit_up(scene: Scene, maker: QuickFixClient, taker: QuickFixClient) -> None:
    scene.listen(taker, "AAPL")
    scene.order(maker, "M1", SELL, 10, "AAPL", "195.00")
    scene.order(taker, "T1", BUY, 25, "AAPL", "198.00")
    scene.show("AAPL")
    scene.advance("15s")
    scene.order(maker, "M2", SELL, 15, "AAPL", "196.50")
    scene.advance("5m")
    scene.show("AAPL")
    scene.close(taker, "AAPL")


def volatility_interruption(scene: Scene, maker: QuickFixClient, taker: QuickFixClient) -> None:
    scene.listen(taker, "SAP")
    scene.order(maker, "M3", SELL, 10, "SAP", "181.00")
    scene.order(maker, "M4", SELL, 20, "SAP", "186.00")
    scene.order(taker, "T2", BUY, 25, "SAP", "187.00")
    scene.advance("2m30s", by_chance=True)
    scene.close(taker, "SAP")


def price_monitoring(scene: Scene, maker: QuickFixClient, taker: QuickFixClient) -> None:
    scene.listen(taker, "VOD")
    scene.order(maker, "M5", SELL, 1_000, "VOD", "102.00")
    scene.order(taker, "T3", BUY, 1_000, "VOD", "103.00")
    scene.advance("5m30s", by_chance=True)
    scene.order(maker, "M6", SELL, 1_000, "VOD", "98.00")
    scene.advance("5m", by_chance=True)
    scene.close(taker, "VOD")


def velocity_logic(scene: Scene, maker: QuickFixClient, taker: QuickFixClient) -> None:
    scene.listen(taker, "ESZ5")
    scene.order(maker, "M7", SELL, 5, "ESZ5", "6700.00")
    scene.order(maker, "M8", SELL, 5, "ESZ5", "6770.00")
    scene.order(taker, "T4", BUY, 10, "ESZ5", None)
    scene.advance("5s")
    scene.close(taker, "ESZ5")


def dynamic_circuit_breaker(scene: Scene, maker: QuickFixClient, taker: QuickFixClient) -> None:
    scene.listen(taker, "NQZ5")
    scene.order(maker, "M9", BUY, 2, "NQZ5", "24800.00")
    scene.order(maker, "M10", BUY, 2, "NQZ5", "23900.00")
    scene.order(taker, "T5", SELL, 4, "NQZ5", "23000.00", time_in_force=3)
    scene.advance("2m")
    scene.close(taker, "NQZ5")


def whole_market(scene: Scene, maker: QuickFixClient, taker: QuickFixClient) -> None:
    scene.send(taker, "g", trad_ses_req_id="G-1", trading_session_id="XNYS", subscription_request_type=1)
    scene.listen(taker, "MSFT")
    scene.listen(taker, "INTC")
    scene.order(taker, "T6", BUY, 5, "INTC", "30.00", exec_inst="K")
    scene.order(taker, "T7", BUY, 5, "INTC", "29.00", exec_inst="J")
    scene.order(maker, "M11", BUY, 10, "MSFT", "360.00")
    scene.order(maker, "M12", BUY, 10, "MSFT", "355.00")
    scene.order(taker, "T8", SELL, 30, "MSFT", "350.00")
    scene.advance("15m")
    scene.order(maker, "M13", BUY, 20, "MSFT", "358.00")
    scene.advance("1m")
    scene.close(taker, "MSFT", "INTC")


#: In the order in which they are played, one after the other, on the same exchange.
PLAYED = {
    "limit-up": limit_up,
    "volatility-interruption": volatility_interruption,
    "price-monitoring": price_monitoring,
    "velocity-logic": velocity_logic,
    "dynamic-circuit-breaker": dynamic_circuit_breaker,
    "whole-market": whole_market,
}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Scene]]:
    """All scenes, played once."""
    home = tmp_path_factory.mktemp("breakers")
    server = ServerProcess(home / "data", config=packaged("trading-day.toml"), options=AFTERNOON)
    with (
        server,
        QuickFixClient(server.port, home / "maker", "MAKER") as maker,
        QuickFixClient(server.port, home / "taker", "TAKER") as taker,
    ):
        played = {}
        for name, play in PLAYED.items():
            played[name] = scene = Scene(name, home / "data", taker, maker)
            play(scene, maker, taker)
    yield played


#: What the taker is told: 326 and 327 of each f about the scene's instrument, then ClOrdID, 150, 31 and 378 of each report.
TOLD = {
    "limit-up": (
        "AAPL", ["17", "6", "5", "5M", "5", "17"], ["T1 0", "T1 F 195.00", "T1 D 3", "T1 F 196.50"],
    ),
    "volatility-interruption": ("SAP", ["17", "5", "5M", "5", "8", "17"], ["T2 0", "T2 F 181.00", "T2 F 186.00"]),
    "price-monitoring": ("VOD", ["17", "5", "5M", "5", "5", "15", "17"], ["T3 0", "T3 F 98.00"]),
    "velocity-logic": ("ESZ5", ["17", "5", "5M", "5", "17"], ["T4 0", "T4 F 6700.00", "T4 F 6770.00"]),
    "dynamic-circuit-breaker": ("NQZ5", ["17", "5", "5M", "17"], ["T5 0", "T5 F 24800.00", "T5 4"]),
    "whole-market": (
        "MSFT", ["17", "2", "2M", "5", "15", "12", "17"],
        ["T6 0", "T7 0", "T8 0", "T8 F 360.00", "T6 4 6", "T7 9", "T7 D 8", "T8 F 358.00"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAYED)
def test_the_client_is_told_what_happens(scenes: dict[str, Scene], name: str) -> None:
    symbol, statuses, reports = TOLD[name]
    assert scenes[name].statuses("TAKER", symbol)[: len(statuses)] == statuses
    assert scenes[name].reports("TAKER") == reports


def test_trading_sessions_are_halted_and_go_on_with_the_market(scenes: dict[str, Scene]) -> None:
    told = [message for message in scenes["whole-market"].told["TAKER"] if message.msg_type == b"h"]
    assert [message.get(tags.TRAD_SES_STATUS) for message in told] == [b"2", b"1", b"2"]


def written() -> dict[str, str]:
    """The scenes of the page, by name."""
    return dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", PLAYED)
def test_the_page_shows_what_was_said(scenes: dict[str, Scene], name: str) -> None:
    assert written()[name].splitlines() == scenes[name].lines


def test_the_page_shows_every_scene_and_no_other() -> None:
    assert list(written()) == list(PLAYED)
