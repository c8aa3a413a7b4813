import math

import numpy as np
import pytest
import torch

from leanat.data import DataError, load
from leanat.data import shapes as drawn
from leanat.data.shapes import Scene

SUBTLE = {"faint", "ambiguous"}


@pytest.mark.parametrize(
    ("name", "classes", "size"),
    [("shapes10", 10, 16), ("shapes10-32", 10, 32), ("shapes12", 12, 16), ("shapes20-32", 20, 32), ("shapes8u", 8, 16)],
)
def test_names(name, classes, size):
    train, test = load(name, "train", n=300), load(name, "test", n=100)
    assert train.images.shape == (300, 3, size, size)
    assert train.n_classes == classes == len(set(train.class_names))
    assert (train.labels.bincount(minlength=classes) >= 300 // classes).all()
    assert sorted(train.hard_to_easy) == list(range(classes))
    assert not any(torch.equal(a, b) for a in train.images[:20] for b in test.images[:20])


def test_default_sizes():
    assert len(load("shapes10", "train")) == 2000
    assert len(load("shapes10", "test")) == 500


def test_a_process_draws_a_set_once_and_each_owner_may_change_it(monkeypatch):
    first, draw, drawings = load("shapes11", "train", n=30), Scene.draw, []
    monkeypatch.setattr(Scene, "draw", lambda *words: drawings.append(words) or draw(*words))
    images, masks, faint = first.images.clone(), first.masks.clone(), first.planted["faint"].clone()
    for tensor in (first.images, first.masks, first.planted["faint"], first.labels, first.numbers):
        tensor.fill_(1)
    again = load("shapes11", "train", n=30)
    assert not drawings
    assert torch.equal(again.images, images)
    assert torch.equal(again.masks, masks)
    assert torch.equal(again.planted["faint"], faint)
    assert again.numbers.tolist() == list(range(30))
    assert again.labels.tolist() == [k % 11 for k in range(30)]


@pytest.mark.parametrize("name", ["shapes1", "shapes41", "shapes10-64", "shapes41u"])
def test_numbers_out_of_range(name):
    with pytest.raises(DataError, match="allowed"):
        load(name, "train")


def test_unseen_classes_are_disjoint_from_all_seen_ones():
    assert not set(load("shapes40u", "test", n=40).class_names) & set(load("shapes40", "test", n=40).class_names)


def test_an_image_is_the_same_however_many_are_drawn():
    few, many = load("shapes12", "train", n=130), load("shapes12", "train", n=1300)
    assert torch.equal(few.images, many.images[:130])
    assert torch.equal(few.masks, many.masks[:130])
    assert torch.equal(few.planted["faint"], many.planted["faint"][:130])


def test_shares_of_planted_examples():
    data = load("shapes10", "train")
    assert {name: int(which.sum()) for name, which in data.planted.items()} == {"faint": 100, "ambiguous": 40}
    assert not (data.planted["faint"] & data.planted["ambiguous"]).any()
    assert data.labels[data.planted["faint"]].bincount(minlength=10).min() > 0
    test = load("shapes10", "test")
    assert not any(which.any() for which in test.planted.values())


def difference(data):
    """Distance between the mean colours inside and outside the mask, in the channel where it is largest [N]."""
    x, mask = data.images.float() / 255, data.masks[:, None].float()
    inside = (x * mask).sum((2, 3)) / mask.sum((2, 3))
    outside = (x * (1 - mask)).sum((2, 3)) / (1 - mask).sum((2, 3))
    return (inside - outside).abs().amax(1)


def test_contrast_inside_the_mask_is_as_planted():
    data = load("shapes10-32", "train")
    contrast, faint = difference(data), data.planted["faint"]
    plain = ~faint & ~data.planted["ambiguous"]
    assert contrast[faint].max() < contrast[plain].min()
    assert contrast[faint].mean() / contrast[plain].mean() == pytest.approx(drawn.FAINT_FACTOR, rel=0.2)
    mean = torch.stack([contrast[plain & (data.labels == k)].mean() for k in data.hard_to_easy])
    assert (mean[1:] - mean[:-1] > -0.03).all()
    assert mean[-1] - mean[0] > 0.12


def test_blends_lie_between_two_classes():
    data = load("shapes10-32", "train")
    x = data.images.float() / 255
    # In a blend some pixels are half the object's: the colour's distance from the background takes a middle value.
    background = x[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].mean(2)
    distance = (x - background[:, :, None, None]).abs().amax(1)
    distance = distance / distance.flatten(1).quantile(0.99, 1)[:, None, None]
    middle = ((distance > 0.35) & (distance < 0.65)).flatten(1).float().mean(1)
    plain = ~data.planted["faint"] & ~data.planted["ambiguous"]
    assert middle[data.planted["ambiguous"]].median() > 2 * middle[plain].median()


def test_noise_has_the_stated_deviation():
    data = load("shapes10-32", "train", n=400)
    corner = data.images[:, :, :3, :3].float() / 255  # background: only shifted large objects reach it
    assert corner.std((2, 3)).median() == pytest.approx(drawn.NOISE, rel=0.15)


@pytest.mark.parametrize("outline", ["square", "triangle", "pentagon", "star", "plus", "cross", "hourglass", "arrow"])
def test_polygons_equal_an_independent_rasteriser(outline):
    path = pytest.importorskip("matplotlib.path")
    corners = np.array(drawn._CORNERS[outline])
    cells = drawn.table(outline).shape[0]
    axis = ((np.arange(cells) + 0.5) / cells * 2 - 1) * 1.3
    points = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    inside = path.Path(corners).contains_points(points).reshape(cells, cells)
    ours = drawn.table(outline).numpy()
    assert (inside != (ours < 0)).mean() < 1e-3
    # A distance changes by at most the way gone, and nearly everywhere by as much.
    cell = axis[1] - axis[0]
    assert max(np.abs(np.diff(ours, axis=k)).max() for k in (0, 1)) < cell * 1.001
    assert np.median(np.hypot(*np.gradient(ours, cell))) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("outline", [*drawn.SEEN, *drawn.UNSEEN])
def test_every_outline_is_inside_its_frame_and_drawn_at_its_size(outline):
    table = drawn.table(outline)
    border = torch.cat((table[0], table[-1], table[:, 0], table[:, -1]))
    assert border.min() > 0.1
    cell = (2 * 1.3 / table.shape[0]) ** 2
    area = float((table < 0).sum()) * cell
    assert 0.5 < area < math.pi
    scene = Scene(((outline, 0), ("disc", 0)), (0, 1), 32, planted=False)
    labels, _, masks, _, _ = scene.draw(1, 200)
    pixels = masks[labels == 0].float().sum((1, 2)).mean()
    radius = (
        sum(r**3 for r in (drawn.RADIUS[1], -drawn.RADIUS[0])) / 3 / (drawn.RADIUS[1] - drawn.RADIUS[0])
    )  # mean square
    assert pixels == pytest.approx(area * radius * 32**2, rel=0.08)


def test_outlines_are_told_apart():
    kinds = [(outline, gap) for outline in (*drawn.SEEN, *drawn.UNSEEN) for gap in range(4)]
    tables = torch.stack([drawn._kind(*kind) < 0 for kind in kinds]).flatten(1).float()
    both = tables @ tables.T
    area = tables.sum(1)
    overlap = both / (area[:, None] + area[None] - both)
    assert len(tables) == 80
    assert (overlap - torch.eye(80)).max() < 0.9


def test_edges_are_anti_aliased():
    scene = Scene((("disc", 0), ("square", 0)), (0, 1), 32, planted=False)
    data = scene.draw(7, 100)[1].float() / 255
    levels = [len(torch.unique((image * 20).round())) for image in data]
    assert np.mean(levels) > 10


@pytest.mark.slow
def test_a_small_network_learns_shapes_and_finds_faint_ones_hard():
    from torch import nn

    train, test = load("shapes10", "train"), load("shapes10", "test")
    layers = []
    for a, b, stride in ((3, 16, 1), (16, 32, 2), (32, 32, 2)):
        layers += [nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 16, 10))
    opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(opt, 0.1, total_steps=10 * 32)
    for epoch in range(10):
        for index in torch.randperm(2000).split(63):
            x, y = train.batch(index, epoch)
            opt.zero_grad()
            nn.functional.cross_entropy(net((x - 0.5) / 0.25), y).backward()
            opt.step()
            schedule.step()
    net.eval()
    x, y = test.batch(torch.arange(500), 0)
    assert (net((x - 0.5) / 0.25).argmax(1) == y).float().mean() > 0.85
    x, y = train.batch(torch.arange(2000), 0)
    loss = nn.functional.cross_entropy(net((x - 0.5) / 0.25), y, reduction="none")
    plain = ~train.planted["faint"] & ~train.planted["ambiguous"]
    assert loss[train.planted["faint"]].mean() > 3 * loss[plain].mean()
