"""The shadow as a process: it follows a journal at idle priority, compares every byte, takes snapshots, and may become the
exchange when that is gone. What it does with a record is `exchange.shadow`; here are clock, signals, files and locks.
"""
