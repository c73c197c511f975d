"""Random numbers that are state: whoever carries out the same journal draws the same ones."""

MASK = (1 << 64) - 1


def drawn(state: int) -> tuple[int, int]:
    """The next number of 64 bits, and the state behind it (SplitMix64: Steele, Lea and Flood, OOPSLA 2014)."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    number = state
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31), state
