"""Values of the fields an exchange decides on, under their FIX names: bytes, or int where the type is int."""

from typing import Final


class MsgType:
    """MsgType(35)."""

    HEARTBEAT: Final = b"0"
    TEST_REQUEST: Final = b"1"
    RESEND_REQUEST: Final = b"2"
    REJECT: Final = b"3"
    SEQUENCE_RESET: Final = b"4"
    LOGOUT: Final = b"5"
    IOI: Final = b"6"
    ADVERTISEMENT: Final = b"7"
    EXECUTION_REPORT: Final = b"8"
    ORDER_CANCEL_REJECT: Final = b"9"
    LOGON: Final = b"A"
    NEWS: Final = b"B"
    EMAIL: Final = b"C"
    NEW_ORDER_SINGLE: Final = b"D"
    NEW_ORDER_LIST: Final = b"E"
    ORDER_CANCEL_REQUEST: Final = b"F"
    ORDER_CANCEL_REPLACE_REQUEST: Final = b"G"
    ORDER_STATUS_REQUEST: Final = b"H"
    ALLOCATION_INSTRUCTION: Final = b"J"
    LIST_CANCEL_REQUEST: Final = b"K"
    LIST_EXECUTE: Final = b"L"
    LIST_STATUS_REQUEST: Final = b"M"
    LIST_STATUS: Final = b"N"
    ALLOCATION_INSTRUCTION_ACK: Final = b"P"
    DONT_KNOW_TRADE: Final = b"Q"
    QUOTE_REQUEST: Final = b"R"
    QUOTE: Final = b"S"
    SETTLEMENT_INSTRUCTIONS: Final = b"T"
    MARKET_DATA_REQUEST: Final = b"V"
    MARKET_DATA_SNAPSHOT_FULL_REFRESH: Final = b"W"
    MARKET_DATA_INCREMENTAL_REFRESH: Final = b"X"
    MARKET_DATA_REQUEST_REJECT: Final = b"Y"
    QUOTE_CANCEL: Final = b"Z"
    QUOTE_STATUS_REQUEST: Final = b"a"
    MASS_QUOTE_ACKNOWLEDGEMENT: Final = b"b"
    SECURITY_DEFINITION_REQUEST: Final = b"c"
    SECURITY_DEFINITION: Final = b"d"
    SECURITY_STATUS_REQUEST: Final = b"e"
    SECURITY_STATUS: Final = b"f"
    TRADING_SESSION_STATUS_REQUEST: Final = b"g"
    TRADING_SESSION_STATUS: Final = b"h"
    MASS_QUOTE: Final = b"i"
    BUSINESS_MESSAGE_REJECT: Final = b"j"
    BID_REQUEST: Final = b"k"
    BID_RESPONSE: Final = b"l"
    LIST_STRIKE_PRICE: Final = b"m"
    XML_NON_FIX: Final = b"n"
    REGISTRATION_INSTRUCTIONS: Final = b"o"
    REGISTRATION_INSTRUCTIONS_RESPONSE: Final = b"p"
    ORDER_MASS_CANCEL_REQUEST: Final = b"q"
    ORDER_MASS_CANCEL_REPORT: Final = b"r"
    NEW_ORDER_CROSS: Final = b"s"
    CROSS_ORDER_CANCEL_REPLACE_REQUEST: Final = b"t"
    CROSS_ORDER_CANCEL_REQUEST: Final = b"u"
    SECURITY_TYPE_REQUEST: Final = b"v"
    SECURITY_TYPES: Final = b"w"
    SECURITY_LIST_REQUEST: Final = b"x"
    SECURITY_LIST: Final = b"y"
    DERIVATIVE_SECURITY_LIST_REQUEST: Final = b"z"
    DERIVATIVE_SECURITY_LIST: Final = b"AA"
    NEW_ORDER_MULTILEG: Final = b"AB"
    MULTILEG_ORDER_CANCEL_REPLACE: Final = b"AC"
    TRADE_CAPTURE_REPORT_REQUEST: Final = b"AD"
    TRADE_CAPTURE_REPORT: Final = b"AE"
    ORDER_MASS_STATUS_REQUEST: Final = b"AF"
    QUOTE_REQUEST_REJECT: Final = b"AG"
    RFQ_REQUEST: Final = b"AH"
    QUOTE_STATUS_REPORT: Final = b"AI"
    QUOTE_RESPONSE: Final = b"AJ"
    CONFIRMATION: Final = b"AK"
    POSITION_MAINTENANCE_REQUEST: Final = b"AL"
    POSITION_MAINTENANCE_REPORT: Final = b"AM"
    REQUEST_FOR_POSITIONS: Final = b"AN"
    REQUEST_FOR_POSITIONS_ACK: Final = b"AO"
    POSITION_REPORT: Final = b"AP"
    TRADE_CAPTURE_REPORT_REQUEST_ACK: Final = b"AQ"
    TRADE_CAPTURE_REPORT_ACK: Final = b"AR"
    ALLOCATION_REPORT: Final = b"AS"
    ALLOCATION_REPORT_ACK: Final = b"AT"
    CONFIRMATION_ACK: Final = b"AU"
    SETTLEMENT_INSTRUCTION_REQUEST: Final = b"AV"
    ASSIGNMENT_REPORT: Final = b"AW"
    COLLATERAL_REQUEST: Final = b"AX"
    COLLATERAL_ASSIGNMENT: Final = b"AY"
    COLLATERAL_RESPONSE: Final = b"AZ"
    COLLATERAL_REPORT: Final = b"BA"
    COLLATERAL_INQUIRY: Final = b"BB"
    NETWORK_COUNTERPARTY_SYSTEM_STATUS_REQUEST: Final = b"BC"
    NETWORK_COUNTERPARTY_SYSTEM_STATUS_RESPONSE: Final = b"BD"
    USER_REQUEST: Final = b"BE"
    USER_RESPONSE: Final = b"BF"
    COLLATERAL_INQUIRY_ACK: Final = b"BG"
    CONFIRMATION_REQUEST: Final = b"BH"


class ExecType:
    """ExecType(150)."""

    NEW: Final = b"0"
    DONE_FOR_DAY: Final = b"3"
    CANCELED: Final = b"4"
    REPLACED: Final = b"5"
    PENDING_CANCEL: Final = b"6"
    STOPPED: Final = b"7"
    REJECTED: Final = b"8"
    SUSPENDED: Final = b"9"
    PENDING_NEW: Final = b"A"
    CALCULATED: Final = b"B"
    EXPIRED: Final = b"C"
    RESTATED: Final = b"D"
    PENDING_REPLACE: Final = b"E"
    TRADE: Final = b"F"
    TRADE_CORRECT: Final = b"G"
    TRADE_CANCEL: Final = b"H"
    ORDER_STATUS: Final = b"I"


class OrdStatus:
    """OrdStatus(39)."""

    NEW: Final = b"0"
    PARTIALLY_FILLED: Final = b"1"
    FILLED: Final = b"2"
    DONE_FOR_DAY: Final = b"3"
    CANCELED: Final = b"4"
    PENDING_CANCEL: Final = b"6"
    STOPPED: Final = b"7"
    REJECTED: Final = b"8"
    SUSPENDED: Final = b"9"
    PENDING_NEW: Final = b"A"
    CALCULATED: Final = b"B"
    EXPIRED: Final = b"C"
    ACCEPTED_FOR_BIDDING: Final = b"D"
    PENDING_REPLACE: Final = b"E"


class Side:
    """Side(54)."""

    BUY: Final = b"1"
    SELL: Final = b"2"
    BUY_MINUS: Final = b"3"
    SELL_PLUS: Final = b"4"
    SELL_SHORT: Final = b"5"
    SELL_SHORT_EXEMPT: Final = b"6"
    UNDISCLOSED: Final = b"7"
    CROSS: Final = b"8"
    CROSS_SHORT: Final = b"9"
    CROSS_SHORT_EXEMPT: Final = b"A"
    AS_DEFINED: Final = b"B"
    OPPOSITE: Final = b"C"
    SUBSCRIBE: Final = b"D"
    REDEEM: Final = b"E"
    LEND: Final = b"F"
    BORROW: Final = b"G"


class OrdType:
    """OrdType(40)."""

    MARKET: Final = b"1"
    LIMIT: Final = b"2"
    STOP: Final = b"3"
    STOP_LIMIT: Final = b"4"
    WITH_OR_WITHOUT: Final = b"6"
    LIMIT_OR_BETTER: Final = b"7"
    LIMIT_WITH_OR_WITHOUT: Final = b"8"
    ON_BASIS: Final = b"9"
    PREVIOUSLY_QUOTED: Final = b"D"
    PREVIOUSLY_INDICATED: Final = b"E"
    FOREX_SWAP: Final = b"G"
    FUNARI: Final = b"I"
    MARKET_IF_TOUCHED: Final = b"J"
    MARKET_WITH_LEFT_OVER_AS_LIMIT: Final = b"K"
    PREVIOUS_FUND_VALUATION_POINT: Final = b"L"
    NEXT_FUND_VALUATION_POINT: Final = b"M"
    PEGGED: Final = b"P"


class TimeInForce:
    """TimeInForce(59)."""

    DAY: Final = b"0"
    GOOD_TILL_CANCEL: Final = b"1"
    AT_THE_OPENING: Final = b"2"
    IMMEDIATE_OR_CANCEL: Final = b"3"
    FILL_OR_KILL: Final = b"4"
    GOOD_TILL_CROSSING: Final = b"5"
    GOOD_TILL_DATE: Final = b"6"
    AT_THE_CLOSE: Final = b"7"


class SessionRejectReason:
    """SessionRejectReason(373)."""

    INVALID_TAG_NUMBER: Final = 0
    REQUIRED_TAG_MISSING: Final = 1
    TAG_NOT_DEFINED_FOR_THIS_MESSAGE_TYPE: Final = 2
    UNDEFINED_TAG: Final = 3
    TAG_SPECIFIED_WITHOUT_A_VALUE: Final = 4
    VALUE_IS_INCORRECT: Final = 5
    INCORRECT_DATA_FORMAT_FOR_VALUE: Final = 6
    DECRYPTION_PROBLEM: Final = 7
    SIGNATURE_PROBLEM: Final = 8
    COMP_ID_PROBLEM: Final = 9
    SENDING_TIME_ACCURACY_PROBLEM: Final = 10
    INVALID_MSG_TYPE: Final = 11
    XML_VALIDATION_ERROR: Final = 12
    TAG_APPEARS_MORE_THAN_ONCE: Final = 13
    TAG_SPECIFIED_OUT_OF_REQUIRED_ORDER: Final = 14
    REPEATING_GROUP_FIELDS_OUT_OF_ORDER: Final = 15
    INCORRECT_NUM_IN_GROUP_COUNT_FOR_REPEATING_GROUP: Final = 16
    NON_DATA_VALUE_INCLUDES_FIELD_DELIMITER: Final = 17
    OTHER: Final = 99


class BusinessRejectReason:
    """BusinessRejectReason(380)."""

    OTHER: Final = 0
    UNKNOWN_ID: Final = 1
    UNKNOWN_SECURITY: Final = 2
    UNSUPPORTED_MESSAGE_TYPE: Final = 3
    APPLICATION_NOT_AVAILABLE: Final = 4
    CONDITIONALLY_REQUIRED_FIELD_MISSING: Final = 5
    NOT_AUTHORIZED: Final = 6
    DELIVER_TO_FIRM_NOT_AVAILABLE_AT_THIS_TIME: Final = 7


class OrdRejReason:
    """OrdRejReason(103)."""

    BROKER_EXCHANGE_OPTION: Final = 0
    UNKNOWN_SYMBOL: Final = 1
    EXCHANGE_CLOSED: Final = 2
    ORDER_EXCEEDS_LIMIT: Final = 3
    TOO_LATE_TO_ENTER: Final = 4
    UNKNOWN_ORDER: Final = 5
    DUPLICATE_ORDER: Final = 6
    DUPLICATE_OF_A_VERBALLY_COMMUNICATED_ORDER: Final = 7
    STALE_ORDER: Final = 8
    TRADE_ALONG_REQUIRED: Final = 9
    INVALID_INVESTOR_ID: Final = 10
    UNSUPPORTED_ORDER_CHARACTERISTIC: Final = 11
    SURVEILLANCE_OPTION: Final = 12
    INCORRECT_QUANTITY: Final = 13
    INCORRECT_ALLOCATED_QUANTITY: Final = 14
    UNKNOWN_ACCOUNT: Final = 15
    OTHER: Final = 99


class CxlRejReason:
    """CxlRejReason(102)."""

    TOO_LATE_TO_CANCEL: Final = 0
    UNKNOWN_ORDER: Final = 1
    BROKER_EXCHANGE_OPTION: Final = 2
    ORDER_ALREADY_IN_PENDING_STATUS: Final = 3
    UNABLE_TO_PROCESS_ORDER_MASS_CANCEL_REQUEST: Final = 4
    ORIG_ORD_MOD_TIME: Final = 5
    DUPLICATE_CL_ORD_ID: Final = 6
    OTHER: Final = 99
