"""Console: a reader that shows people and their tools what the exchange is doing, over HTTP on this machine.

It reads the pages of counters, the journal and the list of processes. It asks the exchange nothing and may be killed at any
time.
"""
