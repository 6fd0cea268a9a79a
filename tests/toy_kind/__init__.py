"""A kind of node that the library does not know, and all that it takes to add it."""
