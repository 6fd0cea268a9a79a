"""Compiled functions of the engine and of Lava's ProcessModels."""
