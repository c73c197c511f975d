"""Audit: the journal's readers that may be late but may not lose: PostgreSQL, the shipper, and the
questions people ask.
"""
