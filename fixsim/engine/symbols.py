"""Instruments by Symbol(55): open addressing, nothing is ever taken out."""

import numpy as np

from fixsim.engine.index import same_bytes, text_hash
from fixsim.engine.jit import kernel
from fixsim.layout import NIL


@kernel
def find_book(m, text, begin, length):
    """BOOK row of a symbol, NIL if there is none."""
    mask = m.book_index.size - 1
    at = text_hash(0, text, begin, length) & mask
    while m.book_index[at] != 0:
        book = np.int64(m.book_index[at] - 1)
        if np.int64(m.books[book]["symbol_length"]) == length:
            if same_bytes(m.books[book]["symbol"], 0, text, begin, length):
                return book
        at = (at + 1) & mask
    return np.int64(NIL)


@kernel
def index_book(m, book):
    """Enter BOOK row `book`, whose symbol is written and new."""
    row = m.books[book]
    mask = m.book_index.size - 1
    at = text_hash(0, row["symbol"], 0, np.int64(row["symbol_length"])) & mask
    while m.book_index[at] != 0:
        at = (at + 1) & mask
    m.book_index[at] = book + 1
