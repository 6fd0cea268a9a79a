"""Evaluate whole data sets, with durable results, resumption, and many processes or machines."""

from sdt_lava.evaluate.run import EvaluationOptions, evaluate
from sdt_lava.evaluate.summary import Evaluation
from sdt_lava.support.lazy import lazy

__all__ = ["Evaluation", "EvaluationOptions", "evaluate"]

__getattr__ = lazy(__name__)
