"""Spike-driven Transformers from SLAYER to Lava and Loihi 2."""
