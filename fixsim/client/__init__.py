"""A FIX 4.4 initiator: the other end of the conversation, for people, scripts and tests.

    store.py     what an initiator must remember to go on: two counters and what it sent
    core.py      the conversation without a socket: bytes and time in, bytes and news out
    orders.py    order messages, and one order followed through its reports
    wire.py      the blocking socket shell around the core
    desk.py      `Client`: the shell with orders, one call each
    grammar.py   `buy 100 AAPL @ 187.25 --tif ioc` as a request
    logs.py      FIX logs of any kind, read
    playback.py  a log said again by real initiators; comparison.py: what came back then and now
    display.py   reports for people and as JSON

    from fixsim.client import Client

    with Client("127.0.0.1", 9878, "ALICE", "FIXSIM") as client:
        order = client.buy(100, "AAPL", limit="187.25", tif="ioc")
        print(order.ord_status, order.cum_qty, order.reports)
"""

from fixsim.client.desk import Client
from fixsim.client.orders import Order

__all__ = ["Client", "Order"]
