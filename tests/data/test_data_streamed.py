from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from leanat.attacks.pgd import PGD
from leanat.attacks.threat import Linf
from leanat.core.rng import Draws
from leanat.data import (
    Augmentation,
    ColorJitter,
    Crop,
    DataError,
    Flip,
    RandomResizedCrop,
    archives,
    folders,
    load,
    split,
    survey,
)
from leanat.data.folders import CALTECH_TEST
from leanat.data.tensors import at_random
from leanat.evaluation.evaluate import evaluate, transfer

Image = pytest.importorskip("PIL.Image")
TRAIN = Augmentation((RandomResizedCrop(), Flip()))


def save(path, seed, size=(60, 48), mode="RGB"):
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse.resize(size, Image.Resampling.BICUBIC).convert(mode).save(path, quality=95)


@pytest.fixture
def imagenet(tmp_path):
    """Three classes with six training and two validation images each."""
    for part, count in (("train", 6), ("val", 2)):
        for k, wnid in enumerate(("n00000001", "n00000002", "n00000003")):
            for i in range(count):
                save(tmp_path / "ILSVRC2012" / part / wnid / f"{part}_{i}.JPEG", 100 * k + i + (part == "val") * 50)
    return tmp_path


def test_files_labels_and_shapes(imagenet):
    data = load("imagenet", "train", imagenet, augment=TRAIN)
    assert (len(data), data.n_classes, data.image_size) == (18, 3, 224)
    assert data.labels.bincount().tolist() == [6, 6, 6]
    x, y = data.batch(torch.tensor([0, 7, 17]), 0)
    assert x.shape == (3, 3, 224, 224)
    assert x.dtype == torch.float32
    assert 0 <= x.min() < x.max() <= 1
    assert y.tolist() == [0, 1, 2]


def test_evaluation_equals_torchvision(imagenet):
    transforms = pytest.importorskip("torchvision.transforms")
    data = load("imagenet", "test", imagenet, augment=TRAIN)
    assert len(data) == 6
    expected = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()])
    x, _ = data.batch(torch.arange(6), 0)
    for image, file in zip(x, data.files, strict=True):
        assert torch.equal(image, expected(Image.open(file)))


def test_equal_seeds_give_equal_batches_whatever_the_batch_and_what_was_announced(imagenet):
    first, second = (load("imagenet", "train", imagenet, seed=3, augment=TRAIN) for _ in range(2))
    order = torch.tensor([4, 9, 2, 4, 17, 0])
    second.prefetch(order, epoch=1, view=1)
    whole, _ = first.batch(order, 1, 1)
    parts = torch.cat([second.batch(part, 1, 1)[0] for part in order.split(2)])
    assert torch.equal(whole, parts)
    assert torch.equal(whole[0], whole[3])
    for other in (first.batch(order, 2, 1), first.batch(order, 1, 0)):
        assert not torch.equal(other[0], whole)
    different = load("imagenet", "train", imagenet, seed=4, augment=TRAIN)
    assert not torch.equal(different.batch(order, 1, 1)[0], whole)


def test_decoding_keeps_to_the_window_and_forgets_what_was_used(imagenet):
    data = replace(load("imagenet", "train", imagenet, augment=TRAIN), window=5)
    order = torch.randperm(18)
    data.prefetch(order, 0)
    for part in order.split(4):
        assert len(data._decoded) <= 5
        data.batch(part, 0)
    assert not data._decoded
    assert not data._coming
    data.prefetch(order, 1)
    data.prefetch(order[:3], 2)
    assert {ask[1] for ask in data._decoded} == {2}


def test_decoded_ahead_is_what_batches_use(imagenet, monkeypatch):
    data = load("imagenet", "train", imagenet, augment=TRAIN)
    index = torch.arange(6)
    data.prefetch(index, 0)
    [future.result() for future in data._decoded.values()]
    opened = []
    monkeypatch.setattr(Image, "open", lambda *a: opened.append(a))
    data.batch(index, 0)
    assert not opened


def test_an_evaluation_decodes_ahead_what_it_will_look_at(imagenet, monkeypatch):
    """All images without an attack, then those that are right; without a word the network waits for each batch's files."""
    data = load("imagenet", "test", imagenet)
    told, tell = [], type(data).prefetch
    monkeypatch.setattr(
        type(data), "prefetch", lambda self, index, *rest: (told.append(index.tolist()), tell(self, index, *rest))
    )
    net = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3)).eval()
    with torch.no_grad():
        right = net(data.batch(torch.arange(6), 0)[0]).argmax(1) == data.labels
    outcome = evaluate(net, data, PGD(Linf(0.01), 1, 0.01, "uniform"), seed=0, batch=4)
    assert told == [list(range(6)), right.nonzero()[:, 0].tolist()]
    assert outcome.clean_correct.tolist() == right.tolist()
    assert not data._decoded
    told.clear()
    transfer({"a": net}, {"a": net}, PGD(Linf(0.01), 1, 0.01, "uniform"), data, seed=0, batch=4)
    assert told == [list(range(6))] * 2


def test_batched_pieces_follow_the_crop(imagenet):
    plain = load("imagenet", "train", imagenet, augment=Augmentation((RandomResizedCrop(),)))
    pieces = (RandomResizedCrop(), Flip(), ColorJitter(0.1, 0.1, 0.1), Crop(4))
    full = load("imagenet", "train", imagenet, augment=Augmentation(pieces))
    index = torch.arange(18)
    expected = Augmentation(pieces[1:])((plain.batch(index, 0)[0] * 255).round().byte(), Draws(0, 0, index))
    assert torch.equal(full.batch(index, 0)[0], expected)
    with pytest.raises(DataError, match="first"):
        load("imagenet", "train", imagenet, augment=Augmentation(pieces[::-1]))


def test_parts_keep_their_numbers(imagenet):
    data = load("imagenet", "train", imagenet, augment=TRAIN)
    train, validation = split(data, 1 / 3, seed=0)
    assert validation.labels.bincount().tolist() == [2, 2, 2]
    assert torch.equal(train.batch(torch.tensor([1, 5]), 3)[0], data.batch(train.numbers[[1, 5]], 3)[0])
    assert torch.equal(validation.batch(torch.arange(6), 0)[0], data.plain().batch(validation.numbers, 9)[0])


def test_a_truncated_image_is_named(imagenet):
    bad = imagenet / "ILSVRC2012/train/n00000002/train_3.JPEG"
    bad.write_bytes(bad.read_bytes()[:200])
    data = load("imagenet", "train", imagenet, augment=TRAIN)
    good = torch.arange(9)
    data.batch(good, 0)
    with pytest.raises(DataError, match=r"cannot read image .*n00000002/train_3\.JPEG") as error:
        data.batch(torch.arange(18), 0)
    assert "\n" not in str(error.value)
    bad.write_text("not an image")
    with pytest.raises(DataError, match="train_3"):
        data.batch(torch.arange(18), 1)
    bad.unlink()
    with pytest.raises(DataError, match="train_3"):
        data.batch(torch.arange(18), 2)


def test_grey_and_indexed_images_become_colour(tmp_path):
    for k, mode in enumerate(("L", "CMYK")):
        for part in ("train", "val"):
            save(tmp_path / f"ILSVRC2012/{part}/n{k}/a.jpg", k, mode=mode)
    assert load("imagenet", "train", tmp_path, augment=TRAIN).batch(torch.arange(2), 0)[0].shape == (2, 3, 224, 224)


def test_a_class_without_validation_images_is_named(imagenet):
    for file in (imagenet / "ILSVRC2012/val/n00000002").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"no images in .*n00000002"):
        load("imagenet", "test", imagenet)
    (imagenet / "ILSVRC2012/val/n00000002").rmdir()
    with pytest.raises(DataError, match=r"1 class folders are missing .* n00000002"):
        load("imagenet", "test", imagenet)


def test_imagenet200_is_its_list(tmp_path):
    wnids = folders.imagenet200()
    assert len(set(wnids)) == 200
    assert list(wnids) == sorted(wnids)
    for part in ("train", "val"):
        for wnid in (*wnids, "n99999999"):
            (tmp_path / "ILSVRC2012" / part / wnid).mkdir(parents=True)
            (tmp_path / "ILSVRC2012" / part / wnid / "a.JPEG").touch()
    data = load("imagenet200", "train", tmp_path)
    assert (len(data), data.class_names) == (200, wnids)
    assert next(p for p in survey(tmp_path) if p.name == "imagenet200").complete
    (tmp_path / "ILSVRC2012/train" / wnids[7] / "a.JPEG").unlink()
    (tmp_path / "ILSVRC2012/train" / wnids[7]).rmdir()
    with pytest.raises(DataError, match=wnids[7]):
        load("imagenet200", "train", tmp_path)


def test_imagenet200_is_imagenet_a_as_timm_lists_it():
    timm = pytest.importorskip("timm")
    listed = Path(timm.__file__).parent / "data/_info/imagenet_a_synsets.txt"
    assert set(listed.read_text().split()) == set(folders.imagenet200())


def test_imagenet12_groups_are_what_they_are_called():
    """Each super-class, against the descriptions of WordNet that timm carries."""
    info = pytest.importorskip("timm.data").ImageNetInfo("imagenet-1k")
    names = {wnid: info.label_name_to_description(wnid) for wnid in info.label_names()}
    groups = {k: [w for w in names if low <= w <= high] for k, (low, high) in folders.IMAGENET12.items()}
    assert [len(g) for g in groups.values()] == [118, 5, 3, 5, 21, 18, 9, 4, 20, 17, 6, 7]
    assert len(set().union(*groups.values())) == sum(map(len, groups.values()))
    for low, high in folders.IMAGENET12.values():
        assert {low, high} <= set(names)
    for name in ("cat", "snake", "spider", "crab", "turtle"):
        described = [names[w] for w in groups[name]]
        assert any(name in d for d in described), described


def test_imagenet12(tmp_path):
    for part in ("train", "val"):
        for low, high in folders.IMAGENET12.values():
            for wnid in {low, high}:
                (tmp_path / "ILSVRC2012" / part / wnid).mkdir(parents=True)
                (tmp_path / "ILSVRC2012" / part / wnid / "a.JPEG").touch()
    data = load("imagenet12", "test", tmp_path)
    assert data.class_names[0] == "dog"
    assert data.labels.bincount().tolist() == [2] * 12


def test_mini_imagenet_parts(tmp_path):
    for k in range(3):
        (tmp_path / f"mini-imagenet/n{k}").mkdir(parents=True)
        for i in range(60):
            (tmp_path / f"mini-imagenet/n{k}/{i:03}.jpg").touch()
    train, test = (load("mini-imagenet", part, tmp_path) for part in ("train", "test"))
    assert train.labels.bincount().tolist() == [50] * 3
    assert test.labels.bincount().tolist() == [10] * 3
    assert len(set(train.files) | set(test.files)) == 180
    assert load("mini-imagenet", "test", tmp_path).files == test.files


def test_tiny_imagenet(tmp_path):
    root = tmp_path / "tiny-imagenet-200"
    for k in range(2):
        for i in range(3):
            save(root / f"train/n{k}/images/n{k}_{i}.JPEG", i, size=(64, 64))
        save(root / f"val/images/val_{k}.JPEG", k, size=(64, 64))
    (root / "val/val_annotations.txt").write_text("val_0.JPEG\tn1\t0\t0\t1\t1\nval_1.JPEG\tn0\t0\t0\t1\t1\n")
    with (root / "val/val_annotations.txt").open("a") as file:
        file.write("val_2.JP\n")
    with pytest.raises(
        folders.DataError, match=r"^tiny-imagenet: .*val_annotations.txt: entry 3 has no class; [^\n]*$"
    ):
        load("tiny-imagenet", "test", tmp_path)
    (root / "val/val_annotations.txt").write_text("val_0.JPEG\tn1\t0\t0\t1\t1\nval_1.JPEG\tn0\t0\t0\t1\t1\n")
    (root / "val/images/val_1.JPEG").rename(root / "val_1.JPEG")
    with pytest.raises(
        folders.DataError, match=r"^tiny-imagenet: 1 of 2 images are missing, the first is .*val_1.JPEG$"
    ):
        load("tiny-imagenet", "test", tmp_path)
    (root / "val_1.JPEG").rename(root / "val/images/val_1.JPEG")
    train = load("tiny-imagenet", "train", tmp_path, augment=Augmentation((Crop(4), Flip())))
    test = load("tiny-imagenet", "test", tmp_path)
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert test.labels.tolist() == [1, 0]
    x, _ = test.batch(torch.arange(2), 0)
    assert torch.equal((x[1] * 255).byte().permute(1, 2, 0), torch.from_numpy(np.array(Image.open(test.files[1]))))
    assert train.batch(torch.arange(6), 0)[0].shape == (6, 3, 64, 64)


@pytest.mark.parametrize(("notes", "said"), [(b"", "names no image"), (b"\xe9\n", "entry 1 has no class")])
def test_a_list_of_tiny_imagenet_that_is_damaged(tmp_path, notes, said):
    for k in range(2):
        (tmp_path / f"tiny-imagenet-200/train/n{k}").mkdir(parents=True)
    (tmp_path / "tiny-imagenet-200/val").mkdir()
    (tmp_path / "tiny-imagenet-200/val/val_annotations.txt").write_bytes(notes)
    with pytest.raises(DataError, match=f"^tiny-imagenet: .*val_annotations.txt:? {said}"):
        load("tiny-imagenet", "test", tmp_path)


def test_caltech256_parts(tmp_path):
    root = tmp_path / "caltech256/256_ObjectCategories"
    for k, count in enumerate((80, 65)):
        folder = root / f"{k + 1:03}.thing"
        folder.mkdir(parents=True)
        for i in range(count):
            (folder / f"{k + 1:03}_{i + 1:04}.jpg").touch()
        (folder / "RENAME2").touch()
    train, test = (load("caltech256", part, tmp_path) for part in ("train", "test"))
    assert (len(train), len(test)) == (116, 29)  # 80 % of 145
    assert set(train.labels.tolist()) == set(test.labels.tolist()) == {0, 1}
    assert not set(train.files) & set(test.files)
    whole = [len(part) for part in at_random(torch.zeros(30607), int((1 - CALTECH_TEST) * 30607), 0, "caltech256")]
    facts = yaml.safe_load((Path(__file__).parents[2] / "config/datasets.yaml").read_text())["caltech256"]
    assert whole == [24485, 6122] == [facts["train"], facts["test"]]  # 191 mini-batches of 128; SAT's code: 6,122


def test_flowers102_parts(tmp_path, monkeypatch):
    import hashlib

    io = pytest.importorskip("scipy.io")
    root = tmp_path / "flowers-102"
    for i in (1, 2, 3, 4):
        save(root / f"jpg/image_{i:05}.jpg", i)
    io.savemat(root / "imagelabels.mat", {"labels": np.array([[7, 102, 1, 55]])})
    io.savemat(root / "setid.mat", {"trnid": np.array([[4, 1]]), "valid": np.array([[2]]), "tstid": np.array([[3]])})
    files = [
        (f"flowers-102/{n}", hashlib.md5((root / n).read_bytes()).hexdigest()) for n in ("imagelabels.mat", "setid.mat")
    ]
    monkeypatch.setattr(archives, "files_of", lambda name, part: files)
    train, test = (load("flowers102", part, tmp_path) for part in ("train", "test"))
    assert train.labels.tolist() == [54, 6]
    assert [f[-9:] for f in train.files] == ["00004.jpg", "00001.jpg"]
    assert test.labels.tolist() == [101]
    (root / "jpg/image_00002.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of 1 images are missing.*image_00002"):
        load("flowers102", "test", tmp_path)
