"""Data sets as Python programs have them, in every function that takes one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Subset, TensorDataset

import sdt_lava
from sdt_lava.datasets import Dataset, LazySource, load_digits_split
from sdt_lava.datasets.labels import as_labels
from sdt_lava.datasets.objects import as_dataset, as_source
from sdt_lava.errors import ConfigError, DataError
from sdt_lava.evaluate import EvaluationOptions, evaluate
from sdt_lava.families.sdt1.presets import preset
from sdt_lava.model import SpikeDrivenTransformer, TrainingOptions, train

DIGITS = load_digits_split("test").head(7)


def torch_digits():
    return TensorDataset(torch.tensor(DIGITS.x), torch.tensor(DIGITS.y))


class Rows:
    """Samples by number that raise, change shape or come with strange labels."""

    def __init__(self, *rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(self.rows[index], Exception):
            raise self.rows[index]
        return self.rows[index]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("objects") / "net.h5"
    torch.manual_seed(0)
    sdt_lava.export(SpikeDrivenTransformer(preset("digits")).eval(), path)
    return path


KINDS = {
    "ours": lambda: DIGITS,
    "torch": torch_digits,
    "subset": lambda: Subset(torch_digits(), range(7)),
    "lazy": lambda: LazySource("digits", (1, 8, 8), DIGITS.y, 10, DIGITS.x.__getitem__),
    "pairs": lambda: [(x, y) for x, y in zip(DIGITS.x, DIGITS.y, strict=True)],
    "gradients": lambda: Rows(*((torch.tensor(x, requires_grad=True), y) for x, y in zip(
        DIGITS.x, DIGITS.y, strict=True))),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_holds_the_same_samples(kind):
    data = as_dataset(KINDS[kind]())
    assert np.array_equal(data.x, DIGITS.x) and np.array_equal(data.y, DIGITS.y)
    batch = next(as_source(KINDS[kind]()).batches([4, 2], 2))
    assert np.array_equal(batch.x, DIGITS.x[[4, 2]]) and np.array_equal(batch.y, DIGITS.y[[4, 2]])


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ((), "no samples"),
        ((np.zeros((1, 2, 2)), np.zeros((1, 2, 3))), r"sample 1: shape \(1, 2, 3\)"),
        ((np.zeros((1, 2, 2)), OSError("gone")), "sample 1: OSError: gone"),
        (((np.zeros((1, 2, 2)), 0, 0),), "3 values"),
        (((np.zeros((1, 2, 2)), [0, 1]),), r"label: shape \(2,\)"),
        (((np.zeros((1, 2, 2)), "cat"),), "label"),
        (("cat",), "sample 0"),
    ],
)
def test_samples_that_are_none(rows, found):
    with pytest.raises(DataError, match=found):
        as_dataset(Rows(*rows))


@pytest.mark.parametrize("data", [None, 3, "digits", b"digits", {"x": DIGITS.x}, iter([1])])
def test_what_is_no_data_set(data):
    with pytest.raises(DataError, match=r"data|object"):
        as_source(data)


@pytest.mark.parametrize("kind", KINDS)
def test_simulate_train_and_evaluate_take_them(kind, network, tmp_path):
    net = sdt_lava.load_network(network)
    if kind != "pairs":  # a list of pairs is no array and no data set with a name
        found = sdt_lava.simulate(net, KINDS[kind](), "engine")
        assert np.array_equal(found.logits, sdt_lava.simulate(net, DIGITS.x, "engine").logits)
    evaluation = evaluate(network, KINDS[kind](), tmp_path, EvaluationOptions(shard_size=3))
    assert [row.label for row in evaluation.results] == DIGITS.y.tolist()
    torch.manual_seed(0)
    model = SpikeDrivenTransformer(preset("digits"))
    options = TrainingOptions(epochs=1, batch_size=4)
    assert len(train(model, KINDS[kind](), KINDS[kind](), options).history) == 1


def test_tensors_enter_a_simulation_as_they_are(network):
    net = sdt_lava.load_network(network)
    want = sdt_lava.simulate(net, DIGITS.x, "engine").logits
    x = torch.tensor(DIGITS.x, requires_grad=True)
    assert np.array_equal(sdt_lava.simulate(net, x * 1, "engine").logits, want)
    assert np.array_equal(sdt_lava.simulate(net, DIGITS.x.tolist(), "reference").logits, want)


def test_a_data_set_in_memory_cannot_go_to_workers(network, tmp_path):
    with pytest.raises(ConfigError, match="several processes"):
        evaluate(network, DIGITS, tmp_path, executor=lambda *_: None)


def test_labels_that_the_network_does_not_have(network, tmp_path):
    data = Dataset("letters", DIGITS.x, DIGITS.y + 5)
    with pytest.raises(DataError, match="0 to 9: the network has 10 classes"):
        evaluate(network, data, tmp_path)
    shifted = Dataset("shifted", DIGITS.x, np.arange(1, 11)[np.array([0, 1, 9, 2, 3, 4, 5])])
    with pytest.raises(DataError, match="count classes from 0: y - 1"):
        evaluate(network, shifted, tmp_path)


@pytest.mark.parametrize("x", [torch.zeros(2, 1, 8, 8, device="meta"), torch.ones(2).to_sparse()])
def test_tensors_without_an_array(network, x):
    with pytest.raises(DataError, match="input x: Tensor"):
        sdt_lava.simulate(sdt_lava.load_network(network), x, "reference")


def test_no_labels_of_no_samples():
    assert as_labels(np.zeros(0), 0, "y").shape == (0,)


def test_a_loader_of_batches_is_refused_with_its_data_set():
    loader = DataLoader(TensorDataset(torch.tensor(DIGITS.x), torch.tensor(DIGITS.y)))
    with pytest.raises(DataError) as caught:
        as_source(loader)
    assert caught.value.remedy.endswith("loader.dataset")
    assert np.array_equal(as_dataset(loader.dataset).x, DIGITS.x)
