"""Exact sums of convolutions, and images and weights to try operators on."""

from __future__ import annotations

import itertools

import numpy as np
import torch

from sdt_lava.engine.synapses import Weights


def exact_sums(images, weight, window):
    """A convolution in NumPy's 64-bit integers, tap by tap."""
    (down, right), (stride_h, stride_w), (dilation_h, dilation_w) = (
        window.padding, window.stride, window.dilation,
    )  # fmt: skip
    padded = np.pad(images, ((0, 0), (0, 0), (down, down), (right, right)))
    outputs, per_group, kernel_h, kernel_w = weight.shape
    reach_h, reach_w = window.reach
    height = (padded.shape[2] - reach_h) // stride_h + 1
    width = (padded.shape[3] - reach_w) // stride_w + 1
    sums = np.zeros((len(images), outputs, height, width), np.int64)
    share = outputs // window.groups
    for group, i, j in itertools.product(range(window.groups), range(kernel_h), range(kernel_w)):
        top, left = i * dilation_h, j * dilation_w
        seen = padded[
            :, group * per_group : (group + 1) * per_group,
            top : top + (height - 1) * stride_h + 1 : stride_h,
            left : left + (width - 1) * stride_w + 1 : stride_w,
        ]  # fmt: skip
        own = slice(group * share, (group + 1) * share)
        sums[:, own] += np.einsum("oc,nchw->nohw", weight[own, :, i, j], seen)
    return sums


def in_memory(values, order):
    """The same values as a tensor in some order in memory, with other values around."""
    images, channels, height, width = values.shape
    room = torch.full((images, height + 2, width + 3, channels + 5), 77, dtype=torch.int64)
    if order == "C order":
        return torch.from_numpy(np.ascontiguousarray(values))
    if order == "channels last":
        rows_first = np.ascontiguousarray(values.transpose(0, 2, 3, 1))
        return torch.from_numpy(rows_first).permute(0, 3, 1, 2)
    inside = room[:, 1 : height + 1, 2 : width + 2, :channels].permute(0, 3, 1, 2)
    return inside.copy_(torch.from_numpy(values))


ORDERS = ("C order", "channels last", "slice")


def layer_of(rng, channels, outputs, window, low, high, most, saturated=False):
    """Weights with the largest magnitudes among them."""
    shape = outputs * window.groups, channels, *window.kernel
    weight = rng.integers(-most, min(most, 127) + 1, shape)
    if saturated:
        weight = np.where(weight < 0, -most, min(most, 127))
    return Weights(weight, window, (low, high))
