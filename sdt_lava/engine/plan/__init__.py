"""Compile networks to plans of fused operations on packed signals, once per network."""
