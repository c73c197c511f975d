"""What the exchange costs: `fixsim bench`.

    flow     orders and cancels made beforehand, with a naive book that says what must be answered
    frames   the same as FIX, rendered into one buffer before a clock starts
    load     the client: compiled, any number of connections, keeps every report and checks it afterwards
    canned   an acceptor that knows nothing and answers at once: the floor under every wire figure
    kernels  the one file that calls the kernels of the exchange, alone and in a row

The parts (wire, book, codec, journal, shipping, recovery) each stand beside their empty baseline.
"""
