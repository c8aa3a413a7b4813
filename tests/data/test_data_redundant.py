import torch

from leanat.data import load
from leanat.data.redundant import NAMES
from leanat.experiments import scales


def test_the_test_images_are_the_digits():
    digits = load("digits", "test")
    for name in NAMES:
        data = load(name, "test")
        assert data.name == name
        assert data.images.equal(digits.images)
        assert data.labels.equal(digits.labels)


def test_settings_name_the_same_sets():
    assert scales.REDUNDANT == NAMES


def test_near_copies_differ_by_noise_alone():
    digits, data = load("digits", "train"), load("digits-copies", "train")
    assert data.labels.equal(digits.labels[data.origin])
    originals, counts = data.origin.unique(return_counts=True)
    assert (len(data), len(originals)) == (600, 125)
    assert counts.sort().values.tolist() == [1] * 100 + [20] * 25
    assert data.planted["rare"].equal((counts == 1)[torch.searchsorted(originals, data.origin)])
    apart = (data.images.int() - digits.images[data.origin].int()).abs().flatten(1).amax(1)
    assert (apart[data.planted["rare"]] == 0).all()
    assert apart[~data.planted["rare"]].max() == 8
    assert len(data.images.flatten(1).unique(dim=0)) == 600  # no two copies are alike
    # Copies are nearer to each other than any two originals are.
    x, origin = data.images.flatten(1).float(), data.origin
    distance, same = torch.cdist(x, x, p=2), origin[:, None] == origin
    assert distance[same].max() < distance[~same].min()
    assert data.labels.bincount().min() >= 40
    assert not data.origin[:20].eq(data.origin[0]).all()  # in random order


def test_the_long_tail_is_one():
    digits, data = load("digits", "train"), load("digits-tail", "train")
    counts = data.labels.bincount().tolist()
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1], sum(counts)) == (58, 3, 198)
    assert data.images.equal(digits.images[data.origin])
    assert len(data.origin.unique()) == 198
    assert data.planted["rare"].sum() == sum(counts[5:])


def test_two_labels_in_five_are_wrong():
    digits, data = load("digits", "train"), load("digits-noise", "train")
    assert data.images.equal(digits.images)
    assert (data.labels != digits.labels).equal(data.planted["wrong"])
    assert data.planted["wrong"].sum() == 240
    assert data.labels[data.planted["wrong"]].unique().tolist() == list(range(10))


def test_a_part_keeps_what_is_known_of_its_examples():
    data = load("digits-copies", "train")
    index = torch.tensor([5, 3, 400])
    part = data.take(index).to("cpu")
    assert part.origin.equal(data.origin[index])
    assert part.planted["rare"].equal(data.planted["rare"][index])
