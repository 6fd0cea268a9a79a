"""Counts, tables and figures of what a network did."""
