"""What the console answers: `/metrics` for Prometheus, `/health` for whoever restarts things."""

import time
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fixsim import __version__
from fixsim.console.metrics import Metrics
from fixsim.console.observer import Observer
from fixsim.feed.mapped import PageError


def new_app(observer: Observer, metrics: Metrics) -> Starlette:
    """The application over one venue."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)

    async def show_metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    async def show_health(request: Request) -> Response:
        found = health(observer)
        return JSONResponse(found, 200 if found["status"] == "ok" else 503)

    return Starlette(routes=[Route("/metrics", show_metrics), Route("/health", show_health)])


def health(observer: Observer) -> dict[str, Any]:
    """Whether the venue lives, in JSON values: `status` is ok, stopped (no exchange, or one that has ended) or stale (its loop
    does not turn).
    """
    try:
        reading = observer.look()
    except PageError as error:
        return {"status": "stopped", "version": __version__, "reason": str(error)}
    row, header = reading.exchange, reading.exchange["header"]
    alive = "exchange" in reading.processes
    status = "ok" if reading.is_running else "stale" if alive else "stopped"
    return {
        "status": status,
        "version": __version__,
        "pid": int(header["pid"]),
        "uptime_s": round(((time.time_ns() if alive else int(header["updated_ns"])) - int(header["started_ns"])) / 1e9, 3),
        "age_s": round(max(0, reading.at_ns - int(header["updated_ns"])) / 1e9, 3),
        "sessions": int(row["sessions"]),
        "journal_position": int(row["journal_position"]),
        "shipper": "shipper" in reading.processes,
        "shipping_lag_s": None if reading.lag is None else round(reading.lag.seconds, 3),
    }
