"""Random networks run in every way that there is, between guards, against the reference."""
