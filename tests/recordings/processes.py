"""Random parameters and messages for Lava's standard processes: what is recorded of them.

Drawn with NumPy alone. The names of the parameters are Lava's.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.recordings.store import Case, Cases

SEED = 20_260_513
_NEURONS, _STEPS = 40, 20
# Activations that are ordinary, that fill the 24 bits of u, and the 32 bits of a message.
_SCALES = {"small": 300, "large": 2**17, "beyond u": 2**17 + 5, "beyond 32 bits": 2**31 - 1}


def _lif_fields(rng: np.random.Generator, extreme: bool) -> Case:
    def draw(low: int, high: int, ends: list[int]) -> np.ndarray:
        return rng.choice(ends, _NEURONS) if extreme else rng.integers(low, high, _NEURONS)

    return {
        "du": draw(0, 4096, [0, 1, 2047, 4094, 4095]),
        "dv": draw(0, 4097, [0, 1, 2048, 4095, 4096]),
        "vth": draw(0, 900, [0, 1, 2**16, 2**17 - 1]),
        "bias_mant": draw(-300, 300, [-4096, -1, 0, 1, 4095]),
        "bias_exp": np.array(7 if extreme else 6),
    }


def _activations(rng: np.random.Generator, scale: int, steps: int = _STEPS) -> np.ndarray:
    values = rng.integers(-scale, scale, (steps, _NEURONS), endpoint=True)
    # The ends themselves, and silence.
    values[:, 0], values[:, 1], values[:, 2] = scale, -scale, 0
    return values


def lif(rng: np.random.Generator) -> Cases:
    """Leaks, thresholds and biases of every neuron of its own; activations of every size."""
    return {
        f"{scale}{', extreme parameters' * extreme}": {
            **_lif_fields(rng, extreme),
            "received": _activations(rng, _SCALES[scale]),
        }
        for scale in _SCALES
        for extreme in (False, True)
    }


def lif_reset(rng: np.random.Generator) -> Cases:
    """Resets at the beginning, in the middle and at the end of an interval."""
    return {
        f"interval {interval}, offset {offset}": {
            **_lif_fields(rng, extreme),
            "reset_interval": np.array(interval),
            "reset_offset": np.array(offset),
            "received": _activations(rng, 400),
        }
        for interval, offset, extreme in ((5, 1, False), (4, 3, False), (6, 0, True), (1, 0, False))
    }


_WEIGHTS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]] = {
    "both signs": lambda rng, shape: 2 * rng.integers(-128, 128, shape),
    "excitatory": lambda rng, shape: rng.integers(0, 256, shape),
    "inhibitory": lambda rng, shape: rng.integers(-255, 1, shape),
}
# Name, kind of weights, exponent, message bits, largest payload.
_SYNAPSES = (
    ("spikes", "both signs", 0, 0, 1),
    ("spikes, one-signed", "excitatory", 3, 0, 1),
    ("spikes, divided", "both signs", -4, 0, 1),
    ("payloads", "both signs", 0, 24, 1000),
    ("payloads, inhibitory", "inhibitory", 0, 24, 2**20),
    ("payloads, divided", "both signs", -5, 24, 300),
    ("payloads beyond 32 bits", "excitatory", 2, 24, 2**23 - 1),
    ("divided beyond 32 bits", "both signs", -8, 24, 2**23 - 1),
)


def _messages(
    rng: np.random.Generator, bits: int, largest: int, shape: tuple[int, ...], steps: int = 12
) -> np.ndarray:
    if not bits:
        return (rng.random((steps, *shape)) < 0.4).astype(int)
    values = rng.integers(-largest, largest, (steps, *shape), endpoint=True)
    values = values * (rng.random(values.shape) < 0.6)
    values[1], values[2] = largest, -largest
    return values


def _synapses(rng: np.random.Generator, density: float = 1.0, delays: bool = False) -> Cases:
    cases = {}
    for name, kind, exponent, bits, largest in _SYNAPSES:
        shape = (int(rng.integers(3, 9)), int(rng.integers(5, 12)))
        weights = _WEIGHTS[kind](rng, shape)
        weights = weights * (rng.random(shape) < density)
        # Weights of one sign are cut otherwise; both remain.
        weights.flat[:2] = (-2, 2) if kind == "both signs" else np.sign(weights.sum())
        cases[name] = {
            "weights": weights,
            "weight_exp": np.array(exponent),
            "num_message_bits": np.array(bits),
            "received": _messages(rng, bits, largest, shape[1:]),
        }
        if delays:
            # One for all, as our compiler asks for, or each synapse its own, as netx does.
            alike = len(cases) % 2
            own = rng.integers(0, 5, shape)
            cases[name]["delays"] = np.array(len(cases)) if alike else own
    return cases


def dense(rng: np.random.Generator) -> Cases:
    """Spikes and payloads, every kind of weights, exponents, sums beyond 32 bits."""
    return _synapses(rng)


def sparse(rng: np.random.Generator) -> Cases:
    """As `dense`, with zeros between."""
    return _synapses(rng, density=0.3)


def delay_dense(rng: np.random.Generator) -> Cases:
    """As `dense`, with delays."""
    return _synapses(rng, delays=True)


def delay_sparse(rng: np.random.Generator) -> Cases:
    """As `sparse`, with delays."""
    return _synapses(rng, density=0.4, delays=True)


# Name, channels in and out, groups, kernel, stride, padding, dilation, bits, largest payload.
_CONVS = (
    ("spikes", 2, 3, 1, (3, 3), (1, 1), (1, 1), (1, 1), 0, 1),
    ("strides", 3, 2, 1, (3, 2), (2, 1), (0, 1), (1, 1), 0, 1),
    ("dilations", 1, 4, 1, (2, 2), (1, 2), (2, 1), (2, 3), 0, 1),
    ("groups", 4, 4, 2, (3, 1), (1, 1), (1, 0), (1, 1), 0, 1),
    ("channel by channel", 3, 3, 3, (2, 2), (2, 2), (0, 0), (1, 1), 24, 200),
    ("payloads", 2, 3, 1, (3, 3), (1, 1), (1, 1), (1, 1), 24, 2000),
    ("beyond 24 bits", 2, 2, 1, (3, 3), (1, 1), (1, 1), (1, 1), 24, 60_000),
    ("beyond 32 bits", 2, 2, 1, (2, 3), (1, 2), (0, 2), (1, 1), 24, 2**23 - 1),
)


def conv(rng: np.random.Generator) -> Cases:
    """Windows of every kind; sums beyond 24 bits wrap, also beyond 32."""
    cases = {}
    for name, entering, leaving, groups, kernel, stride, padding, dilation, bits, most in _CONVS:
        shape = (int(rng.integers(6, 9)), int(rng.integers(5, 8)), entering)  # (X, Y, C)
        weight = 2 * rng.integers(-128, 128, (leaving, *kernel, entering // groups))
        cases[name] = {
            "weight": weight,
            "stride": np.array(stride),
            "padding": np.array(padding),
            "dilation": np.array(dilation),
            "groups": np.array(groups),
            "num_message_bits": np.array(bits),
            "received": _messages(rng, bits, most, shape, steps=6),
        }
    return cases


def graded(rng: np.random.Generator) -> Cases:
    """Payloads as they come, and those above a threshold."""
    return {
        f"threshold {threshold}, up to {scale}": {
            "vth": np.array(threshold),
            "received": _activations(rng, scale, steps=8),
        }
        for threshold, scale in ((0, 3), (0, 2**23 - 1), (1, 3), (50, 120))
    }


# Name, threshold, exponents of messages and states, largest change.
_CHANGES = (
    ("small", 2, 6, 6, 300),
    ("other exponents", 5, 0, 3, 500),
    ("no threshold", 0, 6, 6, 40),
    ("beyond 24 bits", 20, 6, 6, 40_000),
)


def delta(rng: np.random.Generator) -> Cases:
    """Encoders of values that change."""
    return {
        name: {**_encoding(*fields), "received": _activations(rng, largest)}
        for name, *fields, largest in _CHANGES
    }


def sigma_delta(rng: np.random.Generator) -> Cases:
    """Neurons that add up changes and send theirs; messages up to those that wrap at 32 bits."""
    return {
        f"{name}{', rectified' * rectified}": {
            "bias": rng.integers(-100, 100, _NEURONS),
            "rectified": np.array(rectified),
            **_encoding(*fields),
            "received": _activations(rng, largest << 10),
        }
        for name, *fields, largest in _CHANGES
        for rectified in (False, True)
    }


def _encoding(threshold: int, spikes: int, states: int) -> Case:
    return {
        "vth": np.array(threshold),
        "spike_exp": np.array(spikes),
        "state_exp": np.array(states),
    }


def sigma(rng: np.random.Generator) -> Cases:
    """Decoders, up to sums that wrap at 32 bits."""
    return {name: {"received": _activations(rng, scale)} for name, scale in _SCALES.items()}


def ring_buffers(rng: np.random.Generator) -> Cases:
    """Data that is played once, in part, and again from its beginning."""
    return {
        name: {"steps": np.array(steps), "received": rng.integers(-(2**31), 2**31, (8, 5))}
        for name, steps in (("once", 8), ("in part", 5), ("again", 19))
    }


SUBJECTS: dict[str, Callable[[np.random.Generator], Cases]] = {
    "lif": lif,
    "lif-reset": lif_reset,
    "dense": dense,
    "sparse": sparse,
    "delay-dense": delay_dense,
    "delay-sparse": delay_sparse,
    "conv": conv,
    "graded": graded,
    "delta": delta,
    "sigma-delta": sigma_delta,
    "sigma": sigma,
    "ring-buffers": ring_buffers,
}


def draw(subject: str) -> Cases:
    """Return the parameters and messages of a subject's cases, the same each time."""
    place = list(SUBJECTS).index(subject)
    return SUBJECTS[subject](np.random.default_rng((SEED, place)))


def record(subject: str, executor: str = "processes") -> Cases:
    """Return the cases with what Lava makes of them."""
    from tests.recordings.lava_process import run

    return {name: {**case, **run(subject, case, executor)} for name, case in draw(subject).items()}
