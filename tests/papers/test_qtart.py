import math
from dataclasses import replace

import pytest
import torch
from torch import nn
from toys import Small, convolutions, make_run, same, split, toy, weights

from leanat.core.loop import train
from leanat.core.meter import Passes
from leanat.core.rng import Draws
from leanat.data import load
from leanat.models import BODIES, build
from leanat.papers.qtart.method import (
    WINDOWS,
    ConvLayer,
    Instability,
    features,
    instability,
    layers,
    normalised,
    project,
    sensitive,
    sensitivity,
    window,
)
from leanat.selection.basic import Everything, Once, all_but_top
from leanat.training.objectives import CrossEntropy
from leanat.training.schedules import Cosine

IMAGES = Draws(0, 0, torch.arange(3)).uniform("image", 3, 16, 16)


def lived_in(net, seed=0):
    """BatchNorm statistics and weights as some training might leave them."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for m in net.modules():
            if isinstance(m, nn.BatchNorm2d):
                nn.init.normal_(m.running_mean, 0, 0.3)
                nn.init.uniform_(m.running_var, 0.05, 0.5)
                nn.init.uniform_(m.weight, 0.5, 1.5)
                nn.init.normal_(m.bias, 0.1, 0.3)
    return net


def network(name, size=16, seed=0):
    return lived_in(build(name, 10, size, 3, seed, (0.5,) * 3, (0.25,) * 3))


# Which convolutions, which filters.


@pytest.mark.parametrize(("name", "depth"), [("vgg16", 13), ("mobilenet", 27), ("densenet", 120), ("resnet50", 49)])
def test_layers_are_those_of_the_papers_networks(name, depth):
    found = layers(network(name, 32), torch.zeros(1, 3, 32, 32) + 0.3)
    assert len(found) == depth
    assert isinstance(found[-1].reader, nn.Linear)
    assert sum(layer.norm is None for layer in found) == (3 if name == "densenet" else 0)  # its transitions


SMALL = [name for name in BODIES if name.endswith("_small")]


@pytest.mark.parametrize("name", SMALL)
def test_layers_come_in_forward_order_without_shortcuts(name):
    net = network(name)
    names = [layer.name for layer in layers(net, IMAGES)]
    assert names == [n for n in convolutions(net, IMAGES) if "shortcut" not in n]


@pytest.mark.parametrize("name", SMALL)
def test_the_reader_reads_the_filter_where_the_layer_says(name):
    """Disturb one filter: what the reader's input changes in is the channel that sensitivity takes."""
    net = network(name).eval()
    found = layers(net, IMAGES)
    for layer in (found[0], found[len(found) // 2], found[-2], found[-1]):
        m = layer.conv.out_channels - 1
        read = {}

        def keep(module, inputs, output, read=read):
            read["x"] = inputs[0].detach().clone()

        def disturb(module, inputs, output, m=m):
            return output.index_add(1, torch.tensor([m]), torch.full_like(output[:, :1], 5.0))

        hook = layer.reader.register_forward_hook(keep)
        net(IMAGES)
        before = read["x"]
        other = layer.conv.register_forward_hook(disturb)
        net(IMAGES)
        other.remove()
        hook.remove()
        changed = (before != read["x"]).reshape(3, layer.channels, -1).any(2).any(0).nonzero()[:, 0].tolist()
        assert changed == [layer.first + m], layer.name


def test_sensitivity_is_the_sum_over_the_reading_weights():
    net = network("resnet50_small")
    for layer in layers(net, IMAGES):
        w = layer.reader.weight
        direct = [sum(abs(v) for v in w[:, m].flatten().tolist()) for m in range(layer.conv.out_channels)]
        assert sensitivity(layer).tolist() == pytest.approx([d / max(direct) for d in direct], rel=1e-4)
        kept = sensitive(layer, 3).tolist()
        assert sorted(kept, key=lambda m: -direct[m]) == sorted(range(len(direct)), key=lambda m: -direct[m])[:3]
        assert kept == sorted(kept)
        assert len(sensitive(layer, 1000)) == layer.conv.out_channels


def test_sensitivity_of_grouped_and_flattened_readers():
    conv = nn.Conv2d(2, 6, 3)
    groups = nn.Conv2d(6, 6, 3, groups=3)
    direct = torch.zeros(6)
    for out in range(6):
        for within in range(2):
            direct[2 * (out // 2) + within] += groups.weight[out, within].abs().sum().detach()
    assert torch.allclose(sensitivity(ConvLayer("", conv, None, 0, 6, groups)), direct / direct.max())
    flat = nn.Linear(6 * 4, 5)
    by_channel = flat.weight.detach().abs().view(5, 6, 4).sum((0, 2))
    assert torch.allclose(sensitivity(ConvLayer("", conv, None, 0, 6, flat)), by_channel / by_channel.max())
    with pytest.raises(ValueError, match="gives 6 channels, the next one reads 9"):
        sensitivity(ConvLayer("here", conv, None, 0, 6, nn.Conv2d(9, 4, 1)))


def test_a_network_without_convolutions_is_refused():
    net = nn.Sequential(nn.Flatten(), nn.Linear(36, 3))
    with pytest.raises(ValueError, match="convolutions"):
        layers(net, torch.zeros(1, 1, 6, 6))


# Equations 5 to 9 and 11 against loops in double precision.


def by_hand(net, data, filters, alpha, draws, std):
    """xi [N] of a Small network, number by number."""
    net = net.double().eval()
    conv, norm = (net.body[0], net.body[3]), (net.body[1], net.body[4])
    reads = (net.body[3].weight, net.head.weight)
    n, xi = len(data), []
    noise = std * draws.normal("qtart", *data.images.shape[1:]).double()
    images = data.images.double()
    for last in (0, 1):
        weight = [reads[last][:, m].abs().sum().item() for m in range(conv[last].out_channels)]
        kept = sorted(range(len(weight)), key=lambda m: (-weight[m], m))[:filters]

        def layer(x, last=last):
            for k in range(last + 1):
                x = conv[k](x)
                shape = (1, -1, 1, 1)
                x = (x - norm[k].running_mean.view(shape)) / (norm[k].running_var.view(shape) + norm[k].eps).sqrt()
                x = (x * norm[k].weight.view(shape) + norm[k].bias.view(shape)).clamp(min=0)
            return x[0]

        delta = [[0.0] * n for _ in kept]
        for i in range(n):
            f, g = layer(images[i : i + 1]), layer(images[i : i + 1] + noise[i : i + 1])
            for j, m in enumerate(kept):
                a, b = places(f[m]), places(g[m])
                delta[j][i] = math.sqrt(sum((u - v) ** 2 for u, v in zip(a, b, strict=True)))
        hat = [[(v - min(d)) / (max(d) - min(d)) if max(d) > min(d) else 0.0 for v in d] for d in delta]
        xi.append([sum(h[i] for h in hat) / len(kept) for i in range(n)])
    return [alpha[0] * a + alpha[1] * b for a, b in zip(*xi, strict=True)]


def places(f):
    """Averages over a grid of at most 4x4 windows, floor to ceiling, or the one average of a small map."""
    h, w = f.shape
    if h * w <= 4:
        return [f.mean().item()]
    out = []
    for r in range(min(h, 4)):
        for c in range(min(w, 4)):
            rows = range(r * h // min(h, 4), -(-(r + 1) * h // min(h, 4)))
            cols = range(c * w // min(w, 4), -(-(c + 1) * w // min(w, 4)))
            out.append(sum(f[i, j].item() for i in rows for j in cols) / (len(rows) * len(cols)))
    return out


ALPHAS = {"last": (0, 1), "first_half": (1, 0), "second_half": (1, 1), "gaussian": (math.exp(-2), math.exp(-2))}


@pytest.mark.parametrize("name", WINDOWS)
def test_scores_against_loops(name):
    data, net = toy(20), lived_in(Small())
    run = make_run(net, batch=7, seed=3)
    run.epoch = 4
    ours = Instability(gamma=5, filters=3, noise=0.5, window=name)
    xi, kept = ours.scores(run, data), ours(run, split(data)).index
    direct = by_hand(net, data, 3, ALPHAS[name], Draws(3, 4, torch.arange(20)), 0.5)
    assert xi.tolist() == pytest.approx(direct, abs=2e-5)
    worst = sorted(range(20), key=lambda i: (-direct[i], i))[:5]
    assert kept.tolist() == [i for i in range(20) if i not in worst]


def test_equation_7_is_channel_wise_and_a_constant_channel_is_zero():
    delta = torch.tensor([[1.0, 7.0, 0.0], [3.0, 7.0, -2.0], [2.0, 7.0, 2.0]])
    assert normalised(delta).tolist() == [[0.0, 0.0, 0.5], [1.0, 0.0, 0.0], [0.5, 0.0, 1.0]]


def test_equation_8_and_9():
    first, second = torch.tensor([[0.0, 4.0], [1.0, 0.0]]), torch.tensor([[5.0], [3.0]])
    assert instability([first, second], [1.0, 0.25]).tolist() == [0.5 + 0.25, 0.5]


def test_equation_9_windows():
    assert window("last", 5).tolist() == [0, 0, 0, 0, 1]
    assert window("first_half", 5).tolist() == [1, 1, 0, 0, 0]
    assert window("second_half", 5).tolist() == [0, 0, 1, 1, 1]
    assert window("first_half", 4).tolist() == [1, 1, 0, 0]
    assert window("second_half", 4).tolist() == [0, 1, 1, 1]  # L/2 belongs to both, as printed
    assert window("first_half", 1).tolist() == [1]
    gaussian = window("gaussian", 5).tolist()
    assert gaussian == pytest.approx([math.exp(-z * z / 2) for z in (-2, -1, 0, 1, 2)])


def test_equation_11_ties_go_by_number():
    assert all_but_top(torch.tensor([0.5, 0.9, 0.9, 0.9, 0.1]), 2).tolist() == [0, 3, 4]


def test_projection():
    f = torch.arange(2 * 3 * 8 * 8, dtype=torch.float32).view(2, 3, 8, 8)
    assert project(f).shape == (2, 3, 16)
    assert float(project(f)[1, 2, 0]) == float(f[1, 2, :2, :2].mean())
    assert project(f[..., :2, :2]).shape == (2, 3, 1)
    assert project(f[..., :3, :3]).equal(f[..., :3, :3].flatten(2))


def test_features_are_what_the_following_layer_reads():
    """VGG: no pooling between the first two convolutions, so f of the first is the input of the second."""
    net = network("vgg16_small").eval()
    first = layers(net, IMAGES)[0]
    every = torch.arange(first.conv.out_channels)
    read = []
    hook = first.reader.register_forward_hook(lambda module, inputs, output: read.append(inputs[0]))
    with torch.no_grad(), features({first: every}) as seen:
        net(IMAGES)
    hook.remove()
    assert torch.allclose(seen[first.name], project(read[0]), atol=1e-6)


@pytest.mark.parametrize("name", ["densenet_small", "mobilenet_small", "preact_resnet18_small"])
def test_every_window_works_on_every_kind_of_network(name):
    data = replace(toy(12, size=16, channels=3), n_classes=3)
    for alpha in WINDOWS:
        xi = Instability(1, 12, window=alpha).scores(make_run(network(name)), data)
        assert xi.shape == (12,)
        assert xi.isfinite().all()
        assert xi.max() > xi.min() >= 0


# What it does in a training.


def test_without_removal_and_smoothing_it_is_sgd_to_the_bit():
    def after(selector):
        run = make_run(Small(), selector, epochs=4, objective=CrossEntropy(0.0))
        train(run, split(toy()))
        return run

    ours, sgd = after(Once(2, Instability(gamma=0, filters=4))), after(Everything())
    assert same(weights(ours.net), weights(sgd.net))
    assert [r["loss"] for r in ours.history] == [r["loss"] for r in sgd.history]
    assert [r["forward"] for r in ours.history] == [24, 24, 24 * 3 + 1, 24]  # two passes over the set at tau
    changed = after(Once(2, Instability(gamma=3, filters=4)))
    assert [r["kept"] for r in changed.history] == [24, 24, 21, 21]
    assert not same(weights(changed.net), weights(sgd.net))


def test_scoring_changes_nothing_of_the_network():
    run = make_run(lived_in(Small()).train())
    before = weights(run.net)
    passes = Passes()
    with passes.of(run.net):
        Instability(2, 3).scores(run, toy())
    assert same(before, weights(run.net))
    assert run.net.training
    assert not run.net.body[0]._forward_hooks
    assert not run.net.body[1]._forward_hooks
    assert not run.net.normalise._forward_hooks
    assert (passes.forward, passes.backward) == (2 * 24 + 1, 0)  # one more to find the layers


def test_scores_do_not_depend_on_the_batch_or_on_augmentation():
    data, net = toy(), lived_in(Small())
    ours = Instability(2, 3)
    base = ours.scores(make_run(net, batch=24), data)
    assert torch.allclose(ours.scores(make_run(net, batch=5), data), base, atol=1e-5)
    assert torch.allclose(ours.scores(make_run(net, batch=24), data.plain()), base, atol=1e-5)
    assert not torch.allclose(ours.scores(make_run(net, batch=24, seed=1), data), base, atol=1e-2)


def test_noise_is_added_to_the_normalised_image():
    """Pixels in other units, taken back by the normalisation, change nothing."""

    class Affine(nn.Module):
        def forward(self, x):
            return 10 * x - 3

    data, net = toy(), lived_in(Small())
    base = Instability(2, 3).scores(make_run(net), data)
    net.normalise = Affine()
    scaled = replace(data, images=(data.images + 3) / 10)
    assert torch.allclose(Instability(2, 3).scores(make_run(net), scaled), base, atol=1e-4)


def test_planted_examples_beside_the_threshold_are_the_ones_removed():
    """Dark images keep every ReLU shut with or without noise; the planted bright ones let it pass."""
    net = Small(norm=False)
    for conv in (net.body[0], net.body[3]):
        nn.init.constant_(conv.weight, 1.0)
    nn.init.constant_(net.body[0].bias, -30.0)
    images = torch.zeros(40, 1, 6, 6)
    planted = [3, 8, 17, 29, 35]
    images[planted] = 5.0
    data = replace(toy(40), images=images)
    kept = Instability(gamma=5, filters=4)(make_run(net), split(data)).index.tolist()
    assert kept == [i for i in range(40) if i not in planted]


@pytest.mark.slow
def test_faint_examples_are_found_after_training():
    """5 % of the drawn images are faint; removing as many at random would find 5 % of them."""
    data = load("shapes10-32", "train")
    faint = data.planted["faint"].nonzero()[:, 0]
    net = build("vgg16_small", 10, 32, 3, 0, data.mean, data.std)
    run = make_run(net, epochs=5, batch=64, lr=Cosine(0.1, warmup_share=0.3))
    train(run, split(data))
    for name in ("last", "gaussian"):
        kept = Instability(gamma=len(faint), filters=17, window=name)(run, split(data)).index
        found = 1 - torch.isin(faint, kept).float().mean().item()
        assert found > 0.25, (name, found)


# Appendices A and B.


def test_two_phases_search_only_the_worst_labels():
    data, net = toy(30), lived_in(Small())
    run = make_run(net)
    ours = Instability(gamma=4, filters=3, labels=1)
    xi, whole = ours.scores(run, data), Instability(gamma=4, filters=3).scores(run, data)
    inside = (xi >= 0).nonzero()[:, 0]
    (label,) = set(data.labels[inside].tolist())
    assert len(inside) == 10
    removed = sorted(set(range(30)) - set(ours(run, split(data)).index.tolist()))
    assert len(removed) == 4
    assert {int(data.labels[i]) for i in removed} == {label}
    assert removed == sorted(inside[xi[inside].argsort(descending=True)[:4]].tolist())
    # Within the label the distances are scaled anew: the extremes of each filter are there again.
    assert not torch.allclose(xi[inside], whole[inside])
    assert torch.allclose(Instability(4, 3, labels=3).scores(run, data), whole)
    with pytest.raises(ValueError, match="gamma 11, but the 1 worst labels have 10"):
        Instability(gamma=11, filters=3, labels=1)(run, split(data))


def test_the_worst_label_has_the_highest_mean_distance():
    net = Small(norm=False)
    for conv in (net.body[0], net.body[3]):
        nn.init.constant_(conv.weight, 1.0)
    nn.init.constant_(net.body[0].bias, -30.0)
    data = toy(30)
    images = torch.zeros(30, 1, 6, 6)
    images[data.labels == 1] = 5.0
    data = replace(data, images=images)
    xi = Instability(gamma=2, filters=4, labels=1).scores(make_run(net), data)
    assert data.labels[xi >= 0].unique().tolist() == [1]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"gamma": -1}, "gamma -1"),
        ({"filters": 0}, "filters 0"),
        ({"noise": -0.5}, "noise"),
        ({"noise": math.nan}, "noise"),
        ({"window": "middle"}, "last, first_half, second_half, gaussian"),
        ({"labels": 0}, "labels 0"),
    ],
)
def test_impossible_values(fields, words):
    with pytest.raises(ValueError, match=words):
        Instability(**{"gamma": 5, "filters": 12, **fields})


def test_more_than_everything_cannot_be_removed():
    with pytest.raises(ValueError, match="at least one must stay"):
        Instability(gamma=24, filters=3)(make_run(Small()), split(toy()))
