"""The single writer: all state, no socket, no clock. Frames and times go in, journal records come out."""
