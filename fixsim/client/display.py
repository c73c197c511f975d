"""What the exchange said, for people (rich text) and for programs (one JSON object per message)."""

from collections.abc import Iterator
from typing import Final

from rich.table import Table
from rich.text import Text

from fixsim.client.orders import NO_SYMBOL, TIF_NAMES
from fixsim.fix import enums, tags
from fixsim.fix.message import Message
from fixsim.fix.tags import MsgType

#: Tag number to the name a JSON object uses: FIX's own, in lower case.
KEYS: Final = {
    number: name.lower() for name, number in vars(tags).items() if name.isupper() and isinstance(number, int)
}
#: Standard header and trailer: of no interest to somebody who asked for an answer, but for the number and the
#: time.
QUIET: Final = frozenset(
    {tags.BEGIN_STRING, tags.BODY_LENGTH, tags.SENDER_COMP_ID, tags.TARGET_COMP_ID, tags.CHECK_SUM}
)
#: Groups: count field to the field each entry begins with.
GROUPS: Final = {tags.NO_MD_ENTRIES: tags.MD_ENTRY_TYPE, tags.NO_RELATED_SYM: tags.SYMBOL}
#: What an entry of a group may hold in the messages that have one (W and y end with their group).
NAMED: Final = {tags.EXEC_TYPE: enums.ExecType, tags.ORD_STATUS: enums.OrdStatus, tags.SIDE: enums.Side}
COLOURS: Final = {"Rejected": "red", "Trade": "green", "Canceled": "yellow", "Expired": "yellow"}


def words_of(family: type, value: bytes | None) -> str:
    """The FIX name of an enumerated value: `PARTIALLY_FILLED` as `Partially filled`; the value itself when
    it has none.
    """
    for name, member in vars(family).items():
        if name.isupper() and member == value:
            return name.replace("_", " ").capitalize()
    return "" if value is None else value.decode("latin-1")


def text(message: Message, tag: int) -> str:
    """Value of `tag` for the eye, empty when there is none."""
    return message.get(tag, b"").decode("utf-8", "backslashreplace")


def entries(message: Message, count_tag: int) -> Iterator[dict[int, str]]:
    """Entries of the group that ends `message` as dicts of tag to text."""
    entry: dict[int, str] | None = None
    inside = False
    for tag, value in message.fields:
        if tag == count_tag:
            inside = True
        elif inside and tag == GROUPS[count_tag]:
            if entry is not None:
                yield entry
            entry = {}
        if inside and entry is not None and tag != tags.CHECK_SUM:
            entry[tag] = value.decode("utf-8", "backslashreplace")
    if entry is not None:
        yield entry


def as_json(message: Message) -> dict[str, object]:
    """One message as a JSON object: keys are FIX field names in lower case, values text; a group is a list
    under its count field.

    `exec_type`, `ord_status` and `side` come with their names too, as `exec_type_name` and so on.
    """
    names = {value: name for name, value in vars(MsgType).items() if name.isupper()}
    result: dict[str, object] = {"message": names.get(message.msg_type, "").title().replace("_", "")}
    for tag, value in message.fields:
        if tag in GROUPS:
            result[KEYS[tag]] = [
                {KEYS.get(key, str(key)): shown for key, shown in entry.items()}
                for entry in entries(message, tag)
            ]
            break
        if tag in QUIET:
            continue
        key = KEYS.get(tag, str(tag))
        result[key] = value.decode("utf-8", "backslashreplace")
        if tag in NAMED:
            result[key + "_name"] = words_of(NAMED[tag], value)
    return result


def line(message: Message) -> Text:
    """One message as one coloured line."""
    kind = message.msg_type
    if kind == MsgType.EXECUTION_REPORT:
        return _report_line(message)
    if kind == MsgType.ORDER_CANCEL_REJECT:
        what = "replace" if text(message, tags.CXL_REJ_RESPONSE_TO) == "2" else "cancel"
        reason = f"CxlRejReason(102)={text(message, tags.CXL_REJ_REASON)} {text(message, tags.TEXT)}"
        return Text(f"{what} refused  {text(message, tags.ORIG_CL_ORD_ID)}  {reason}", style="red")
    if kind == MsgType.REJECT:
        reason = f"SessionRejectReason(373)={text(message, tags.SESSION_REJECT_REASON)}"
        where = f" tag {text(message, tags.REF_TAG_ID)}" if tags.REF_TAG_ID in message else ""
        return Text(f"message refused  {reason}{where} {text(message, tags.TEXT)}", style="red")
    if kind == MsgType.BUSINESS_MESSAGE_REJECT:
        reason = f"BusinessRejectReason(380)={text(message, tags.BUSINESS_REJECT_REASON)}"
        return Text(f"message refused  {reason} {text(message, tags.TEXT)}", style="red")
    if kind == MsgType.MARKET_DATA_REQUEST_REJECT:
        reason = f"MDReqRejReason(281)={text(message, tags.MD_REQ_REJ_REASON)}"
        return Text(f"request refused  {reason} {text(message, tags.TEXT)}", style="red")
    return Text(f"message of type {kind.decode('latin-1')}  {text(message, tags.TEXT)}")


def _report_line(report: Message) -> Text:
    what = words_of(enums.ExecType, report.get(tags.EXEC_TYPE))
    if report.get(tags.SYMBOL) == NO_SYMBOL:  # our own placeholder comes back: there is no such order
        reason = f"OrdRejReason(103)={text(report, tags.ORD_REJ_REASON)}  {text(report, tags.TEXT)}"
        return Text(f"{what:<12} {text(report, tags.CL_ORD_ID)}  {reason}", style="red")
    side = words_of(enums.Side, report.get(tags.SIDE)).lower()
    price = text(report, tags.PRICE) or "market"
    tifs = {value: name for name, value in TIF_NAMES.items()}
    tif = tifs.get(report.get(tags.TIME_IN_FORCE, b""), "")
    line = Text(f"{what:<12}", style=COLOURS.get(what, "bold"))
    order = f"{side} {text(report, tags.ORDER_QTY)} {text(report, tags.SYMBOL)} @ {price} {tif}".rstrip()
    line.append(f" {text(report, tags.CL_ORD_ID)}  {order}", style="default")
    if tags.LAST_QTY in report:
        line.append(f"  {text(report, tags.LAST_QTY)} @ {text(report, tags.LAST_PX)}", style="bold green")
    done, left = text(report, tags.CUM_QTY), text(report, tags.LEAVES_QTY)
    line.append(f"  filled {done} open {left}", style="default")
    if done not in ("", "0"):
        line.append(f" avg {text(report, tags.AVG_PX)}", style="default")
    if tags.EXEC_TYPE in report and what == "Order status":
        line.append(f"  {words_of(enums.OrdStatus, report.get(tags.ORD_STATUS))}", style="bold")
    if tags.ORD_REJ_REASON in report:
        line.append(f"  OrdRejReason(103)={text(report, tags.ORD_REJ_REASON)}", style="red")
    if tags.TEXT in report:
        line.append(f"  {text(report, tags.TEXT)}", style="red" if what == "Rejected" else "default")
    return line


def symbols_table(message: Message) -> Table:
    """A SecurityList(y)."""
    table = Table("Symbol", "Currency", "Lot", "Minimum", "Terms", title="What is traded")
    columns = (tags.SYMBOL, tags.CURRENCY, tags.ROUND_LOT, tags.MIN_TRADE_VOL, tags.TEXT)
    for entry in entries(message, tags.NO_RELATED_SYM):
        table.add_row(*(entry.get(column, "") for column in columns))
    return table


def book_table(message: Message) -> Table:
    """A snapshot (W): bids left, offers right, best first."""
    columns = ("Orders", "Bid qty", "Bid", "Offer", "Offer qty", "Orders")
    table = Table(*columns, title=text(message, tags.SYMBOL))
    for column in table.columns:
        column.justify = "right"
    rows = [entry for entry in entries(message, tags.NO_MD_ENTRIES) if entry.get(tags.MD_ENTRY_SIZE) != "0"]
    bids, offers = ([row for row in rows if row[tags.MD_ENTRY_TYPE] == side] for side in ("0", "1"))
    for place in range(max(len(bids), len(offers))):
        bid = bids[place] if place < len(bids) else {}
        offer = offers[place] if place < len(offers) else {}
        table.add_row(
            *(bid.get(tag, "") for tag in (tags.NUMBER_OF_ORDERS, tags.MD_ENTRY_SIZE, tags.MD_ENTRY_PX)),
            *(offer.get(tag, "") for tag in (tags.MD_ENTRY_PX, tags.MD_ENTRY_SIZE, tags.NUMBER_OF_ORDERS)),
        )
    for row in rows:
        if row[tags.MD_ENTRY_TYPE] == "2":
            table.caption = f"last {row.get(tags.MD_ENTRY_SIZE, '')} @ {row.get(tags.MD_ENTRY_PX, '')}"
    return table
