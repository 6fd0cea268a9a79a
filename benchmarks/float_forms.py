"""The float model in the forms that a user reaches for who wants it fast on a processor."""

from __future__ import annotations

import importlib
import importlib.util
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sdt_lava.families.sdt1.transformer import SpikeDrivenTransformer

_THRESHOLD = 1.0
# What is not ready by then does not compete [s].
_LIMIT_S = 60
_COMPILER = ("torch._dynamo", "torch._inductor.compile_fx")
Run = Callable[[Tensor], Any]


class FoldedModel(nn.Module):
    """Batch normalisation is folded into convolutions, channels are last, there are no branches.

    An image that does not change is convolved once.

    Parameters
    ----------
    model : SpikeDrivenTransformer
        With max-pooling and plain LIF neurons (tau = 2), in evaluation mode.
    """

    def __init__(self, model: SpikeDrivenTransformer) -> None:
        super().__init__()
        self._config = model.config
        self.head = nn.Linear(model.head.in_features, model.head.out_features)
        self.head.load_state_dict(model.head.state_dict())
        self.layers = nn.ModuleDict()
        for name, module in model.named_modules():
            if "conv" in name.rpartition(".")[2]:
                bn = model.get_submodule(name.replace("conv", "bn"))
                weight = module.weight.detach()[..., 0]
                self.layers[name.replace(".", "-")] = _folded(weight, module.padding[0], bn)
        self.requires_grad_(False).eval().to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits ``(B, classes)`` of images ``(B, C, H, W)``."""
        config = self._config
        stream = self._patch_splitting(images)
        for block in range(config.depth):
            stream = stream + self._attention(f"block.{block}.attn", self._fire(stream))
            hidden = self._fire(self._conv(f"block.{block}.mlp.fc1_conv", self._fire(stream)))
            stream = stream + self._conv(f"block.{block}.mlp.fc2_conv", hidden)
        logits: Tensor = self.head(self._fire(stream.mean(dim=(2, 3))))
        return logits.reshape(config.timesteps, -1, logits.shape[-1]).mean(0)

    def _patch_splitting(self, images: Tensor) -> Tensor:
        x = self._conv("patch_embed.proj_conv", images)
        x = x.repeat(self._config.timesteps, 1, 1, 1)
        last = len(self._config.pooling_stat) - 1
        for stage, pooled in enumerate(self._config.pooling_stat):
            x = self._conv(f"patch_embed.proj_conv{stage}", x) if stage else x
            x = self._fire(x) if stage < last else x
            x = functional.max_pool2d(x, 3, 2, 1) if pooled == "1" else x
        return x + self._conv("patch_embed.rpe_conv", self._fire(x))

    def _attention(self, name: str, spikes: Tensor) -> Tensor:
        q, k, v = (self._fire(self._conv(f"{name}.{part}_conv", spikes)) for part in "qkv")
        column = (k * v).sum(dim=(2, 3), keepdim=True)
        mask = self._fire(column, self._config.attention_threshold)
        return self._conv(f"{name}.proj_conv", q * mask)

    def _conv(self, name: str, x: Tensor) -> Tensor:
        y: Tensor = self.layers[name.replace(".", "-")](x)
        return y

    def _fire(self, currents: Tensor, threshold: float = _THRESHOLD) -> Tensor:
        """Return the spikes of LIF neurons, ``(T * B, ...)``."""
        steps = currents.chunk(self._config.timesteps)
        voltage, spikes = torch.zeros_like(steps[0]), []
        for current in steps:
            charged = voltage + (current - voltage) / 2
            spike = (charged >= threshold).to(currents.dtype)
            spikes.append(spike)
            voltage = charged * (1 - spike)
        return torch.cat(spikes)


def _folded(weight: Tensor, padding: int, bn: nn.Module) -> nn.Conv2d:
    scale = bn.weight.detach() / torch.sqrt(bn.running_var + bn.eps)
    outputs, inputs, *kernel = weight.shape
    conv = nn.Conv2d(inputs, outputs, tuple(kernel), padding=padding)
    with torch.no_grad():
        conv.weight.copy_(weight * scale[:, None, None, None])
        conv.bias.copy_(bn.bias - bn.running_mean * scale)
    return conv


def _plain(model: FoldedModel, images: Tensor, kind: torch.dtype = torch.float32) -> Run:
    typed = model.to(kind)

    @torch.no_grad()
    def run(x: Tensor) -> Tensor:
        y: Tensor = typed(x.to(kind, memory_format=torch.channels_last))
        return y.float()

    return run


def _compiled(model: FoldedModel, images: Tensor, kind: torch.dtype = torch.float32) -> Run:
    compiled = torch.compile(model.to(kind), dynamic=False)
    run = _plain(compiled, images, kind)
    run(images)
    return run


def _onnx_runtime(model: FoldedModel, images: Tensor) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        # Newer releases of torch have a second exporter, which needs more packages.
        has_both = "dynamo" in signature(torch.onnx.export).parameters
        older = {"dynamo": False} if has_both else {}
        torch.onnx.export(model, (images,), str(path), input_names=["images"], **older)
        providers = ["CPUExecutionProvider"]
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    return lambda x: torch.from_numpy(session.run(None, {"images": x.numpy()})[0])


def _openvino(model: FoldedModel, images: Tensor, precision: str) -> Run:
    import openvino

    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "INFERENCE_PRECISION_HINT": precision,
    }
    converted = openvino.convert_model(model, example_input=images)
    compiled = openvino.Core().compile_model(converted, "CPU", settings)
    return lambda x: torch.from_numpy(np.array(compiled(x.numpy())[0]))


# Form, the package that it needs beside torch, and what makes it.
FORMS: dict[str, tuple[str, Callable[[FoldedModel, Tensor], Run]]] = {
    "torch float32 folded": ("", _plain),
    "torch bfloat16 folded": ("", lambda m, x: _plain(m, x, torch.bfloat16)),
    "ONNX Runtime float32": ("onnxruntime", _onnx_runtime),
    "OpenVINO float32": ("openvino", lambda m, x: _openvino(m, x, "f32")),
    "OpenVINO bfloat16": ("openvino", lambda m, x: _openvino(m, x, "bf16")),
    "torch.compile float32": ("", _compiled),
    "torch.compile bfloat16": ("", lambda m, x: _compiled(m, x, torch.bfloat16)),
}


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Raise in the main thread when a compiler takes too long."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"not ready after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def make_form(name: str, model: SpikeDrivenTransformer, images: Tensor) -> Run | str:
    """Return what computes logits, or why there is none.

    Parameters
    ----------
    name : str
        One of `FORMS`.
    model : SpikeDrivenTransformer
        The model.
    images : Tensor
        ``(B, C, H, W)``: the shape that is compiled for.
    """
    package, make = FORMS[name]
    if package and importlib.util.find_spec(package) is None:
        return f"{package} is not installed"
    try:
        # An import that is interrupted leaves half a package.
        for module in (package,) if package else _COMPILER:
            importlib.import_module(module)
        with _limited(_LIMIT_S):
            return make(FoldedModel(model), images)
    # Whatever a compiler or a converter does not like about the model or the machine.
    except Exception as error:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {text[:200]}"
