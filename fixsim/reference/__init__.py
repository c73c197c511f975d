"""The oracle: a second exchange in plain Python, built from the rules of engagement, to judge the first.

It shares no code with what it judges: decimals instead of ticks, `sortedcontainers` instead of ladders,
`simplefix` instead of our codec. Read `exchange.py` for who is answered what, `book.py` for price-time
priority, `check.py` for what must hold of any exchange's reports.
"""
