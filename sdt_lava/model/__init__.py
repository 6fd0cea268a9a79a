"""The float model: torch modules built from SLAYER synapses and CUBA neurons."""
