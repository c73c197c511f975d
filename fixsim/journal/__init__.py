"""The memory: one family of append-only files that is audit trail, resend store, send buffer and replay tape
at once.

Rules of the room: the layout comes from `fixsim.layout` and nowhere else; what a reader accepts is exactly
what the writer promises (whole sealed batches, each chained to the one before); damage is named by its
position and never repaired by guessing.

    record      the 64-byte header and the payloads behind it
    disk        the operating system as the writer sees it: a port, so that tests can break it
    archive     a segment compressed, and read again
    segments    the files of a journal, plain or archived, for reading
    writer      batches, sealed and appended
    reader      sealed batches and single records; where the sealed journal ends
    damage      what lies behind the last good batch: nothing, a torn tail, or rot
    outbox      what each connection is still owed, as positions
    resend      the frames a RESEND record stands for
"""
