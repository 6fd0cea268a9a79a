"""Lava Processes and ProcessModels of the spike-driven Transformer."""
