"""What was done to the venue, and by it: a table of events. Reports of amended trades name the report they amend; orders and
trades tell venue time beside the time of the journal.
"""

from typing import Final

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES: Final = """
CREATE TABLE fixsim.events (
    position bigint PRIMARY KEY, time_ns bigint NOT NULL, venue_ns bigint, event text NOT NULL, who text, why text,
    symbol text, session text, text text
);
DROP VIEW public.trades;
DROP VIEW public.orders;
DROP VIEW public.executions;
ALTER TABLE fixsim.executions ADD COLUMN exec_ref_id text
"""

VIEWS: Final = """
CREATE VIEW public.events AS SELECT *, to_timestamp(time_ns / 1e9) AS time FROM fixsim.events;
CREATE VIEW public.executions AS
    SELECT position, time_ns, session, order_id, cl_ord_id, orig_cl_ord_id, exec_id, exec_ref_id, exec_type, ord_status,
        ord_rej_reason, exec_restatement_reason, account, symbol, side, order_qty, ord_type, price, time_in_force, last_qty,
        last_px, leaves_qty, cum_qty, avg_px, transact_time_ns, match_id, liquidity, text, to_timestamp(time_ns / 1e9) AS time
    FROM fixsim.executions;
CREATE VIEW public.orders AS
    SELECT e.position, e.time_ns, e.session, e.order_id, e.cl_ord_id AS first_cl_ord_id, l.cl_ord_id, e.symbol,
        e.side, e.account, e.ord_type, e.time_in_force, l.order_qty, l.price, l.ord_status, l.leaves_qty, l.cum_qty,
        l.avg_px, NULL::text AS ord_rej_reason, l.text, l.position AS last_position, l.time_ns AS last_time_ns,
        e.transact_time_ns, l.transact_time_ns AS last_transact_time_ns, to_timestamp(e.time_ns / 1e9) AS time
    FROM fixsim.executions e CROSS JOIN LATERAL (
        SELECT * FROM fixsim.executions x
        WHERE x.order_id = e.order_id AND x.exec_type NOT IN ('8', 'I') ORDER BY x.position DESC LIMIT 1
    ) l
    WHERE e.exec_type = '0'
    UNION ALL
    SELECT position, time_ns, session, NULL, cl_ord_id, cl_ord_id, symbol, side, account, ord_type, time_in_force,
        order_qty, price, '8', 0, 0, 0, ord_rej_reason, text, position, time_ns, transact_time_ns, transact_time_ns,
        to_timestamp(time_ns / 1e9)
    FROM fixsim.executions WHERE exec_type = '8';
CREATE VIEW public.trades AS
    SELECT b.match_id, b.time_ns, b.symbol, b.last_qty, b.last_px,
        CASE '2' WHEN b.liquidity THEN 'buy' WHEN s.liquidity THEN 'sell' END AS aggressor,
        CASE a.exec_type WHEN 'H' THEN 'busted' WHEN 'G' THEN 'corrected' END AS amended,
        a.last_qty AS amended_qty, a.last_px AS amended_px,
        b.session AS buy_session, b.order_id AS buy_order_id, b.cl_ord_id AS buy_cl_ord_id, b.exec_id AS buy_exec_id,
        b.account AS buy_account, b.position AS buy_position,
        s.session AS sell_session, s.order_id AS sell_order_id, s.cl_ord_id AS sell_cl_ord_id,
        s.exec_id AS sell_exec_id, s.account AS sell_account, s.position AS sell_position,
        b.transact_time_ns, to_timestamp(b.time_ns / 1e9) AS time
    FROM fixsim.executions b
    JOIN fixsim.executions s ON s.match_id = b.match_id AND s.side <> '1' AND s.exec_type = 'F'
    LEFT JOIN LATERAL (
        SELECT exec_type, last_qty, last_px FROM fixsim.executions x
        WHERE x.match_id = b.match_id AND x.order_id = b.order_id AND x.exec_type IN ('G', 'H')
        ORDER BY x.position DESC LIMIT 1
    ) a ON true
    WHERE b.side = '1' AND b.match_id IS NOT NULL AND b.exec_type = 'F'
"""

GRANTS: Final = """
DO $$ BEGIN
    GRANT SELECT ON public.orders, public.executions, public.trades, public.events TO fixsim_reader;
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN NULL;
END $$
"""


def upgrade() -> None:
    """Add the table, make the views again."""
    for statement in (TABLES + ";" + VIEWS).split(";"):
        op.execute(statement)
    op.execute(GRANTS)
