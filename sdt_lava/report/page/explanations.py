"""Explain each number of the report with its formula and source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Explanation(NamedTuple):
    """Formula of a number, and the source of the formula or its inputs."""

    formula: str
    source: str


EXPLANATIONS: Mapping[str, Explanation] = {
    "accuracy": Explanation(
        "samples whose largest logit is at their label / samples; the lowest class wins a tie",
        "this run; integer logits, summed over T",
    ),
    "confusion": Explanation(
        "number of samples of a true class (row) that were given a class (column)", "this run"
    ),
    "synops": Explanation(
        "sum over events of the synapses that each one crossed / samples",
        "this run: recorded spikes and the fan-out of every neuron, image borders included",
    ),
    "layer_synops": Explanation(
        "sum over events of the synapses that each one crossed: of the events that a layer sends, "
        "wherever they arrive, and of those that arrive in it; both columns have the same total",
        "this run: recorded spikes and the fan-out of every neuron, image borders included",
    ),
    "rate": Explanation("spikes / (neurons · T · samples)", "this run"),
    "events": Explanation(
        "spikes, or graded messages whose payload is not 0, of the whole run", "this run"
    ),
    "fan_out": Explanation(
        "synapses that leave the population / its neurons; a synapse of weight 0 counts",
        "the compiled network",
    ),
    "updates": Explanation(
        "neurons · T · samples; active are those that fire in the step", "this run"
    ),
    "per_sample": Explanation(
        "mean and standard deviation over the samples of the sum over T", "this run"
    ),
    "energy": Explanation(
        "sum over operations of count · cost of one operation / samples",
        "exact counts of this run, costs of the named table",
    ),
    "formula": Explanation(
        "T · R · FLOPs; R is the measured firing rate of what the layer reads, FLOPs is "
        "k² · h · w · c_in · c_out of a convolution and i · o of a linear layer",
        "Yao et al., Spike-driven Transformer, NeurIPS 2023",
    ),
    "exact": Explanation(
        "sum over events of the synapses that each one crossed / samples", "this run"
    ),
    "dense": Explanation(
        "multiply-accumulates of the same layers in one dense pass, taps outside the image "
        "included, and of softmax attention, 2 N² D + 3 N² a block",
        "Yao et al., NeurIPS 2023; Vaswani et al., NeurIPS 2017",
    ),
    "membrane": Explanation(
        "v / 64 before the reset, in units of the threshold's mantissa",
        "this run, the integer neuron of lava.proc.lif",
    ),
    "raster": Explanation(
        "a row a neuron (spread evenly over the layer), a column a step, samples side by side",
        "this run",
    ),
    "attention": Explanation(
        "share of channels whose query passes the mask, q · LIF(Σ k · v), summed over T, at each "
        "token; brighter is more",
        "this run; compare figure 3 of Yao et al., NeurIPS 2023",
    ),
    "differences": Explanation(
        "spike decisions (neurons · T · samples) that differ from the first back end's", "this run"
    ),
    "core_map": Explanation(
        "populations divided over cores under the target's limits",
        "the target's description, which names a source for every limit",
    ),
    "by_core": Explanation(
        "events of this run that reach a synapse of the core, or leave it for another core; the "
        "largest value of any core / steps",
        "exact counts of this run on the core map",
    ),
    "runtime": Explanation(
        "max over terms of base + coefficient · count, with the counts of the core that has most, "
        "mean over steps: a lower bound, as a mean of maxima is never less than the maximum of "
        "means",
        "form: Timcheck et al., arXiv 2601.10035; coefficients: your file",
    ),
    "seconds": Explanation("wall-clock time of the simulation on this computer", "this run"),
}
