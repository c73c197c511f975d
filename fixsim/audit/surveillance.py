"""The reports themselves: one row each, SQL over the documented views and nothing else.

`{scope}` stands for time, session and symbol of a row. Every other `:name` is a threshold of the report, or one of the
parameters in `reports.PARAMETERS`. Columns that end in `time_ns` are shown as times.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: `Report.findings` where every row is one.
EVERY_ROW: Final = "*"


@dataclass(frozen=True)
class Threshold:
    """A number a report is asked with: what it is unless somebody says otherwise, and what it means."""

    default: str
    meaning: str


@dataclass(frozen=True)
class Report:
    """A named question. `findings` is the column that tells a finding, EVERY_ROW, or empty for a report that only counts."""

    title: str
    sql: str
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    findings: str = ""


ORDER_TO_TRADE: Final = """
WITH asked AS (
    SELECT session, count(*) FILTER (WHERE msg_type = 'D') AS orders, count(*) FILTER (WHERE msg_type = 'G') AS replaces,
        count(*) FILTER (WHERE msg_type = 'F') AS cancels, count(*) AS requests
    FROM messages WHERE direction = 'in' AND part = 0 AND msg_type IN ('D', 'F', 'G') AND {scope} GROUP BY session
), traded AS (
    SELECT session, count(*) AS fills, sum(last_qty) AS quantity
    FROM executions WHERE exec_type = 'F' AND {scope} GROUP BY session
)
SELECT session, coalesce(orders, 0) AS orders, coalesce(replaces, 0) AS replaces, coalesce(cancels, 0) AS cancels,
    coalesce(fills, 0) AS fills, coalesce(quantity, 0) AS quantity, round(requests / fills::numeric, 2) AS ratio,
    :ratio_max > 0 AND coalesce(requests, 0) > :ratio_max * greatest(coalesce(fills, 0), 1) AS over
FROM asked FULL JOIN traded USING (session) ORDER BY session
"""

MESSAGE_RATES: Final = """
WITH seconds AS (
    SELECT session, time_ns / 1000000000 AS second, count(*) FILTER (WHERE direction = 'in') AS received,
        count(*) FILTER (WHERE direction = 'out') AS said
    FROM messages WHERE {scope} GROUP BY session, second
)
SELECT session, sum(received)::bigint AS received, sum(said)::bigint AS said, count(*) AS active_seconds,
    round(sum(received) / count(*), 1) AS received_mean, max(received) AS received_peak, max(said) AS said_peak,
    (array_agg(second ORDER BY received DESC, second))[1] * 1000000000 AS peak_time_ns,
    :peak_max > 0 AND max(received) > :peak_max AS over
FROM seconds GROUP BY session ORDER BY session
"""

WASH_TRADES: Final = """
WITH members AS (
    SELECT firm.key AS firm, member.value AS name
    FROM jsonb_each(CAST(:owners AS jsonb)) firm, jsonb_array_elements_text(firm.value) member
), judged AS (
    SELECT *, concat_ws(', ',
        CASE WHEN buy_session = sell_session AND NOT coalesce(buy_account <> sell_account, false) THEN 'session' END,
        CASE WHEN :accounts > 0 AND buy_account = sell_account THEN 'account' END,
        (SELECT 'firm ' || min(b.firm) FROM members b JOIN members s USING (firm)
         WHERE b.name IN (buy_session, buy_account) AND s.name IN (sell_session, sell_account))) AS same
    FROM trades
    WHERE time_ns >= :since_ns AND time_ns < :until_ns AND (:symbol = '' OR symbol = :symbol)
        AND (:session = '' OR :session IN (buy_session, sell_session))
)
SELECT time_ns, match_id, symbol, last_qty, last_px, same, buy_session, buy_account, buy_cl_ord_id, sell_session,
    sell_account, sell_cl_ord_id, buy_position, sell_position
FROM judged WHERE same <> '' AND last_qty >= :quantity_min ORDER BY buy_position
"""

LAYERING: Final = """
WITH filled AS (
    SELECT session, symbol, side, order_id, max(position) AS position, max(time_ns) AS time_ns, sum(last_qty) AS quantity
    FROM executions WHERE exec_type = 'F' AND {scope} GROUP BY session, symbol, side, order_id
), placed AS (
    SELECT order_id, min(position) AS position FROM executions WHERE exec_type = '0' GROUP BY order_id
), pulled AS (
    SELECT c.session, c.symbol, c.side, c.order_id, p.position AS placed, c.position, c.time_ns,
        c.order_qty - c.cum_qty AS quantity
    FROM (SELECT * FROM executions WHERE exec_type = '4' AND {scope}) c JOIN placed p USING (order_id)
)
SELECT f.time_ns, f.session, f.symbol, CASE f.side WHEN '1' THEN 'buy' ELSE 'sell' END AS filled_side,
    f.order_id AS filled_order, f.quantity AS filled, count(*) AS layers, sum(p.quantity) AS pulled,
    round(sum(p.quantity) / f.quantity, 1) AS ratio, max(p.time_ns) AS pulled_time_ns,
    string_agg(p.order_id, ' ' ORDER BY p.position) AS pulled_orders, f.position, max(p.position) AS pulled_position
FROM filled f JOIN pulled p ON p.session = f.session AND p.symbol = f.symbol AND (p.side = '1') <> (f.side = '1')
    AND p.placed < f.position AND p.position > f.position AND p.time_ns <= f.time_ns + :within_s * 1000000000.0
GROUP BY f.time_ns, f.session, f.symbol, f.side, f.order_id, f.quantity, f.position
HAVING sum(p.quantity) >= :size_ratio * f.quantity AND sum(p.quantity) >= :quantity_min
ORDER BY f.position
"""

REJECTS: Final = """
WITH refused AS (
    SELECT session, position, time_ns, '8' AS msg_type, '103' AS tag, ord_rej_reason AS reason, text
    FROM executions WHERE exec_type = '8' AND {scope}
    UNION ALL
    SELECT session, position, time_ns, msg_type, tag, substring(frame from chr(1) || tag || '=([^' || chr(1) || ']*)'),
        substring(frame from chr(1) || '58=([^' || chr(1) || ']*)')
    FROM (
        SELECT *, encode(raw, 'escape') AS frame, CASE msg_type WHEN '9' THEN '102' WHEN '3' THEN '373' ELSE '380' END AS tag
        FROM messages WHERE direction = 'out' AND part = 0 AND msg_type IN ('9', '3', 'j') AND {scope}
    ) said
)
SELECT session, msg_type, tag, reason, count(*) AS count, min(position) AS first_position,
    max(time_ns) AS last_time_ns, (array_agg(text ORDER BY position))[1] AS first_text
FROM refused GROUP BY session, msg_type, tag, reason ORDER BY session, count DESC, msg_type, tag, reason
"""

GAPS: Final = """
WITH told AS (
    SELECT session, count(*) FILTER (WHERE event = 'gap') AS gaps_found,
        count(*) FILTER (WHERE event = 'resend_requested') AS resends_asked,
        count(*) FILTER (WHERE event IN ('sequence_reset', 'sequence_reset_received')) AS sequence_resets,
        count(*) FILTER (WHERE event = 'garbled') AS garbled, count(*) FILTER (WHERE event = 'lost') AS links_lost,
        min(position) FILTER (WHERE event IN ('gap', 'resend_requested')) AS first_position
    FROM sessions WHERE session IS NOT NULL AND time_ns >= :since_ns AND time_ns < :until_ns
        AND (:session = '' OR session = :session) GROUP BY session
), again AS (
    SELECT session, count(*) FILTER (WHERE msg_type <> '4') AS said_again, count(*) FILTER (WHERE msg_type = '4') AS gap_fills
    FROM messages WHERE part > 0 AND time_ns >= :since_ns AND time_ns < :until_ns
        AND (:session = '' OR session = :session) GROUP BY session
)
SELECT session, gaps_found, resends_asked, coalesce(said_again, 0) AS said_again, coalesce(gap_fills, 0) AS gap_fills,
    sequence_resets, garbled, links_lost, first_position
FROM told LEFT JOIN again USING (session)
WHERE gaps_found + resends_asked + sequence_resets + garbled > 0 ORDER BY session
"""

ACK_LATENCY: Final = """
WITH asked AS (
    SELECT session, cl_ord_id, position, time_ns FROM messages
    WHERE direction = 'in' AND part = 0 AND msg_type IN ('D', 'F', 'G') AND cl_ord_id IS NOT NULL AND {scope}
), answers AS (
    SELECT session, cl_ord_id, position, time_ns FROM messages
    WHERE direction = 'out' AND part = 0 AND msg_type IN ('8', '9') AND time_ns >= :since_ns
), answered AS (
    SELECT a.session, a.position, min(o.time_ns) - a.time_ns AS took_ns
    FROM asked a LEFT JOIN answers o ON o.session = a.session AND o.cl_ord_id = a.cl_ord_id AND o.position > a.position
    GROUP BY a.session, a.position, a.time_ns
)
SELECT session, count(*) AS requests, count(took_ns) AS answered, count(*) - count(took_ns) AS not_answered,
    count(*) FILTER (WHERE took_ns = 0) AS same_turn, percentile_disc(0.5) WITHIN GROUP (ORDER BY took_ns) AS p50_ns,
    percentile_disc(0.99) WITHIN GROUP (ORDER BY took_ns) AS p99_ns, max(took_ns) AS max_ns,
    :late_ms > 0 AND coalesce(max(took_ns), 0) > :late_ms * 1000000.0 AS late
FROM answered GROUP BY session ORDER BY session
"""

RECONCILIATION: Final = """
WITH frames AS (
    SELECT time_ns, session, symbol, encode(raw, 'escape') AS frame
    FROM messages WHERE direction = 'out' AND part = 0 AND msg_type = '8' AND {scope}
), said AS (
    SELECT session, symbol, substring(frame from chr(1) || '54=([^' || chr(1) || ']*)') AS side,
        CAST(substring(frame from chr(1) || '32=([0-9]+[.]?[0-9]*)' || chr(1)) AS numeric) AS last_qty,
        CAST(substring(frame from chr(1) || '31=(-?[0-9]+[.]?[0-9]*)' || chr(1)) AS numeric) AS last_px
    FROM frames WHERE strpos(frame, chr(1) || '150=F' || chr(1)) > 0
), messaged AS (
    SELECT session, symbol, sum(CASE side WHEN '1' THEN last_qty ELSE -last_qty END) AS position,
        sum(last_qty * last_px) AS turnover
    FROM said GROUP BY session, symbol
), reported AS (
    SELECT session, symbol, sum(CASE side WHEN '1' THEN last_qty ELSE -last_qty END) AS position,
        sum(last_qty * last_px) AS turnover
    FROM executions WHERE exec_type = 'F' AND {scope} GROUP BY session, symbol
), sides AS (
    SELECT time_ns, buy_session AS session, symbol, last_qty AS quantity, last_qty * last_px AS turnover FROM trades
    UNION ALL SELECT time_ns, sell_session, symbol, -last_qty, last_qty * last_px FROM trades
), traded AS (
    SELECT session, symbol, sum(quantity) AS position, sum(turnover) AS turnover
    FROM sides WHERE {scope} GROUP BY session, symbol
), counted AS (
    SELECT session, symbol, side, (array_agg(cum_qty ORDER BY position DESC))[1]
        - (array_agg(CASE exec_type WHEN 'F' THEN cum_qty - last_qty ELSE cum_qty END ORDER BY position))[1] AS quantity
    FROM executions WHERE order_id IS NOT NULL AND exec_type NOT IN ('8', 'I') AND {scope}
    GROUP BY session, symbol, side, order_id
), summed AS (
    SELECT session, symbol, sum(CASE side WHEN '1' THEN quantity ELSE -quantity END) AS position
    FROM counted GROUP BY session, symbol
), beside AS (
    SELECT session, symbol, coalesce(t.position, 0) AS position_trades, coalesce(r.position, 0) AS position_reports,
        coalesce(m.position, 0) AS position_messages, coalesce(s.position, 0) AS position_orders,
        coalesce(t.turnover, 0) AS turnover_trades, coalesce(r.turnover, 0) AS turnover_reports,
        coalesce(m.turnover, 0) AS turnover_messages
    FROM reported r FULL JOIN traded t USING (session, symbol) FULL JOIN summed s USING (session, symbol)
        FULL JOIN messaged m USING (session, symbol)
)
SELECT *, position_trades <> position_reports OR position_orders <> position_reports
    OR position_messages <> position_reports OR turnover_trades <> turnover_reports
    OR turnover_messages <> turnover_reports AS different
FROM beside ORDER BY session, symbol
"""

_QUANTITY_MIN: Final = Threshold("0", "smallest quantity that is looked at")

REPORTS: Final[Mapping[str, Report]] = {
    "order-to-trade": Report(
        "requests and fills of each session, and their ratio",
        ORDER_TO_TRADE,
        {"ratio_max": Threshold("0", "more requests per fill than this are a finding; 0 for no limit")},
        "over",
    ),
    "message-rates": Report(
        "messages of each session: how many, and the busiest second",
        MESSAGE_RATES,
        {"peak_max": Threshold("0", "more messages received in one second are a finding; 0 for no limit")},
        "over",
    ),
    "wash-trades": Report(
        "trades with the same owner on both sides",
        WASH_TRADES,
        {
            "quantity_min": _QUANTITY_MIN,
            "accounts": Threshold("1", "1: the same Account(1) on both sides is the same owner, at any session; 0: it is not"),
        },
        EVERY_ROW,
    ),
    "layering": Report(
        "large resting quantity cancelled soon after a fill on the other side",
        LAYERING,
        {
            "within_s": Threshold("5", "seconds between the fill and a cancel that follows it"),
            "size_ratio": Threshold("3", "what was cancelled is at least this many times what was filled"),
            "quantity_min": _QUANTITY_MIN,
        },
        EVERY_ROW,
    ),
    "rejects": Report("refusals of each session, by reason", REJECTS),
    "gaps": Report("gaps, resends and what was garbled", GAPS),
    "ack-latency": Report(
        "from a request to its first answer, by the journal's times",
        ACK_LATENCY,
        {"late_ms": Threshold("0", "a session whose slowest answer took longer is a finding; 0 for no limit")},
        "late",
    ),
    "reconciliation": Report(
        "positions and turnover from trades, from reports, from the messages' bytes and from orders",
        RECONCILIATION,
        findings="different",
    ),
}
