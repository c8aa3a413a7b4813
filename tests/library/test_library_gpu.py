"""The public interface and the pruning rules on the pretended GPU: nothing is on another device, the numbers are the CPU's."""

import warnings
from dataclasses import replace

import pytest
import torch
from PIL import Image
from pretended_gpu import GPU, bare, pretended
from torch import nn
from torch.utils.data import TensorDataset

import leanat
from leanat import Reselect, evaluate, make_method, make_recipe, select, train
from leanat.library.data import DatasetData
from leanat.selection.basic import Every
from leanat.selection.forgetting import Forgetting, ForgettingEvents

CPU = torch.device("cpu")


class OneByOne(TensorDataset):
    """A Dataset whose tensors are not to be had at once."""

    tensors = property(lambda self: (), lambda self, given: setattr(self, "held", given))

    def __len__(self):
        return len(self.held[0])

    def __getitem__(self, i):
        return self.held[0][i], int(self.held[1][i])


def network(device):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)).to(device)


def attacks(device, x, y):
    net, normalised = network(device), {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}
    for name in ("fgsm", "mi_fgsm"):
        yield getattr(leanat, name)(net, x.to(device), y.to(device), **normalised)
    for name in ("fgsm_rs", "pgd", "apgd"):
        yield getattr(leanat, name)(net, x.to(device), y.to(device), seed=1, **normalised)
    yield torch.tensor(evaluate(net, (x, y), ["clean", "pgd"])["pgd"].outcome.loss)


def selections(device, x, y):
    net = network(device)
    for method in ("grad_match", "craig", "glister", "loss", "el2n", "margin", "moderate", "random"):
        index, weight = select(net, x, y, 1 / 3, method, validation=(x, y), attack="pgd")
        yield from (index, weight)
    sampler = Reselect(net, OneByOne(x, y), 1 / 3, every=1, method="el2n")
    assert isinstance(sampler._split.train, DatasetData)
    for _ in range(2):
        yield torch.tensor(list(sampler))
        yield sampler.weight


def trainings(device, x, y):
    chosen = Every(period=1, warmup=1, inner=Forgetting(fraction=0.4, granularity="class"))
    method = replace(make_method("trades", steps=2, choose=chosen), extras=(ForgettingEvents(),))
    yield torch.tensor([row["loss"] for row in train(network(device), (x, y), method, make_recipe(epochs=3, batch=10))])


@pytest.mark.parametrize("default", [None, "cuda"])
@pytest.mark.parametrize("work", [attacks, selections, trainings])
def test_a_gpu_does_what_the_cpu_does(work, default):
    """Also where torch makes new tensors on the GPU unless it is told otherwise."""
    x, y = torch.rand(30, 3, 8, 8), torch.arange(30) % 5
    right = list(work(CPU, x, y))
    with pretended(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.set_default_device(default)
        try:
            found = [bare(t) if t.device.type != "cpu" else t for t in work(GPU, x, y)]
        finally:
            torch.set_default_device(None)
    assert len(found) == len(right)
    for ours, theirs in zip(found, right, strict=True):
        assert torch.allclose(ours.float(), theirs.float(), atol=1e-4)


@pytest.mark.parametrize("gpu", [None, 0], ids=["of a CPU", "of a GPU"])
@pytest.mark.parametrize(
    "work",
    [
        lambda net, x, y: leanat.apgd(net, x, y, steps=2),
        lambda net, x, y: evaluate(net, (x, y), ["clean", "pgd"]),
        lambda net, x, y: train(net, (x, y), "standard", make_recipe(epochs=1, batch=10)),
    ],
    ids=["apgd", "evaluate", "train"],
)
def test_generators_are_as_before(work, gpu):
    """That of the network's own GPU, and those of other GPUs."""
    with pretended(gpus=2), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        device = CPU if gpu is None else GPU
        x, y, net = torch.rand(30, 3, 8, 8, device=device), (torch.arange(30) % 5).to(device), network(device)
        torch.cuda.manual_seed_all(77)
        before = [torch.cuda.get_rng_state(k) for k in range(2)]
        work(net, x, y)
        assert all(torch.equal(torch.cuda.get_rng_state(k), before[k]) for k in range(2))


def test_a_sampler_follows_its_network_to_another_device():
    x, y = torch.rand(30, 3, 8, 8), torch.arange(30) % 5
    net = network(CPU)
    sampler = Reselect(net, (x, y), 1 / 3, every=1)
    with pretended():
        net.to(GPU)
        assert len(list(sampler)) == 10
        assert sampler._split.train.labels.device == GPU


def test_a_dataset_may_hold_its_images_on_the_gpu():
    x, y = torch.rand(30, 3, 8, 8), torch.arange(30) % 5
    right = train(network(CPU), OneByOne(x, y), "standard", make_recipe(epochs=1, batch=10))
    with pretended():
        found = train(network(GPU), OneByOne(x.to(GPU), y), "standard", make_recipe(epochs=1, batch=10))
    assert found[-1]["loss"] == pytest.approx(right[-1]["loss"], abs=1e-5)


@pytest.mark.parametrize("kind", ["tensors", "Dataset", "folder"])
def test_reading_the_next_batch_waits_for_no_step(tmp_path, kind):
    """However many steps an epoch has, the host waits equally often for the device."""
    x, y = torch.rand(40, 3, 8, 8), torch.arange(40) % 5
    data = {"tensors": (x, y), "Dataset": OneByOne(x, y), "folder": str(tmp_path)}[kind]
    for i, image in enumerate(x if kind == "folder" else ()):
        (tmp_path / f"class{i % 5}").mkdir(exist_ok=True)
        levels = (255 * image).byte().permute(1, 2, 0).numpy()
        Image.fromarray(levels).resize((32, 32)).save(tmp_path / f"class{i % 5}" / f"{i}.png")
    counts = []
    for batch in (20, 4):
        with pretended() as gpu:
            net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5)).to(GPU)
            train(net, data, make_method("pgd", steps=2), make_recipe(epochs=1, batch=batch))
            counts.append(gpu.waits.total())
    assert counts[0] == counts[1]
