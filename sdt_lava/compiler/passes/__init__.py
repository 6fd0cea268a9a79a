"""Compiler passes, one per file: each returns a graph that computes the same spikes."""
