"""Back ends that run the integer graph: reference, engine and Lava."""
