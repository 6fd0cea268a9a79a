"""Define Lava Processes and ProcessModels for compiled networks."""
