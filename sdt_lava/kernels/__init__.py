"""What the compiled functions of the engine and of Lava's ProcessModels are written with."""
