"""The language: bytes to fields and back, and what the FIX 4.4 dictionary says about them."""
