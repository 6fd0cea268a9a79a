"""Adapters of the stand-in."""

from tests.fake_loihi.adapters.process import NxToPyAdapter, PyToN3ConvAdapter, PyToNxAdapter

ALL = (NxToPyAdapter, PyToN3ConvAdapter, PyToNxAdapter)
