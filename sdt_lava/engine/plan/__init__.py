"""The compiled plan: fused operations on packed signals, made once per network."""
