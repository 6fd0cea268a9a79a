"""Run a torch module once and record its computation as a graph.

Start with `symbols` (values of tensors) and `axes` (meaning of their axes), followed by `mode` (the
run) and the modules of operations. `neurons` is the table of neurons.
"""
