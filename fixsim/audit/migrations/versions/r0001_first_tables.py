"""First tables: messages and executions by position, sessions, cursor; the documented views and who may read
them.

Indexes are few because COPY pays for each. A primary key on the ever-growing position costs little;
order_id and match_id are counters, so their B-trees stay warm. ClOrdIDs are the clients' and arrive in any
order: Bloom filters over ranges of pages (BRIN) find them and
cost COPY little.
"""

from typing import Final

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES: Final = """
CREATE TABLE fixsim.messages (
    position bigint NOT NULL, part integer NOT NULL, time_ns bigint NOT NULL, direction text NOT NULL,
    session text NOT NULL, run integer NOT NULL, msg_seq_num bigint NOT NULL, msg_type text NOT NULL,
    cl_ord_id text, order_id text, exec_id text, symbol text, link bigint NOT NULL, raw bytea NOT NULL,
    PRIMARY KEY (position, part)
) PARTITION BY RANGE (position);
ALTER TABLE fixsim.messages ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE INDEX messages_time ON fixsim.messages USING brin (time_ns);
CREATE INDEX messages_cl_ord_id ON fixsim.messages
    USING brin (cl_ord_id text_bloom_ops (n_distinct_per_range = 3000)) WITH (pages_per_range = 64);
CREATE INDEX messages_cancel_rejects ON fixsim.messages (order_id) WHERE msg_type = '9';

CREATE TABLE fixsim.executions (
    position bigint NOT NULL, time_ns bigint NOT NULL, session text NOT NULL, order_id text, cl_ord_id text,
    orig_cl_ord_id text, exec_id text, exec_type text, ord_status text, ord_rej_reason text,
    exec_restatement_reason text, account text, symbol text, side text, order_qty numeric, ord_type text,
    price numeric, time_in_force text, last_qty numeric, last_px numeric, leaves_qty numeric, cum_qty numeric,
    avg_px numeric, transact_time_ns bigint, match_id text, liquidity text, text text,
    PRIMARY KEY (position)
) PARTITION BY RANGE (position);
CREATE INDEX executions_time ON fixsim.executions USING brin (time_ns);
CREATE INDEX executions_order ON fixsim.executions (order_id, position);
CREATE INDEX executions_match ON fixsim.executions (match_id) WHERE match_id IS NOT NULL;
CREATE INDEX executions_cl_ord_id ON fixsim.executions
    USING brin (cl_ord_id text_bloom_ops (n_distinct_per_range = 3000)) WITH (pages_per_range = 64);
CREATE INDEX executions_orig_cl_ord_id ON fixsim.executions
    USING brin (orig_cl_ord_id text_bloom_ops (n_distinct_per_range = 3000)) WITH (pages_per_range = 64);

CREATE TABLE fixsim.sessions (
    position bigint PRIMARY KEY, time_ns bigint NOT NULL, session text, run integer NOT NULL, event text NOT NULL,
    msg_seq_num bigint, begin_seq_no bigint, end_seq_no bigint, link bigint NOT NULL, text text
);
CREATE TABLE fixsim.session_names (id bigint PRIMARY KEY, name text NOT NULL);
CREATE TABLE fixsim.cursor (
    batch bigint NOT NULL, position bigint NOT NULL, part integer NOT NULL, seal_position bigint, seal_crc bigint,
    last_time_ns bigint, messages bigint NOT NULL, written_at timestamptz
);
CREATE UNIQUE INDEX cursor_is_one_row ON fixsim.cursor ((true));
INSERT INTO fixsim.cursor VALUES (0, 0, 0, NULL, NULL, NULL, 0, NULL)
"""

VIEWS: Final = """
CREATE VIEW public.messages AS SELECT *, to_timestamp(time_ns / 1e9) AS time FROM fixsim.messages;
CREATE VIEW public.executions AS SELECT *, to_timestamp(time_ns / 1e9) AS time FROM fixsim.executions;
CREATE VIEW public.sessions AS SELECT *, to_timestamp(time_ns / 1e9) AS time FROM fixsim.sessions;
CREATE VIEW public.shipped AS SELECT * FROM fixsim.cursor;
CREATE VIEW public.orders AS
    SELECT e.position, e.time_ns, e.session, e.order_id, e.cl_ord_id AS first_cl_ord_id, l.cl_ord_id, e.symbol,
        e.side, e.account, e.ord_type, e.time_in_force, l.order_qty, l.price, l.ord_status, l.leaves_qty, l.cum_qty,
        l.avg_px, NULL::text AS ord_rej_reason, l.text, l.position AS last_position, l.time_ns AS last_time_ns,
        to_timestamp(e.time_ns / 1e9) AS time
    FROM fixsim.executions e CROSS JOIN LATERAL (
        SELECT * FROM fixsim.executions x
        WHERE x.order_id = e.order_id AND x.exec_type NOT IN ('8', 'I') ORDER BY x.position DESC LIMIT 1
    ) l
    WHERE e.exec_type = '0'
    UNION ALL
    SELECT position, time_ns, session, NULL, cl_ord_id, cl_ord_id, symbol, side, account, ord_type, time_in_force,
        order_qty, price, '8', 0, 0, 0, ord_rej_reason, text, position, time_ns, to_timestamp(time_ns / 1e9)
    FROM fixsim.executions WHERE exec_type = '8';
CREATE VIEW public.trades AS
    SELECT b.match_id, b.time_ns, b.symbol, b.last_qty, b.last_px,
        CASE '2' WHEN b.liquidity THEN 'buy' WHEN s.liquidity THEN 'sell' END AS aggressor,
        b.session AS buy_session, b.order_id AS buy_order_id, b.cl_ord_id AS buy_cl_ord_id, b.exec_id AS buy_exec_id,
        b.account AS buy_account, b.position AS buy_position,
        s.session AS sell_session, s.order_id AS sell_order_id, s.cl_ord_id AS sell_cl_ord_id,
        s.exec_id AS sell_exec_id, s.account AS sell_account, s.position AS sell_position,
        to_timestamp(b.time_ns / 1e9) AS time
    FROM fixsim.executions b JOIN fixsim.executions s ON s.match_id = b.match_id AND s.side <> '1'
    WHERE b.side = '1' AND b.match_id IS NOT NULL
"""

#: On a server of the user's the role may be missing and ours not to make: then `audit sql` relies on a
#: read-only transaction.
GRANTS: Final = """
DO $$ BEGIN
    CREATE ROLE fixsim_reader NOLOGIN;
    GRANT fixsim_reader TO CURRENT_USER;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    GRANT USAGE ON SCHEMA public TO fixsim_reader;
    GRANT SELECT ON public.messages, public.orders, public.executions, public.trades, public.sessions, public.shipped
        TO fixsim_reader;
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN NULL;
END $$
"""


def upgrade() -> None:
    """Create everything."""
    for statement in (TABLES + ";" + VIEWS).split(";"):
        op.execute(statement)
    for block in GRANTS.split("END $$;"):
        op.execute(block if block.rstrip().endswith("$$") else block + "END $$")
