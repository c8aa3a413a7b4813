import hashlib
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from leanat.data import (
    NAMES,
    Augmentation,
    Crop,
    DataError,
    Flip,
    RandomResizedCrop,
    archives,
    download,
    examine,
    load,
    split,
    survey,
)
from leanat.data.places import EMBEDDED
from leanat.data.tensors import some_of_each, stratified

CROP_FLIP = Augmentation((Crop(1), Flip()))


def test_digits_are_scikit_learns_and_each_is_in_one_part():
    sklearn = pytest.importorskip("sklearn.datasets")
    source = sklearn.load_digits()
    parts = [load("digits", part) for part in ("train", "test")]
    assert [len(p) for p in parts] == [600, 1197]
    x = torch.cat([p.batch(torch.arange(len(p)), 0)[0] for p in parts])
    assert x.shape == (1797, 1, 8, 8)
    ours = sorted(zip((x * 16).round().flatten(1).tolist(), torch.cat([p.labels for p in parts]).tolist(), strict=True))
    assert ours == sorted(zip(source.data.tolist(), source.target.tolist(), strict=True))
    shares = [p.labels.bincount() / len(p) for p in parts]
    assert (shares[0] - shares[1]).abs().max() < 0.002


@pytest.mark.parametrize(("name", "tolerance"), [("digits", 2e-3), ("shapes10", 0.01), ("shapes20-32", 0.02)])
def test_statistics_are_those_of_the_training_images(name, tolerance):
    data = load(name, "train")
    x, _ = data.batch(torch.arange(len(data)), 0)
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.tensor(data.mean), atol=tolerance, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.tensor(data.std), atol=tolerance, rtol=0)
    assert (data.name, data.image_size, data.channels) == (name, x.shape[2], x.shape[1])
    assert data.n_classes == len(data.class_names) == int(data.labels.max()) + 1


def test_a_batch_depends_on_the_example_epoch_view_and_seed_alone():
    data = load("digits", "train", seed=5, augment=CROP_FLIP)
    index = torch.tensor([3, 500, 3, 77])
    x, y = data.batch(index, 4, view=1)
    alone = torch.cat([data.batch(index[i : i + 1], 4, view=1)[0] for i in range(4)])
    assert torch.equal(x, alone)
    assert torch.equal(y, data.labels[index])
    everyone = torch.arange(600)
    whole, _ = data.batch(everyone, 4, 1)
    for other in (data.batch(everyone, 5, 1), data.batch(everyone, 4, 0)):
        assert not torch.equal(other[0], whole)
    assert not torch.equal(load("digits", "train", seed=6, augment=CROP_FLIP).batch(everyone, 4, 1)[0], whole)


def test_without_augmentation_and_in_the_test_part_images_are_as_they_are():
    data, test = load("digits", "train", augment=CROP_FLIP), load("digits", "test", augment=CROP_FLIP)
    index = torch.arange(50)
    for plain in (data.plain(), test):
        assert torch.equal(plain.batch(index, 7)[0], plain.images[:50].float() / 255)


def test_a_part_of_a_set_draws_under_the_old_numbers():
    data = load("digits", "train", augment=CROP_FLIP)
    index = torch.tensor([9, 400, 30])
    part = data.take(index).take(torch.tensor([2, 0]))
    assert torch.equal(part.batch(torch.arange(2), 3)[0], data.batch(torch.tensor([30, 9]), 3)[0])
    assert len(part) == 2


def test_split_is_balanced_fixed_and_does_not_augment_the_validation_part():
    data = load("digits", "train", augment=CROP_FLIP)
    train, validation = split(data, 0.1, seed=0)
    assert (len(train), len(validation)) == (540, 60)
    assert sorted(torch.cat((train.numbers, validation.numbers)).tolist()) == list(range(600))
    share = validation.labels.bincount() - 0.1 * data.labels.bincount()
    assert share.abs().max() < 1
    assert torch.equal(validation.batch(torch.arange(60), 2)[0], validation.images.float() / 255)
    assert torch.equal(train.batch(torch.arange(5), 2)[0], data.batch(train.numbers[:5], 2)[0])
    assert torch.equal(split(data, 0.1, seed=0).validation.numbers, validation.numbers)
    assert not torch.equal(split(data, 0.1, seed=1).validation.numbers, validation.numbers)
    for wrong in (0.0, 1.0, -0.2):
        with pytest.raises(DataError, match="allowed"):
            split(data, wrong, seed=0)


def test_stratified_gives_the_largest_remainder():
    labels = torch.tensor([0] * 7 + [1] * 6 + [2] * 10)
    first, rest = stratified(labels, 0.25, 0, "p")
    # 1.75, 1.5, 2.5 of 23 * .25 = 5.75 -> 6: one more for the remainder .75, one more for the first .5.
    assert labels[first].bincount().tolist() == [2, 2, 2]
    assert sorted(first.tolist() + rest.tolist()) == list(range(23))


def test_some_of_each_takes_all_where_there_are_fewer_and_every_example_has_a_chance():
    labels = torch.tensor([0, 1] * 4 + [1])
    taken = [some_of_each(labels, torch.tensor([5, 2]), seed, "p")[0] for seed in range(60)]
    assert all(labels[t].bincount().tolist() == [4, 2] for t in taken)
    hits = torch.cat(taken).bincount(minlength=9)[labels == 1]
    assert (hits > 5).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cifar11", "train"), "unknown data set"),
        (("digits", "validation"), "allowed: train, test"),
        (("cifar10", "train"), "data_dir"),
        (("imagenet", "train"), "data_dir"),
    ],
)
def test_wrong_requests_are_one_clear_line(arguments, message):
    with pytest.raises(DataError, match=message) as error:
        load(*arguments)
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ValueError)


def test_random_resized_crop_is_refused_on_the_device():
    with pytest.raises(DataError, match="streamed"):
        load("digits", "train", augment=Augmentation((RandomResizedCrop(),)))


@pytest.mark.parametrize("name", [n for n in NAMES if n not in EMBEDDED])
def test_missing_data_say_what_is_missing_and_where(name, tmp_path):
    with pytest.raises(DataError, match=name) as error:
        load(name, "train", tmp_path)
    assert str(tmp_path) in str(error.value)
    assert "\n" not in str(error.value)
    place = next(p for p in survey(tmp_path) if p.name == name)
    assert not place.complete
    assert place.missing


def small_cifar(tmp_path, monkeypatch, name):
    """Files of the official form with 20 images a batch, whose checksums are then the accepted ones."""
    rng, sums, images, labels = np.random.default_rng(0), {}, [], []
    for part in ("train", "test"):
        for file, _ in archives.files_of(name, part):
            data = rng.integers(0, 256, (20, 3072), dtype=np.uint8)
            label = rng.integers(0, 10, 20).tolist()
            content = {"data": data, "labels": label, "fine_labels": label}
            if file.endswith("meta"):
                content = {"fine_label_names": [f"class {k}" for k in range(100)]}
            elif part == "train":
                images.append(data)
                labels += label
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(pickle.dumps(content))
            sums[file] = hashlib.md5(path.read_bytes()).hexdigest()
    listed = archives.files_of
    monkeypatch.setattr(archives, "files_of", lambda n, p: [(file, sums[file]) for file, _ in listed(n, p)])
    return np.concatenate(images), labels


@pytest.mark.parametrize(("name", "batches"), [("cifar10", 5), ("cifar100", 1)])
def test_cifar_files(name, batches, tmp_path, monkeypatch):
    images, labels = small_cifar(tmp_path, monkeypatch, name)
    data = load(name, "train", tmp_path)
    assert len(data) == 20 * batches
    assert data.labels.tolist() == labels
    assert data.n_classes == (10 if name == "cifar10" else 100)
    for c, row, column in ((0, 0, 0), (1, 3, 30), (2, 31, 5)):  # channel by channel, rows first
        assert data.images[7, c, row, column] == images[7, c * 1024 + row * 32 + column]


def test_a_tenth_of_cifar10(tmp_path, monkeypatch):
    images, labels = small_cifar(tmp_path, monkeypatch, "cifar10")
    tenth = load("cifar10-tenth", "train", tmp_path)
    assert len(tenth) == 10
    rows = {image.tobytes(): label for image, label in zip(images.reshape(-1, 3, 32, 32), labels, strict=True)}
    assert [rows[image.numpy().tobytes()] for image in tenth.images] == tenth.labels.tolist()
    assert tenth.images.equal(load("cifar10-tenth", "train", tmp_path).images)


def test_the_published_checksums_are_those_of_torchvision():
    datasets = pytest.importorskip("torchvision").datasets
    for name, kind in (("cifar10", datasets.CIFAR10), ("cifar100", datasets.CIFAR100), ("stl10", datasets.STL10)):
        for part in ("train", "test"):
            listed = [(f"{kind.base_folder}/{file}", md5) for file, md5 in getattr(kind, f"{part}_list")]
            if name == "cifar100":
                listed.append((f"{kind.base_folder}/{kind.meta['filename']}", kind.meta["md5"]))
            assert archives.files_of(name, part) == [f for f in listed if "unlabeled" not in f[0]]
    for part in ("train", "test"):
        assert archives.files_of("svhn", part) == [tuple(datasets.SVHN.split_list[part][1:])]
        flowers = [datasets.Flowers102._file_dict[key] for key in ("label", "setid")]
        assert archives.files_of("flowers102", part) == [(f"flowers-102/{file}", md5) for file, md5 in flowers]


def test_reading_cifar_imports_no_torchvision(tmp_path, monkeypatch):
    """Which takes as long as importing torch, in every job."""
    small_cifar(tmp_path, monkeypatch, "cifar10")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert len(load("cifar10", "train", tmp_path)) == 100


def test_a_pickle_with_another_checksum_is_never_loaded(tmp_path, monkeypatch):
    small_cifar(tmp_path, monkeypatch, "cifar10")

    class Bomb:
        def __reduce__(self):
            return Path.touch, (tmp_path / "exploded",)

    (tmp_path / "cifar-10-batches-py" / "data_batch_3").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match=r"data_batch_3 is damaged \(MD5"):
        load("cifar10", "train", tmp_path)
    assert not (tmp_path / "exploded").exists()


def accept(monkeypatch, folder, files):
    sums = [(file, hashlib.md5((folder / file).read_bytes()).hexdigest()) for file in files]
    monkeypatch.setattr(archives, "files_of", lambda name, part: sums)


def test_svhn_files(tmp_path, monkeypatch):
    io = pytest.importorskip("scipy.io")
    x = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 12), dtype=np.uint8)
    y = np.array([10, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 1], dtype=np.uint8)
    io.savemat(tmp_path / "train_32x32.mat", {"X": x, "y": y[:, None]})
    accept(monkeypatch, tmp_path, ["train_32x32.mat"])
    data = load("svhn", "train", tmp_path)
    assert data.labels.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert torch.equal(data.images[4, 2, 5], torch.from_numpy(x[5, :, 2, 4]))


def test_stl10_files(tmp_path, monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (3, 3, 96, 96), dtype=np.uint8)  # image, channel, column, row
    (tmp_path / "stl10_binary").mkdir()
    x.tofile(tmp_path / "stl10_binary/train_X.bin")
    np.array([1, 10, 4], dtype=np.uint8).tofile(tmp_path / "stl10_binary/train_y.bin")
    accept(monkeypatch, tmp_path, ["stl10_binary/train_X.bin", "stl10_binary/train_y.bin"])
    data = load("stl10", "train", tmp_path)
    assert data.labels.tolist() == [0, 9, 3]
    assert data.images[1, 2, 40, 7] == x[1, 2, 7, 40]


def test_survey_of_no_folder_finds_what_is_embedded():
    assert {place.name for place in survey(None) if place.complete} == set(EMBEDDED)
    assert {place.name for place in survey(None)} == set(NAMES)


def test_survey_sees_files_that_are_there(tmp_path, monkeypatch):
    small_cifar(tmp_path, monkeypatch, "cifar10")
    places = {place.name: place for place in survey(tmp_path)}
    assert places["cifar10"].complete
    assert places["cifar10"].path == tmp_path / "cifar-10-batches-py"
    (tmp_path / "cifar-10-batches-py/test_batch").unlink()
    missing = {place.name: place for place in survey(tmp_path)}["cifar10"]
    assert not missing.complete
    assert missing.missing == "cifar-10-batches-py/test_batch"


def test_what_cannot_be_downloaded_is_said(tmp_path):
    with pytest.raises(DataError, match="can be: cifar10"):
        download("imagenet", tmp_path)


@pytest.mark.realdata
def test_cifar10_equals_torchvisions():
    folder = os.environ.get("LEANAT_DATA_DIR")
    if folder is None or not (Path(folder) / "cifar-10-batches-py").is_dir():
        pytest.skip("LEANAT_DATA_DIR names no folder with CIFAR-10")
    from torchvision.datasets import CIFAR10

    for part, size in (("train", 50_000), ("test", 10_000)):
        data, source = load("cifar10", part, folder), CIFAR10(folder, train=part == "train")
        assert len(data) == size
        assert data.class_names == tuple(source.classes)
        assert data.labels.tolist() == source.targets
        assert np.array_equal(data.images.permute(0, 2, 3, 1).numpy(), source.data)
        assert data.labels.bincount().tolist() == [size // 10] * 10
    x = load("cifar10", "train", folder).images.float() / 255
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.tensor(data.mean), atol=1e-4, rtol=0)
    own = x.std((2, 3), unbiased=False).mean(0)  # each image's own deviation, averaged
    torch.testing.assert_close(own, torch.tensor(data.std), atol=2e-3, rtol=0)
    train, validation = split(load("cifar10", "train", folder), 0.1, seed=0)
    assert train.labels.bincount().tolist() == [4500] * 10
    assert validation.labels.bincount().tolist() == [500] * 10


def test_what_is_damaged_is_found_before_it_is_loaded(tmp_path, monkeypatch):
    small_cifar(tmp_path, monkeypatch, "cifar10")
    examine("cifar10", tmp_path, None)
    path = tmp_path / "cifar-10-batches-py/data_batch_4"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"^cifar10: .*data_batch_4 is damaged \(MD5"):
        examine("cifar10", tmp_path, None)
