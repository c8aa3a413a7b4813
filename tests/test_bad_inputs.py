"""Bad inputs: what a user gets wrong, what is said, and the exit status. Nothing is accepted, nothing ends in a traceback.

The configuration is the smallest: the paper of docs/adding.md, as they stand there.
"""

import argparse
import dataclasses
import io
import re
import shutil
import socket
import struct
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace

import mine
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from leanat import cli, data, options
from leanat.core import files
from leanat.data import archives, folders
from leanat.models import foreign
from leanat.plan import needed, settings, structure
from leanat.runs import experiment, identity

ROOT = Path(__file__).parents[1]


def answer(capsys, words):
    """Exit status and what stands on standard error; an exception that is no answer fails the test by itself."""
    try:
        status = cli.main([str(word) for word in words])
    except SystemExit as error:
        status = error.code
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return status, said


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project of one paper."""
    mine.make_importable(monkeypatch, tmp_path / "papers")
    return mine.write_project(tmp_path)


def test_the_configuration_without_faults_is_right(root, capsys):
    assert answer(capsys, ["check", "--config-dir", root / "config"]) == (0, "")


PAPER, SCALE, SETS, CONFIG, PRINT = (
    "papers/mine/experiments.py",
    "papers/mine/scales.py",
    "config/datasets.yaml",
    "config/config.yaml",
    "published/mine.csv",
)
HALF = 'part("random", fraction=0.5)'
CLEAN, PGD = 'accuracy("Clean",', '"PGD-20", "pgd20"'
CONFIGURATIONS = [
    # (file, text, in its place, said)
    (PAPER, "eps=8 / 255", "eps=8", "eps: 40; allowed: 0 to 1"),
    (PAPER, "pgd(3, 4 / 255)", "pgd(3, 4)", "spec.method.attack.pgd.step_size: 20; allowed: 0 to 1"),
    (PAPER, 'part("linf", eps=8 / 255)', 'part("l2", eps=128)', "threat.l2.eps: 326.4; allowed: 0 to 8"),
    (PAPER, HALF, 'part("random", count=600)', "600 examples to leave out; allowed: below 600"),
    (PAPER, HALF, 'part("random", fraction=1.5)', "fraction 1.5; allowed: above 0, at most 1"),
    (PAPER, HALF, 'part("loss_rank", count=5000)', "5000 examples to leave out; allowed: below 600"),
    (PAPER, HALF, 'part("every", period=1, warmup=30, inner="everything")', "selection would never come"),
    (PAPER, '"data": "cifar10"}', '"data": "cifra10"}', "there is no data 'cifra10'; did you mean cifar10?"),
    (PAPER, '"model": "resnet18"', '"model": "resnet81"', "no network 'resnet81'; did you mean resnet18?"),
    (PAPER, 'suite="main"', 'suite="mian"', "there is no suite 'mian'; did you mean main?"),
    (PAPER, PGD, '"PGD-20", "pgd02"', "no metric 'pgd02'; did you mean pgd20?"),
    (PAPER, CLEAN, CLEAN + ' "claen",', "no metric 'claen'; did you mean clean?"),
    (PAPER, CLEAN, CLEAN + ' "history.los",', "no column 'los' of the history; did you mean loss?"),
    (PAPER, CLEAN, CLEAN + ' "history.loss@2",', "after which share of the epochs? allowed: 0 to 1"),
    (PAPER, CLEAN, CLEAN + ' "history.watch_gap",', "no column 'watch_gap' of the history; allowed: backward"),
    (PAPER, CLEAN, CLEAN + ' "metrics.epoch",', "no number 'epoch' in the metrics; did you mean epochs?"),
    (PAPER, CLEAN, CLEAN + ' "metrics.clean",', "no number 'clean' in the metrics; allowed: epoch_kept"),
    (PAPER, CLEAN, CLEAN + ' "metrics.planted_difficulty",', "difficulty@0 to metrics.planted_difficulty@9"),
    (PAPER, CLEAN, CLEAN + ' "validation",', "no validation examples; set data.validation"),
    (PAPER, PGD, '"PGD-20", "pgd20@10"', "no class '10'; allowed: 0 to 9, A, B"),
    (PAPER, PGD, '"PGD-20", "pgd20@first 9/8"', "no class 'first 9/8'; allowed: 0 to 9, A, B, or a share: first 8/9"),
    (PAPER, PGD, '"PGD-20", "masking"', "no metric 'masking'; allowed:"),
    (PAPER, PGD, '"PGD-20", "pgd20-clean-pgd20"', "one difference, a-b, at most"),
    (PAPER, '{"column": "Clean"}', '{"column": "Claen"}', "has no column 'Claen'; nearest: 'Clean'"),
    (PAPER, '{"item": "table1"', '{"item": "tabel1"', "has no item 'tabel1'; nearest: 'table1'"),
    (PRINT, "A random half", "A random third", "has no row 'A random half'"),
    (PRINT, "50,%", "fifty,%", "value 'fifty' is neither a number nor NA nor LOST"),
    (PAPER, '["full", "half"]', '["full", "hafl"]', "there is no method 'hafl'; did you mean half?"),
    (PAPER, 'kind="table"', 'kind="tabel"', "'tabel' is not allowed; did you mean table?"),
    (PAPER, "epochs=30", 'epochs="thirty"', "spec.recipe: epochs 'thirty'; allowed: a whole number, 1 or more"),
    (PAPER, '"batch": 128', '"batsh": 128', "unknown key 'batsh'; did you mean batch?"),
    (PAPER, '"full": "everything"', '"full": "evrything"', "no selector 'evrything'; did you mean everything?"),
    (PAPER, "seeds=3", "seeds=0", "seeds: 0 is not allowed; a whole number from 1"),
    (PAPER, "seeds=3", "seeds=[3]", "seeds: [3] is not allowed; a whole number from 1"),
    (SCALE, 'return "digits"', 'return "digist"', "there is no data set 'digist'; did you mean digits?"),
    (SETS, "digits:        {train: 600,", "digits:        {train: -600,", "digits.train: -600 is not allowed; a whole"),
    (SETS, "digits:        {train: 600, ", "digits:        {", "digits.train: None is not allowed"),
    (SETS, "classes: 10, channels: 1, size: 8}", "classes: 10, channels: 1, sise: 8}", "unknown key 'sise'; did you mean size?"),
    (CONFIG, "scale: demo", "scale: dmeo", "config.yaml: scale: there is no scale 'dmeo'; did you mean demo?"),
    (CONFIG, "seeds: null", "seeds: 100000", "config.yaml: seeds: 100000 is not allowed; at most 1000"),
    (CONFIG, "seeds: null", "seeds: null\nseeds: 2", "key 'seeds' twice"),
    (CONFIG, "seeds: null", " seeds: null", "not valid YAML"),
    (CONFIG, "results: results", 'results: ""', "config.yaml: results: '' is not allowed; a folder"),
    (CONFIG, "results: results", 'results: "a{b}"', "results: 'a{b}' is not allowed; { and } are Snakemake's wildcards"),
    (CONFIG, "results: results", "results: $SCRATCH/out", "$SCRATCH/out is not allowed; only a shell puts in variables"),
    (CONFIG, "data_dir: null", 'data_dir: "/data/${USER}"', "data_dir: /data/${USER} is not allowed; only a shell"),
    (CONFIG, "papers: [mine]", "papers: []", "config.yaml: papers: [] is not allowed; names of papers, or null for all"),
    (CONFIG, "device: auto", "device: tpu", "config.yaml: device: 'tpu' is not allowed; allowed: auto, cpu, cuda, cuda:N"),
    (CONFIG, "device: auto", "device: cuda:01", "device: 'cuda:01' is not allowed; allowed: auto, cpu, cuda, cuda:N"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.lr.lr: 1e999}}}", "lr '1e999'; allowed: a finite number"),
    (CONFIG, "other_counts: false", "other_counts: perhaps", "other_counts: 'perhaps' is not allowed; expected bool"),
    (CONFIG, "papers: [mine]", "papers: [mien]", "config.yaml: papers: there is no paper 'mien'; did you mean mine?"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.bacth: 64}}}", "no run has 'recipe.bacth'; did you mean recipe.batch?"),
    (CONFIG, "change: {}", "change: {mine: {half: {batch: 64}}}", "no run has 'batch'; did you mean recipe.batch?"),
    (CONFIG, "change: {}", "change: {mine: {hafl: {recipe.batch: 64}}}", "yaml: change: mine has no method 'hafl'; did you"),
    (CONFIG, "change: {}", "change: {mine: 3}", "change.mine: a mapping of methods (or all) is expected, got 3"),
    (CONFIG, "change: {}", "change: {mine: {half: [1]}}", "change.mine.half: a mapping of fields to values is expected, got [1]"),
    (CONFIG, "change: {}", "change: {mine: {half: null}}", "change.mine.half: a mapping of fields to values is expected"),
    (CONFIG, "change: {}", "change: {mien: {}}", "change: there is no paper 'mien'; did you mean mine?"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.lr.lr: 2026-01-01}}}", "datetime.date(2026, 1, 1) is not"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.epochs: !!binary aGVsbG8=}}}", "b'hello' is not allowed"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.epochs: !!set {a}}}}", "{'a'} is not allowed; allowed: text, a finite"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.lr.lr: .nan}}}", "recipe.lr.lr: nan is not allowed; allowed: text"),
    (CONFIG, "change: {}", "change: &a {mine: *a}", "config.yaml: change.mine: an alias of a value that it is a part of"),
    (CONFIG, "seeds: null", "seeds: null\n? [a, b]\n: 3", ": not valid YAML: a key that is no text"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe: 1}}}", "half.recipe: not a whole part; name"),
    (CONFIG, "change: {}", "change: {mine: {half: {data.name: shapes10}}}", "data.name cannot be changed here: items name"),
    (CONFIG, "change: {}", "change: {mine: {all: {model.name: mlp}}}", "model.name cannot be changed here: items name"),
    (
        CONFIG,
        "change: {}",
        "change: {mine: {all: {recipe.batch: 32}, full: {recipe.batch: 16}, half: {recipe.batch: 16}}}",
        "mine.all: recipe.batch stands in no run; another change replaces it in all of them",
    ),
    (CONFIG, "change: {}", "change: {mine: {half: {seed: 3}}}", "seed cannot be changed here: seeds"),
    (CONFIG, "change: {}", "change: {mine: {half: {code: 3}}}", "code cannot be changed here"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.batch: 1000000}}}", "spec.recipe.batch: 1000000; allowed: up to 600"),
    (CONFIG, "change: {}", "change: {mine: {half: {data.augment: [{crop: {pad: 8}}]}}}", "crop.pad: 8; allowed: below 8"),
    (CONFIG, "change: {}", "change: {mine: {half: {data.augment: [{cutout: {size: 9}}]}}}", "cutout.size: 9; allowed: up"),
    (CONFIG, "change: {}", "change: {mine: {half: {data.augment: [flip, flip]}}}", "flip is given 2 times; allowed: once"),
    (CONFIG, "change: {}", "change: {mine: {half: {recipe.batch: many}}}", "spec.recipe: batch 'many'; allowed: a whole number"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "text", "instead", "said"), CONFIGURATIONS, ids=[c[3][:60] for c in CONFIGURATIONS])
def test_a_configuration_that_cannot_be_meant(root, capsys, file, text, instead, said):
    path = root / file
    assert text in path.read_text()
    path.write_text(path.read_text().replace(text, instead, -1 if file == PRINT else 1))
    status, err = answer(capsys, ["check", "--config-dir", root / "config"])
    assert status == 1
    assert said in err
    assert all(line.startswith("leanat: ") for line in err.splitlines())
    assert len(err.splitlines()) <= 8


@pytest.mark.parametrize(
    ("words", "source"),
    [([], "config/config.yaml"), (["--set", "change={mine: {half: {recipe.batch: 0}}}"], "command line")],
)
def test_a_value_that_the_user_changed_is_not_blamed_on_the_paper_alone(root, capsys, words, source):
    path = root / CONFIG
    path.write_text(path.read_text().replace("change: {}", "change: {mine: {half: {recipe.batch: many}}}"))
    status, err = answer(capsys, ["check", "--config-dir", root / "config", *words])
    assert status == 1
    value = "0" if words else '"many"'
    assert f"experiments.py with change mine.half: recipe.batch {value} of " in err
    assert source in err.partition(": run ")[0]


def test_a_row_that_the_paper_does_not_have_is_one_line_for_all_columns_and_says_how_to_mark_it(root, capsys):
    (root / PRINT).write_text((root / PRINT).read_text().replace("A random half", "A random third"))
    _, err = answer(capsys, ["check", "--config-dir", root / "config"])
    assert err.count("has no row 'A random half'") == 1
    assert 'a row of your own is marked "ours": True' in err


def test_latin_1(root, capsys):
    path = root / CONFIG
    path.write_bytes("# Über alles\n".encode("latin-1") + path.read_bytes())
    status, err = answer(capsys, ["check", "--config-dir", root / "config"])
    assert status == 1
    assert f"{path}:1: not UTF-8; save it as UTF-8" in err


NET = ["attack", "--suite", "mine", "--model", "net.pt", "--data"]
WORDS = [
    (["check", "--config-dir", "nowhere"], 1, "nowhere/config.yaml: no such file; run in the checkout, or name its folder"),
    (["check", "--set", "seeds=100000"], 1, "command line (--config or --set): seeds: 100000 is not allowed"),
    (["check", "--set", "gpus=true"], 1, "command line (--config or --set): gpus: True is not allowed; expected int"),
    (["check", "--set", "sead=3"], 1, "command line (--config or --set): unknown key 'sead'; did you mean seeds?"),
    (["train", "x", "--processes", "0"], 2, "--processes: 0 is not allowed; a whole number from 1"),
    (["train", "x", "--jobs-per-gpu", "0"], 2, "--jobs-per-gpu: 0 is not allowed"),
    (["cost", "all", "--deadline", "-1"], 2, "--deadline: -1 is not allowed; hours, a number above 0"),
    (["cost", "all", "--deadline", "nan"], 2, "--deadline: nan is not allowed"),
    (["cost", "all", "--devices", "0"], 2, "--devices: 0 is not allowed"),
    (["time", "qtart", "--batch", "0"], 2, "--batch: 0 is not allowed"),
    (["time", "qtart", "--threads", "0"], 2, "--threads: 0 is not allowed"),
    (["table", "mine/table1", "--out", "x.tex"], 2, "--out: x.tex is not allowed; a name that ends in .pdf"),
    (["table", "mine/table1", "--keep", "/dev/null"], 2, "--keep: /dev/null is not allowed; a name that ends in .csv"),
    (["time", "mine", "--out", "/dev/null"], 2, "--out: /dev/null is not allowed; a name that ends in .json"),
    (["attack", "--suite", "mine"], 1, "attack: which network? Name runs, or --model FILE with --network and --data"),
    (["attack", "--suite", "mine/man", "x"], 1, "mine has no suite 'man'; did you mean main?"),
    (["attack", "--suite", "mine", "x", "--model", "y.pt"], 1, "either runs, or --model and --network; not both"),
    (["attack", "--suite", "mine", "x", "--precision", "bf16"], 1, "attack: --precision bf16: of --model and --network alone"),
    (["attack", "--suite", "mine", "x", "--examples", "9"], 1, "attack: --examples: of --model and --network alone; a run is"),
    (["attack", "--suite", "mine", "x", "--data", "digits", "--out", "y"], 1, "attack: --data, --out: of --model"),
    (["attack", "--suite", "mine", "x", "--mean", "0", "--std", "1", "--size", "8"], 1, "--mean, --std, --size: of --model"),
    (["attack", "--suite", "mine", "config/x"], 1, "attack: config/x: not in results/runs; name its folder of results"),
    (["attack", "--suite", "mine", "results/runs/x"], 1, "attack: no item evaluates run 'results/runs/x' by suite"),
    (["attack", "--suite", "mine", "--model", "y.pt", "--examples", "0"], 2, "--examples: 0 is not allowed"),
    (["attack", "--suite", "mine", "--model", "y.pt", "--mean", "a,b"], 2, "--mean: a,b is not allowed; numbers with commas"),
    (["attack", "--suite", "mine", "--network", "timm:resnet18"], 1, "needs a file of weights, --model FILE"),
    (["attack", "--suite", "mine", "--model", "y.h5", "--data", "digits"], 1, "y.h5: no such file"),
    ([*NET, "digits", "--network", "timm:resnet81"], 1, "timm has no network 'resnet81'"),
    ([*NET, "folder:none", "--network", "timm:resnet18"], 1, "net.pt: not a timm:resnet18"),
    ([*NET, "folder:none", "--network", "resnet18"], 1, "folder:none: no such folder"),
    ([*NET, "digits", "--network", "resnet_tiny", "--mean", "0.3"], 1, "--mean and --std: both are needed"),
    ([*NET, "digits", "--network", "resnet_tiny", "--mean", "125", "--std", "60"], 1, "allowed are those of pixels in [0, 1]"),
    ([*NET, "digits", "--network", "resnet_tiny", "--mean", "nan", "--std", "0.3"], 1, "allowed are those of pixels in [0, 1]"),
    (["data", "nowhere"], 1, "data: nowhere: no such folder"),
    (["data", "."], 1, "holds none of these data sets"),
    (["data", "--download", "cifar10"], 1, "which folder to? leanat data DIR --download cifar10"),
    (["data", ".", "--need", "cifar10"], 1, "data: missing in .: cifar10"),
    (["data", ".", "--need", "cifra10"], 1, "no data set 'cifra10'; did you mean cifar10?"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "status", "said"), WORDS, ids=[" ".join(w[0])[:60] for w in WORDS])
def test_words_that_cannot_be_meant(root, capsys, monkeypatch, words, status, said):
    monkeypatch.chdir(root)
    torch.save({"x": torch.ones(2)}, "net.pt")
    assert answer(capsys, words)[0] == status
    assert said in " ".join(answer(capsys, words)[1].split())


def test_a_device_that_does_not_exist(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    torch.save({"x": torch.ones(2)}, "net.pt")
    words = [
        "attack",
        "--suite",
        "mine",
        "--model",
        "net.pt",
        "--data",
        "digits",
        "--network",
        "resnet_tiny",
        "--device",
    ]
    assert answer(capsys, [*words, "tpu"]) == (
        1,
        "leanat: device: 'tpu' is not allowed; allowed: auto, cpu, cuda, cuda:N\n",
    )


@pytest.mark.parametrize("text", ["{}", "[]", '{"clean": {}}', "\x00", "NaN"])
def test_metrics_that_hold_nothing(root, capsys, monkeypatch, text):
    monkeypatch.chdir(root)
    for run in structure.load(root / "config").items["mine/table1"].runs:
        (root / "results" / "runs" / run).mkdir(parents=True)
        (root / "results" / "runs" / run / "metrics.json").write_text(text)
    status, err = answer(capsys, ["table", "mine/table1", "--out", "x.pdf"])
    assert status == 1
    assert "metrics.json: " in err
    assert len(err.splitlines()) == 1


def test_the_home_folder_is_meant_by_a_tilde(root, monkeypatch):
    monkeypatch.setenv("HOME", "/home/of/somebody")
    grid = structure.load(root / "config", {"results": "~/out", "data_dir": "~/data"})
    assert (grid.settings["results"], grid.settings["data_dir"]) == ("/home/of/somebody/out", "/home/of/somebody/data")
    arguments = cli.parser().parse_args(["table", "mine/table1", "--results", "~/out"])
    assert str(arguments.results) == "/home/of/somebody/out"


def test_a_home_folder_that_is_not_there(root, capsys, monkeypatch):
    why = "~nobody-here/x is not allowed; there is no such home folder"
    for key in ("results", "data_dir"):
        status, err = answer(capsys, ["check", "--config-dir", root / "config", "--set", f"{key}=~nobody-here/x"])
        assert (status, err.partition(": ")[2]) == (1, f"command line (--config or --set): {key}: {why}\n")
    status, err = answer(capsys, ["watch", "--once", "--results", "~nobody-here/x"])
    assert (status, err.splitlines()[-1]) == (2, f"leanat watch: error: argument --results: {why}")
    monkeypatch.setenv("LEANAT_RESULTS", "~nobody-here/x")
    assert answer(capsys, ["watch", "--once"]) == (1, f"leanat: LEANAT_RESULTS: {why}\n")


# Folders of images


def png(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


@pytest.fixture
def photos(tmp_path):
    for c in ("b", "c"):
        for i in range(3):
            png(tmp_path / "photos" / c / f"{i}.png", np.full((8, 8, 3), 40 * i, np.uint8))
    return tmp_path / "photos"


def test_what_programs_leave_behind_is_no_class_and_no_image(photos, caplog):
    png(photos / ".ipynb_checkpoints" / "0.png", np.zeros((8, 8, 3), np.uint8))
    png(photos / "__MACOSX" / "0.png", np.zeros((8, 8, 3), np.uint8))
    (photos / "b" / "._0.png").write_bytes(b"resource fork")
    (photos / "b" / "notes.txt").write_text("x")
    (photos / "c" / "3.gif").write_text("x")
    (photos / "list.csv").write_text("x")
    found = data.load_folder(str(photos))
    assert found.class_names == ("b", "c")
    assert found.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert "3 files are ignored" in caplog.text
    assert "list.csv" in caplog.text


@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_are_scaled(photos, channels):
    levels = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    for c in ("b", "c"):
        for i in range(3):
            png(photos / c / f"{i}.png", levels)
    x, _ = data.load_folder(str(photos), channels=channels).batch(torch.tensor([0]), 0)
    assert x.shape == (1, channels, 8, 8)
    expected = torch.tensor(levels.astype(np.float64) / 65535, dtype=torch.float32)
    assert (x[0] - expected).abs().max() <= 0.5 / 255 + 1e-6


def big(path, side):
    """A PNG that says it is large and holds nothing."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def damage(kind, path):
    match kind:
        case "text":
            path.write_text("no image")
        case "empty":
            path.write_bytes(b"")
        case "cut short":
            Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
            path.write_bytes(path.read_bytes()[:2000])
        case "huge":
            big(path, 20_000)
        case "a bomb":
            big(path, 100_000)
        case "floats":
            Image.fromarray(np.ones((8, 8), np.float32)).save(path, format="TIFF")
        case "a ribbon":
            Image.fromarray(np.zeros((1, 30_000, 3), np.uint8)).save(path)


@pytest.mark.parametrize("kind", ["text", "empty", "cut short", "huge", "a bomb", "floats", "a ribbon"])
def test_an_image_that_cannot_be_used_is_named(photos, kind):
    damage(kind, photos / "b" / "1.png")
    with pytest.raises(data.DataError) as error:
        data.load_folder(str(photos), size=64).batch(torch.arange(6), 0)
    assert str(photos / "b" / "1.png") in str(error.value)
    assert "\n" not in str(error.value)


def test_orientation_is_not_applied_and_said(photos, caplog):
    image = Image.fromarray(np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(photos / "b" / "0.png", exif=exif)
    x, _ = data.load_folder(str(photos)).batch(torch.tensor([0]), 0)
    assert torch.equal((255 * x[0]).round().byte().permute(1, 2, 0), torch.from_numpy(np.array(image)))
    assert "EXIF says to turn" in caplog.text


def test_pixels_are_good_whose_exif_is_damaged(photos, caplog):
    """As of some photographs of ImageNet: torchvision's ImageFolder reads them, too."""
    image = Image.fromarray(np.full((8, 8, 3), 90, np.uint8))
    image.save(photos / "b" / "0.jpg", exif=b"Exif\0\0no header of TIFF", dpi=(72, 72))
    image.save(photos / "b" / "1.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01", dpi=(72, 72))
    x, _ = data.load_folder(str(photos)).batch(torch.arange(5), 0)
    assert (x[[0, 2]] - 90 / 255).abs().max() < 0.02


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda f: [p.unlink() for p in (f / "b").iterdir()], "no images in"),
        (lambda f: shutil.rmtree(f / "b"), "holds 1 class folder, at least 2 are needed"),
        (lambda f: ((f / "b").rename(f / "x") and (f / "b").mkdir()) or (f / "x").rename(f / "b" / "x"), "folders such as x"),
    ],
)  # fmt: skip
def test_a_folder_without_images_or_classes(photos, make, said):
    make(photos)
    with pytest.raises(data.DataError, match=said):
        data.load_folder(str(photos))


def test_other_counts_than_the_known_ones_are_refused(tmp_path):
    photographs(tmp_path)
    known = {"classes": 100, "train": 50_000, "test": 10_000}
    with pytest.raises(data.DataError) as error:
        folders.check_counts("mini-imagenet", tmp_path, known)
    assert "classes 3 in place of 100, train 30 in place of 50,000, test 6 in place of 10,000" in str(error.value)
    assert "other_counts=true" in str(error.value)
    folders.check_counts("mini-imagenet", tmp_path, {"classes": 3, "train": 30, "test": 6})


def photographs(folder):
    """Three classes in place of 100."""
    for c in range(3):
        for i in range(12):
            png(folder / "mini-imagenet" / f"n{c}" / f"{i}.png", np.zeros((8, 8, 3), np.uint8))


def test_what_a_job_would_refuse_is_not_found(root, capsys, caplog, monkeypatch):
    """Files of the right names: other checksums, other counts."""
    monkeypatch.chdir(root)
    caplog.set_level("INFO", "leanat")
    photographs(root / "data")
    for part in ("train", "test"):
        for file, _ in archives.files_of("cifar10", part):
            (root / "data" / file).parent.mkdir(exist_ok=True)
            (root / "data" / file).write_text("cut\n")
    words = ["data", "data", "--need", "cifar10", "mini-imagenet"]
    assert answer(capsys, words) == (1, "leanat: data: wrong in data: cifar10, mini-imagenet\n")
    assert re.search(r"cifar10 +wrong +data/cifar-10-batches-py/data_batch_1 is damaged \(MD5 ", caplog.text)
    assert re.search(
        r"mini-imagenet +wrong +not as config/datasets.yaml has it: classes 3 in place of 100", caplog.text
    )
    allowed = ["--set", "other_counts=true"]
    assert answer(capsys, ["data", "data", "--need", "mini-imagenet", *allowed]) == (0, "")
    assert answer(capsys, [*words, *allowed])[1] == "leanat: data: wrong in data: cifar10\n"


def test_the_workflow_asks_for_data_as_its_jobs_will(root, monkeypatch):
    """With its own settings; a set that is wrong is told as one that is missing."""
    (root / SCALE).write_text((root / SCALE).read_text().replace('return "digits"', 'return "mini-imagenet"'))
    grid = structure.load(root / "config", {"data_dir": "/data", "other_counts": True})
    said = "flowers102 found    /data\nmini-imagenet wrong    not as it is known\n"
    asked, lines = [], []
    done = SimpleNamespace(returncode=1, stdout=said, stderr="leanat: data: wrong in /data: mini-imagenet\n")
    monkeypatch.setattr(needed, "subprocess", SimpleNamespace(run=lambda command, **_: asked.append(command) or done))
    needed.check_data(["figures/mine/table1.pdf"], grid, root / "results", lines.append)
    (line,) = lines
    assert line.splitlines()[1:] == ["  mini-imagenet wrong not as it is known"]
    arguments = cli.parser().parse_args(asked[0][3:])
    assert (arguments.data_dir, arguments.need, arguments.config_dir) == (
        Path("/data"),
        ["mini-imagenet"],
        root / "config",
    )
    assert "other_counts=true" in arguments.set


def test_a_training_on_other_counts_is_refused_and_allowed_in_the_foot(root, capsys, monkeypatch):
    monkeypatch.chdir(root)
    photographs(root / "data")
    path = root / SCALE
    path.write_text(path.read_text().replace('return "digits"', 'return "mini-imagenet"'))
    grid = structure.load(root / "config")
    run = next(iter(grid.runs))
    status, err = answer(capsys, ["train", run, "--data-dir", root / "data", "--device", "cpu"])
    assert status == 1
    assert "mini-imagenet: not as config/datasets.yaml has it: classes 3 in place of 100" in err
    allowed = structure.load(root / "config", {"other_counts": True})
    assert "other_counts: mini-imagenet may have other" in allowed.items["mine/table1"].factors[-1]
    assert not any("other_counts" in line for line in grid.items["mine/table1"].factors)


def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog):
    import errno

    def flock(file, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(experiment.fcntl, "flock", flock)
    with experiment.locked(tmp_path / "run"):
        pass
    assert "this file system has no locks (No locks available)" in caplog.text


def test_jobs_say_what_they_do(tmp_path, capsys, monkeypatch):
    from leanat.runs import progress

    monkeypatch.setenv(progress.FOLDER, str(tmp_path / ".running"))
    with progress.Job("train", "a_run") as job:
        job.say("epoch 3 of 12, loss 0.500", 0.25)
        job.say("epoch 4 of 12", 1.0)
        assert list(progress.running(tmp_path / ".running")) == ["train a_run: epoch 4 of 12  0 s left"]
        assert answer(capsys, ["watch", "--once", "--results", tmp_path])[0] == 0
    assert list(progress.running(tmp_path / ".running")) == []
    files.write_json(
        tmp_path / ".running" / "x.json",
        {"kind": "train", "name": "gone", "text": "", "left": None, "at": 0, "pid": 2**22 + 1, "host": "elsewhere"},
    )
    assert list(progress.running(tmp_path / ".running")) == []


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        "nul",
        '{"host": "elsewhere", "at": "z"}',
        '{"host": "HERE", "pid": "a"}',
        '{"host": "HERE", "pid": 1}',
    ],
)
def test_a_note_of_no_job_is_passed_over(tmp_path, capsys, text):
    folder = tmp_path / ".running"
    folder.mkdir()
    (folder / "a.json").write_text(text.replace("HERE", socket.gethostname()))
    assert answer(capsys, ["watch", "--once", "--results", tmp_path]) == (0, "")


def test_foreign_config_json_that_names_nothing(tmp_path):
    with pytest.raises(foreign.NetworkError, match="names no network of timm \\(ResNetForImageClassification\\)"):
        foreign.named_by({"architectures": ["ResNetForImageClassification"]}, tmp_path)


def leaves(value, at=()):
    """Every key and every part of a list, however deep."""
    if isinstance(value, dict | list):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, key)
            yield from leaves(part, (*at, key))


def exchanged(value, at, part):
    if not at:
        return part
    copy = value.copy()
    copy[at[0]] = exchanged(value[at[0]], at[1:], part)
    return copy


OTHERS = [None, [], {}, ["x"], {"x": 1}, "x", -1, True]


@pytest.mark.parametrize("instead", OTHERS, ids=repr)
@pytest.mark.parametrize("file", [CONFIG, SETS])
def test_no_setting_of_another_kind_ends_in_a_traceback(root, capsys, file, instead):
    path = root / file
    whole = yaml.safe_load(path.read_text())
    few = {key: whole[key] for key in ("digits", "cifar10", "cifar10-tenth")} if file == SETS else whole
    for at in leaves(few):
        path.write_text(yaml.safe_dump(exchanged(few, at, instead), sort_keys=False))
        refused_in_lines(root, capsys, file, at, instead)


@pytest.mark.parametrize("instead", OTHERS, ids=repr)
def test_no_value_of_a_paper_of_another_kind_ends_in_a_traceback(root, capsys, monkeypatch, instead):
    paper = structure.all_papers(["mine"])["mine"]
    cell = {"data": "cifar10", "method": "half"}
    for at in leaves(paper.spec(cell)):

        def spec(cell, at=at):
            whole = paper.spec(cell)
            return exchanged(whole, at, instead) if cell["method"] == "half" else whole

        other = dataclasses.replace(paper, spec=spec)
        monkeypatch.setattr(structure, "all_papers", lambda *_, other=other: {"mine": other})
        refused_in_lines(root, capsys, "spec", at, instead)


def refused_in_lines(root, capsys, file, at, instead):
    try:
        status, err = answer(capsys, ["check", "--config-dir", root / "config"])
    except Exception as error:
        raise AssertionError(f"{file}: {'.'.join(map(str, at))} = {instead!r}: {error!r}") from error
    assert status in (0, 1), (at, err)
    assert all(line.startswith("leanat: ") for line in err.splitlines()), (at, err)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("LEANAT_JOBS_PER_GPU", "abc", "LEANAT_JOBS_PER_GPU: abc is not allowed; a whole number from 1"),
        ("LEANAT_JOBS_PER_GPU", "0", "LEANAT_JOBS_PER_GPU: 0 is not allowed; a whole number from 1"),
        ("LEANAT_SET", "{bad", "LEANAT_SET: '{bad' is not allowed; a JSON list of texts, each KEY=VALUE"),
        ("LEANAT_SET", "[3]", "LEANAT_SET: '[3]' is not allowed; a JSON list of texts, each KEY=VALUE"),
    ],
)
def test_an_impossible_variable_of_the_environment(root, capsys, monkeypatch, variable, value, said):
    monkeypatch.setenv(variable, value)
    assert answer(capsys, ["check", "--config-dir", root / "config"]) == (1, f"leanat: {said}\n")


def test_a_terminal_of_few_letters_gets_a_question_mark(monkeypatch):
    """The ledger has a tick for a claim that is supported; ASCII has none."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)

    def claims(arguments):
        print("\u2713 supported")

    monkeypatch.setattr(cli, "claims", claims)
    assert cli.main(["claims", "--config-dir", "nowhere"]) == 0
    shown.flush()
    assert shown.buffer.getvalue() == b"? supported\n"


@pytest.mark.parametrize("text", ["010", "-007", "1:30", "1:30.5"])
def test_a_number_that_yaml_reads_as_another_is_refused(text):
    with pytest.raises(yaml.YAMLError, match="would be read as another number"):
        settings.yaml_value(f"seeds: {text}")


def test_numbers_and_merge_keys_are_read_as_yaml_has_them():
    text = "{a: 10, b: -3, c: 0, d: 0x1f, e: 1.5, f: -0.25, g: 0.0, h: 1_000}"
    assert settings.yaml_value(text) == yaml.safe_load(text)
    text = "a: &a {x: 1, y: 3}\nb:\n  <<: *a\n  x: 2\n"
    assert settings.yaml_value(text) == yaml.safe_load(text) == {"a": {"x": 1, "y": 3}, "b": {"x": 2, "y": 3}}


@pytest.mark.parametrize("option", ["--results", "--config-dir"])
def test_an_empty_path_is_no_folder(option, capsys):
    """A variable that is not set would train into the working folder."""
    with pytest.raises(SystemExit):
        cli.main(["train", "specs/x", option, ""])
    assert "an empty path is not allowed" in capsys.readouterr().err
    with pytest.raises(argparse.ArgumentTypeError):
        options.path("")


def test_an_empty_spec_beside_a_checkpoint_is_named_with_what_to_do(tmp_path):
    (tmp_path / "spec.json").write_text("")
    (tmp_path / "resume.pt").write_bytes(b"")
    with pytest.raises(ValueError, match=r"spec.json: not the spec of a run.*remove this file alone"):
        identity.check_unfinished(tmp_path, {"seed": 0})
