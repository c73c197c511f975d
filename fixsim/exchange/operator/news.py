"""What an operator has to say to the members: News(B)."""

from typing import TYPE_CHECKING, Any, Final

from fixsim.errors import UsageError
from fixsim.exchange.operator.asked import Arguments, member_of
from fixsim.fix import tags
from fixsim.fix.enums import MsgType

if TYPE_CHECKING:
    from fixsim.exchange.exchange import Exchange

#: Longest Headline(148) and Text(58).
TEXT_CHARS_MAX: Final = 500


def announce(exchange: "Exchange", arguments: Arguments) -> dict[str, Any]:
    """Say News(B) to one session, who gets it on its return when it is away, or to all that are logged on."""
    headline, text = (arguments.get(name) for name in ("headline", "text"))
    for name, value in (("headline", headline), ("text", text)):
        if value is None and name == "text":
            continue
        if not isinstance(value, str) or not 1 <= len(value) <= TEXT_CHARS_MAX:
            raise UsageError(f"{name} is {value!r}: a text of 1 to {TEXT_CHARS_MAX} characters")
    if arguments.get("session") is not None:
        members = [member_of(exchange, arguments)]
    else:
        members = [member for _, member in sorted(exchange.links.items()) if member.is_logged_on]
    body = (
        (tags.ORIG_TIME, exchange.tape.venue_stamp),
        (tags.HEADLINE, str(headline).encode()),
        (tags.NO_LINES_OF_TEXT, b"1"),
        (tags.TEXT, str(text or headline).encode()),
    )
    for member in members:
        exchange.make_room()
        exchange.tape.say(member.slot, MsgType.NEWS, (), body)
    return {"sessions": [member.name.decode("latin-1") for member in members]}
