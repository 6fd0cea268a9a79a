"""The tracer: a torch module runs once, and what it computes is written down as a graph.

Read `symbols` (what a tensor stands for) and `axes` (which part of it each axis is) first, then
`mode` (the run) and the files of operations. `neurons` is the table of neurons.
"""
