"""Adapt events between the host and neuro cores."""

from sdt_lava.backends.lava.processes.adapters.process import InputAdapter, OutputAdapter

__all__ = ["InputAdapter", "OutputAdapter"]
