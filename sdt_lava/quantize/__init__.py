"""From a float graph to the integer graph: folding, bias gathering, scales, rounding, proofs."""
