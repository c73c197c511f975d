"""The street: sockets, TLS, signals, child processes, and the only wall clock. One thread runs all of it.

A connection is a `Greeting` until its Logon is complete and admitted, then a link of the exchange. One turn
of the loop: read the clock, read what came, let due deadlines act, commit the batch to the journal, send
what is owed, close what is done. Nothing that a stranger does allocates without a bound or is said without
the journal.
"""
