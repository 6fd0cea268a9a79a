"""One graph for every structure: loops, pools, layers and neurons."""

from __future__ import annotations

import nir
import numpy as np

from tests.importers.nir.structures import (
    DT,
    chain,
    conv,
    cuba,
    ends,
    fire,
    graph,
    inner_loop,
    lif,
    pool,
    source,
    vector,
    whole,
)


def loops(rng):
    back, w = whole(rng, 4, 4, low=-40, high=30), whole(rng, 4, 6)
    bias = whole(rng, 4, low=-8, high=9)
    flat = ["input w lif back lif output"]
    wrapped = inner_loop(lif(4), nir.Linear(back), 4)
    twice = graph(
        ["input part output"],
        input=source(4), part=wrapped, output=nir.Output(np.array([4])),
    )  # fmt: skip
    yield "current", graph(flat, **ends(6, 4), w=nir.Linear(w), lif=cuba(4), back=nir.Linear(back))
    yield "membrane", graph(flat, **ends(6, 4), w=nir.Linear(w), lif=lif(4), back=nir.Linear(back))
    yield (
        "integrator",
        graph(flat, **ends(6, 4), w=nir.Linear(w), lif=fire(4), back=nir.Linear(back)),
    )
    yield (
        "biased",
        graph(flat, **ends(6, 4), w=nir.Linear(w), lif=lif(4), back=nir.Affine(back, bias)),
    )
    yield (
        "biased before a current",
        graph(flat, **ends(6, 4), w=nir.Affine(w, bias), lif=cuba(4), back=nir.Affine(back, bias)),
    )
    yield "of two matrices", graph(
        ["input w lif one two lif output"], **ends(6, 4), w=nir.Linear(w), lif=lif(4),
        one=nir.Linear(np.eye(4)[::-1].copy()), two=nir.Linear(back),
    )  # fmt: skip
    yield (
        "to itself",
        graph(["input w lif output", "lif lif"], **ends(6, 4), w=nir.Linear(w), lif=lif(4)),
    )
    yield "inside", graph(
        ["input w part end last output"], **ends(6, 3), w=nir.Linear(w),
        part=inner_loop(cuba(4), nir.Linear(back), 4), end=nir.Linear(whole(rng, 3, 4)),
        last=lif(3),
    )  # fmt: skip
    yield (
        "inside of inside",
        graph(["input w part output"], **ends(6, 4), w=nir.Linear(w), part=twice),
    )
    image = conv(rng, 2, 2, 4)
    image.weight -= 0.25
    yield "of images", graph(
        ["input w lif back lif output"], input=source(2, 4, 4), w=conv(rng, 2, 2, 4),
        lif=lif(2, 4, 4), back=image, output=nir.Output(np.array([2, 4, 4])),
    )  # fmt: skip
    yield "own parameters", graph(
        flat, **ends(6, 4), w=nir.Linear(w), back=nir.Linear(back),
        lif=cuba(4, tau_syn=DT * np.array([1, 2, 4, 1]), w_in=np.array([1.0, 2, 4, 1])),
    )  # fmt: skip


def pools(rng):
    for kind in (nir.SumPool2d, nir.AvgPool2d):
        for name, sides in {
            "side by side": ((2, 2), (2, 2)), "apart": ((1, 2), (2, 3)), "scalar": (2, 2),
            "over": ((2, 2), (1, 1), (1, 1)),
        }.items():  # fmt: skip
            layer = pool(kind, *sides)
            after = conv(rng, 3, 4, 4, padding=0)
            after.weight = rng.integers(-5, 7, after.weight.shape) / 8
            image = conv(rng, 2, 3, 8)
            shape = window_shape(layer, (3, 8, 8))
            out = (4, shape[1] - 2, shape[2] - 2)
            yield (
                f"{kind.__name__} {name}",
                chain(source(2, 8, 8), image, fire(3, 8, 8), layer, after, fire(*out)),
            )
            yield (
                f"{kind.__name__} {name} on the input",
                chain(source(3, 8, 8), layer, fire(*shape, threshold=0.5)),
            )
            flat = int(np.prod(shape))
            low = -40 if kind is nir.SumPool2d else -20
            yield f"{kind.__name__} {name} before a matrix", chain(
                source(2, 8, 8), image, fire(3, 8, 8), layer, nir.Flatten(np.array(shape), 0, -1),
                nir.Linear(whole(rng, 3, flat, low=low, high=42)), fire(3),
            )  # fmt: skip
    yield (
        "behind a convolution",
        chain(
            source(2, 6, 6), conv(rng, 2, 4, 6), pool(nir.AvgPool2d, (2, 2), (2, 2)), fire(4, 3, 3)
        ),
    )
    yield (
        "padded behind a pool",
        chain(
            source(2, 8, 8), pool(nir.SumPool2d, (2, 2), (2, 2)), conv(rng, 2, 3, 4), fire(3, 4, 4)
        ),
    )
    yield (
        "padded behind a pool that leaves a row",
        chain(
            source(2, 7, 7), pool(nir.SumPool2d, (2, 2), (2, 2)), conv(rng, 2, 3, 3), fire(3, 3, 3)
        ),
    )


def window_shape(layer, shape):
    kernel, stride, padding = (
        np.broadcast_to(sides, 2) for sides in (layer.kernel_size, layer.stride, layer.padding)
    )
    return (shape[0], *((np.array(shape[1:]) + 2 * padding - kernel) // stride + 1).tolist())


def layers(rng):
    w, v = whole(rng, 5, 6), np.eye(4, 5) + np.eye(4, 5, 1)
    yield "matrices", vector(nir.Linear(w), nir.Linear(v), fire(4))
    yield (
        "matrices with biases",
        vector(nir.Affine(w, whole(rng, 5) / 4), nir.Affine(v, -whole(rng, 4) / 4), lif(4)),
    )
    yield "a scale", vector(nir.Scale(np.array([1, 2, 0.5, 1, 0, 2])), nir.Linear(w), fire(5))
    yield "a scale of one number", vector(nir.Linear(w), nir.Scale(np.array([2.0])), fire(5))
    few = conv(rng, 2, 3, 5)
    few.weight = rng.integers(-12, 20, few.weight.shape) / 32
    yield "a scale of channels", chain(
        source(2, 5, 5), few, nir.Scale(np.array([1.0, 2, 0.5])[:, None, None]),
        fire(3, 5, 5),
    )  # fmt: skip
    yield "a scale of positions", chain(
        source(2, 3, 3), nir.Scale(np.arange(18.0).reshape(2, 3, 3) % 3), conv(rng, 2, 2, 3),
        fire(2, 3, 3, threshold=2.0),
    )  # fmt: skip
    few = conv(rng, 1, 2, 4)
    few.weight = rng.integers(-5, 9, few.weight.shape) / 8
    yield "padded convolutions in a row", chain(
        source(1, 4, 4), few, nir.Conv2d(
            (4, 4), np.ones((2, 1, 3, 3)), 1, 1, 1, 2, np.zeros(2)
        ), fire(2, 4, 4, threshold=4.0),
    )  # fmt: skip
    yield "convolutions with strides, dilation and groups", chain(
        source(2, 12, 11),
        conv(rng, 2, 4, 12, kernel=(2, 3), stride=(2, 1), padding=0, dilation=(2, 1), groups=2),
        nir.Conv2d((5, 9), np.ones((2, 2, 2, 2)), (1, 2), 0, (2, 1), 2, np.zeros(2)),
        fire(2, 3, 4, threshold=4.0),
    )  # fmt: skip
    yield (
        "a bias of convolutions",
        chain(source(2, 5, 5), conv(rng, 2, 3, 5, bias=np.array([0.25, -0.25, 0.5])), lif(3, 5, 5)),
    )
    yield "a bias that a border cuts", chain(
        source(1, 3, 3), conv(rng, 1, 2, 3, bias=np.array([0.25, 0.125])),
        nir.Conv2d((3, 3), np.ones((2, 1, 3, 3)), 1, 1, 1, 2, np.zeros(2)), fire(2, 3, 3),
    )  # fmt: skip
    yield "rows", chain(
        source(2, 16),
        nir.Conv1d(16, whole(rng, 4, 2, 3), 2, 1, 1, 1, np.array([0.0, 0.25, 0, 0])), fire(4, 8),
        nir.Flatten(np.array([4, 8]), 0, -1), nir.Linear(whole(rng, 3, 32)), fire(3),
    )  # fmt: skip
    yield (
        "an image without the flatten",
        chain(
            source(2, 4, 4),
            conv(rng, 2, 2, 4),
            fire(2, 4, 4),
            nir.Linear(whole(rng, 3, 32)),
            fire(3),
        ),
    )
    yield "some axes and then all", chain(
        source(2, 3, 3), nir.Flatten(np.array([2, 3, 3]), 1, -1), nir.Linear(whole(rng, 3, 18)),
        fire(3),
    )  # fmt: skip
    yield "a flattened image in neurons", chain(
        source(2, 4, 4), conv(rng, 2, 2, 4), nir.Flatten(np.array([2, 4, 4]), 0, -1), fire(32),
        nir.Linear(whole(rng, 3, 32)), fire(3),
    )  # fmt: skip
    yield "two branches of a sum", graph(
        ["input a lif output", "input b lif"], **ends(6, 4), a=nir.Linear(whole(rng, 4, 6)),
        b=nir.Affine(whole(rng, 4, 6), whole(rng, 4) / 4), lif=lif(4),
    )  # fmt: skip
    yield "a sum before a layer", graph(
        ["input a sum lif output", "input sum"], **ends(4, 4), a=nir.Linear(np.eye(4)[::-1].copy()),
        sum=nir.Linear(whole(rng, 4, 4)), lif=fire(4),
    )  # fmt: skip
    yield "a current with two readers", graph(
        ["input a one b three output", "a two c three"], **ends(6, 3),
        a=nir.Linear(whole(rng, 4, 6)), one=fire(4), two=lif(4), b=nir.Linear(whole(rng, 3, 4)),
        c=nir.Linear(whole(rng, 3, 4)), three=fire(3),
    )  # fmt: skip


def neurons(rng):
    w = whole(rng, 5, 6)
    taus = DT * np.array([1, 2, 4, 2, 1])
    rs = taus / DT
    yield "own membranes", vector(nir.Linear(w), lif(5, tau=taus, r=rs))
    yield "own thresholds", vector(nir.Linear(w), lif(5, v_threshold=np.arange(2, 7) / 4))
    yield "own resistances", vector(nir.Linear(w), lif(5, r=np.array([1.0, 2, 4, 2, 1])))
    yield "own leaks", vector(nir.Linear(w), lif(5, v_leak=np.arange(-2, 3) / 8, v_threshold=0.75))
    yield (
        "own currents",
        vector(nir.Linear(w), cuba(5, tau_syn=taus, w_in=rs, tau_mem=2 * taus, r=2 * rs)),
    )
    yield "own integrators", vector(nir.Linear(w), fire(5, r=np.array([1, 2, 0.5, 1, 4])))
    yield "own channels", chain(
        source(2, 4, 4), conv(rng, 2, 2, 4),
        lif(2, 4, 4, tau=DT * np.array([2, 4])[:, None, None], r=np.array([2, 4])[:, None, None]),
    )  # fmt: skip
    image = DT * rng.choice([1, 2, 4], (2, 4, 4))
    yield "own positions", chain(
        source(2, 4, 4), conv(rng, 2, 2, 4), lif(2, 4, 4, tau=image, r=image / DT),
        conv(rng, 2, 3, 4), fire(3, 4, 4),
    )  # fmt: skip
    yield "on the input", chain(source(5), lif(5, v_threshold=0.75, r=1.0))
    yield "on an image", chain(source(2, 3, 3), cuba(2, 3, 3))
    yield "on neurons", vector(nir.Linear(w), fire(5), lif(5, r=1.0, v_threshold=0.25))
    yield "without memory", vector(nir.Linear(w), nir.Threshold(np.full(5, 0.75)))
    yield "biased before a current", vector(nir.Affine(w, whole(rng, 5) / 8), cuba(5))
    yield "biased before the current of an image", chain(
        source(2, 4, 4), conv(rng, 2, 3, 4, bias=np.array([0.125, 0, -0.25])), cuba(3, 4, 4),
        conv(rng, 3, 2, 4, stride=2, bias=np.array([0.125, 0.25])), cuba(2, 2, 2),
    )  # fmt: skip
    yield (
        "rest and bias",
        vector(
            nir.Affine(w, whole(rng, 5) / 8),
            lif(5, v_leak=0.25),
            nir.Linear(whole(rng, 3, 5)),
            lif(3),
        ),
    )
    yield (
        "delayed",
        vector(
            nir.Linear(np.abs(w)),
            fire(5),
            nir.Delay(np.full(5, 3 * DT)),
            nir.Linear(whole(rng, 3, 5, low=9)),
            fire(3),
        ),
    )
    yield "delayed differently", chain(
        source(2, 3, 3), nir.Delay(DT * np.arange(18.0).reshape(2, 3, 3) / 4 // 1),
        conv(rng, 2, 2, 3), fire(2, 3, 3),
    )  # fmt: skip


GRAPHS = {
    f"{maker.__name__}: {name}": built
    for maker in (loops, pools, layers, neurons)
    for name, built in maker(np.random.default_rng(3))
}
