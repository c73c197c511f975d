"""Feed: what the exchange shows to readers that may be late and may lose: pages of counters that are mapped into memory.

A writer adds to a page with plain stores; a reader looks when it likes, costs the writer nothing, and cannot stop it.
"""
