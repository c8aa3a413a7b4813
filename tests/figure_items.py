"""Filled items of every kind of figure, as large as the real ones: ours made up, the paper's from published/ if there."""

import random
from functools import cache
from pathlib import Path

import numpy as np

from leanat.plan.item import Filled, from_json
from leanat.report import plots, published, style, typeset

PUBLISHED = Path(__file__).parents[1] / "published"
CLASSES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LABELS = {
    "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet200": "ImageNet-200", "hardest": "hardest first",
    "easiest": "easiest first", "random": "random (3 draws)", "at": "AT on all examples", "vgg16": "VGG16",
    "mobilenet": "MobileNet", "densenet": "DenseNet", "resnet50": "ResNet50", "sgd": "Baseline", "dihcl": "DIHCL",
    "qtart": "Q-TART (Ours)", "trades": "TRADES", "bullet": "Bullet", "adv_craig": "Bullet + Adv-CRAIG",
    "adv_gradmatch": "Bullet + Adv-GRAD-MATCH", "gradmatch": "Adv-GRAD-MATCH",
}  # fmt: skip
ASSUMPTIONS = [f"recipe.lr.{k} = 0.{k}: the paper does not say which value it used for this" for k in range(14)]
FACTORS = ["epochs × 1/20, at least 12", "radius × 5 (l_2 0.5 -> 0.8)", "batch 128 -> 64", "attack steps unchanged"]
REAL = {"mean": 52.0, "low": 50.0, "high": 54.0, "n": 3, "scale": "lite", "device": "NVIDIA H200"}


def cell(values=(), printed=None, replicated=None, missing=None):
    values = [float(value) for value in values]
    missing = missing if values or missing else "not run"
    return {"published": printed, "replicated": replicated, "values": values, "n": len(values), "missing": missing}


def row(group, label, note=None, **entry):
    return {"group": group, "label": label, "note": note, "entry": entry}


def column(label, group="", unit="%", digits=1, better="high", stand_in=None, skipped=None, **entry):
    told = {"group": group, "label": label, "unit": unit, "digits": digits, "better": better}
    return told | {"stand_in": stand_in, "skipped": skipped, "entry": entry, "n_test": 1197}


def item(rows, columns, cells, options, title="A title", caption="", scale="demo", **other):
    provenance = {"seeds": [0, 1, 2], "device": "CPU, 1 thread", "date": "2026-11-20", "revision": "abc1234"}
    provenance |= {"factors": FACTORS, "assumptions": ASSUMPTIONS}
    told = {"paper": "sat", "item": "figure6", "title": title, "caption": caption, "scale": scale}
    more = {"provenance": provenance, "labels": LABELS, "options": options}
    for line in cells:
        for one, of in zip(line, columns, strict=True):
            if one["values"] and of["stand_in"]:
                one.setdefault("stand_in", [of["stand_in"], []])
    return told | more | {"rows": rows, "columns": columns, "cells": cells} | other


def three(level, spread=1.5, seed=0):
    draw = random.Random(f"{level} {seed}")
    return [level + draw.uniform(-spread, spread) for _ in range(3)]


def look_up(*names):
    try:
        return published.lookup("sat", *names, PUBLISHED).value
    except (ValueError, KeyError):
        return None


def sat_lines():
    """SAT's Figure 6: two metrics down, three data sets across; paper's curves; shares 20, 40, ... not run at demo."""
    sets = (("cifar10", "shapes10", None), ("cifar100", "shapes20", None), ("imagenet200", None, "needs data_dir"))
    metrics = {"robust accuracy": "robust accuracy (AutoAttack l2)", "clean accuracy": "clean accuracy"}
    columns = [
        column(metric, LABELS[data], data=data, metric=metric, stand_in=stand_in, skipped=skipped)
        for metric in metrics
        for data, stand_in, skipped in sets
    ]
    rows, cells = [], []
    for ranking, better in (("hardest", 4), ("easiest", -6), ("random", 0)):
        for share in range(10, 100, 10):
            rows.append(row(LABELS[ranking], str(share), ranking=ranking, share=share))
            cells.append([])
            for c in columns:
                name = f"{c['group']} | {ranking} | A = {share} % of examples"
                level = 20 + 40 * share / 100 if "robust" in c["label"] else 92 - share / 20
                run = share in (10, 30, 50, 90) and not c["skipped"]
                paper = look_up("figure6", name, metrics[c["label"]])
                cells[-1].append(cell(three(level + better) if run else [], paper, missing="not at scale demo"))
    rows.append(row("", LABELS["at"], ranking="at"))
    level = {"robust accuracy": 62, "clean accuracy": 88}
    cells.append([cell([] if c["skipped"] else three(level[c["label"]]), 70.0) for c in columns])
    options = {"plot": "lines", "x": "share", "series": "ranking", "panel": ["metric", "data"]}
    options |= {"x_label": "share of attacked examples |A| (%)"}
    title = "Training on adversarial examples of a share of the data, ranked by entropy (Figure 6)"
    caption = "Example-subset adversarial training: the hardest examples first against the easiest and random ones."
    return item(rows, columns, cells, options, title, caption)


def radius_lines():
    """coreset's Figure 2: robust accuracy against the radius; many points, so bands; one missing, one replicated."""
    radii = [0, 1, 2, 4, 6, 8, 12, 16, 24]
    rows = [row("", f"{eps}/255", eps=eps) for eps in radii]
    methods = ("TRADES", "Adv. CRAIG", "Adv. GRAD-MATCH", "Random")
    columns = [column(m, method=m, data="cifar10", stand_in="digits") for m in methods]
    cells = [[cell(three(85 * 0.9**eps - 2 * k + 6, 2.5, k)) for k, _ in enumerate(columns)] for eps in radii]
    cells[4][2] = cell(missing="loss not finite in epoch 7 (batch 3)")
    cells[5][0]["replicated"] = dict(REAL)
    options = {"plot": "lines", "x": "eps", "x_label": "attack radius ε (1/255)", "y_label": "robust accuracy (%)"}
    title = "Robust accuracy against attacks of other radii (Figure 2)"
    caption = "PGD-50 of ℓ_∞ radius ε; trained at 8/255."
    return item(rows, columns, cells, options, title, caption, paper="coreset", item="figure2")


def sat_bars():
    rows = [row("", name, attacked=name, data="cifar10") for name in CLASSES]
    columns = [column("A", stand_in="shapes10"), column("B", stand_in="shapes10"), column("without AT")]
    printed = {3: 37.8, 1: 17.1}
    cells = [
        [cell(three(70 + k)), cell(three(20 + 2 * k), printed.get(k)), cell(three(2, 1))] for k, _ in enumerate(rows)
    ]
    cells[6][1] = cell(missing="loss not finite in epoch 7")
    options = {"plot": "bars", "x_label": "attacked class A", "y_label": "robust accuracy (%)"}
    return item(rows, columns, cells, options, "Robustness transfers among classes (Figure 2, left)", item="figure2")


def sat_matrix():
    """SAT's Figure 2: mean accuracies on A and B as bars, each class's in the matrix, and the paper's."""
    draw = random.Random(1)
    rows = [row("", name, attacked=name, data="cifar10") for name in CLASSES]
    columns = [column("A", metric="A"), column("B", metric="B")]
    columns += [column(name, metric=f"pgd@{k}", digits=0, stand_in="shapes10") for k, name in enumerate(CLASSES)]
    cells = []
    for r, name in enumerate(CLASSES):
        cells.append([cell(three(70 + r)), cell(three(20 + 2 * r), {"cat": 37.8, "car": 17.1}.get(name))])
        for k, other in enumerate(CLASSES):
            paper = look_up("figure2", f"CIFAR-10 | CSAT A={name}", f"robust accuracy on {other}")
            cells[-1].append(cell(three(75 if r == k else draw.uniform(5, 60)), paper))
    cells[4][7] = cell(missing="no test example of this class")
    options = {"plot": "matrix", "bars": ["A", "B"], "diagonal": True}
    options |= {"x_label": "class attacked at test time", "y_label": "class A attacked in training"}
    caption = "Robust accuracy of each class after adversarial training on examples of one class only."
    return item(rows, columns, cells, options, "Training on one class (Figure 2)", caption, item="figure2")


def sat_scatter():
    draw = random.Random(3)
    rows = [row("", name, data="cifar10", attacked=name) for name in CLASSES]
    columns = [column("mean entropy", unit="nats", metric="entropy", better=None)]
    columns += [column("clean accuracy", metric="clean")]
    cells = []
    for k, _ in enumerate(rows):
        entropy = 0.1 + 0.05 * k + draw.uniform(-0.08, 0.08)
        cells.append([cell(three(entropy, 0.02)), cell(three(97 - 40 * entropy + draw.uniform(-2, 2), 0.6))])
    options = {"plot": "scatter", "x": "entropy", "y": "clean", "label": "attacked", "spearman": True}
    return item(rows, columns, cells, options, "Class accuracy against class entropy (Figure 3)", item="figure3")


def coreset_scatter():
    rows, cells = [], []
    for k, method in enumerate(("random", "gradmatch")):
        for size in (10, 20, 30, 50, 70):
            rows.append(row(LABELS[method], f"{size} %", method=method, size=size, data="cifar10"))
            error, printed = 40 / size**0.5 - 3 * k, size in (30, 50)
            paper = (100 / size, error + 1) if printed else (None, None)
            cells.append([cell([95 / size], paper[0]), cell(three(error, 0.8), paper[1])])
    for warm in (20, 40):
        rows.append(row("warm start", f"{warm} epochs", method="gradmatch", warm=warm, data="cifar10"))
        cells.append([cell([2.0 - warm / 100]), cell(three(3 + warm / 50, 0.8))])
    columns = [column("speed-up", unit="×", stand_in="digits")]
    columns += [column("relative robust error", better="low", stand_in="digits")]
    options = {"plot": "scatter", "x": "speed-up", "y": "relative robust error", "label": "row_label", "join": True}
    title = "Relative robust error against speed-up, TRADES (Figure 3)"
    return item(rows, columns, cells, options, title, paper="coreset", item="figure3")


def qtart_polar():
    attacks = ("FGSM", "MI-FGSM", "DI²-FGSM", "PGD-20", "CW", "APGD-DLR", "APGD-CE")
    rows, cells = [], []
    for n, net in enumerate(("vgg16", "mobilenet", "densenet", "resnet50")):
        for m, method in enumerate(("sgd", "dihcl", "qtart")):
            rows.append(row(LABELS[net], LABELS[method], model=net, method=method, data="cifar10"))
            cells.append([cell(three(12 + 7 * m + 4 * n + 5 * ((k * 3 + m) % 4), 3)) for k, _ in enumerate(attacks)])
    columns = [column(a, metric=a, stand_in="shapes10") for a in attacks]
    cells[4][3] = cell(missing="loss not finite in epoch 7")
    cells[2][5]["published"] = 37.0
    options = {"plot": "polar", "r_label": "accuracy under attack (%)"}
    return item(rows, columns, cells, options, "Accuracy under seven attacks (Figure 2)", paper="qtart", item="figure2")


def advprune_areas():
    rows, cells = [], []
    for m, method in enumerate(("trades", "bullet", "adv_craig", "adv_gradmatch")):
        for epoch in range(0, 40, 2):
            rows.append(row(LABELS[method], str(epoch), method=method, epoch=epoch, data="cifar10"))
            robust, outlier = max(0, 55 * (1 - 0.93**epoch) - 2 * m), 60 * 0.9**epoch + 8 + m
            shares = (outlier, 100 - outlier - robust, robust)
            lost = epoch == 20 and m == 2
            cells.append([cell([] if lost else [s + d for d in (-0.5, 0, 0.5)]) for s in shares])
    columns = [column(g, metric=g, stand_in="digits", better=None) for g in ("outlier", "boundary", "robust")]
    options = {"plot": "areas", "x": "epoch", "panel": "method", "y_label": "share of training examples (%)"}
    title = "Outlier, boundary and robust examples over training (Figure 1)"
    return item(rows, columns, cells, options, title, paper="advprune", item="figure1")


def array_item(options, files, title):
    return item([], [], [], options, title, paper="qtart", item="figure1", files=files)


def qtart_features():
    draw, files = np.random.default_rng(0), {}
    for k, method in enumerate(("Baseline", "Q-TART (Ours)")):
        classes = draw.integers(0, 10, 1000)
        points = draw.normal(0, 20, (10, 2))[classes] + draw.normal(0, 5 - 2 * k, (1000, 2))
        distances = {attack: draw.gamma(4 + n - 2 * k, 1.0, 1000) for n, attack in enumerate(("mi", "pgd", "cw"))}
        files[method] = {**distances, "points": points, "classes": classes, "names": np.array(CLASSES)}
    options = {"plot": "features", "attacks": {"mi": "MI-FGSM", "pgd": "PGD-20", "cw": "CW"}}
    return array_item(options, files, "Last-layer features under attack (Figure 1)")


def saliency_images():
    draw, files = np.random.default_rng(0), {}
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    maps = np.stack([np.exp(-((x - a) ** 2 + (y + a) ** 2) * 8) for a in (-0.3, 0, 0.3)])
    image = np.stack([np.stack([m**0.4, (x + 1) / 2, (y + 1) / 2], -1) for m in maps])
    for attack in ("FGSM", "PGD-20"):
        noise = draw.normal(0, 0.06, image.shape)
        delta = noise.mean(-1)
        delta[1] = np.nan
        shown = {"image": image.clip(0, 1), "attacked": (image + noise).clip(0, 1), "difference": delta}
        shown |= {"saliency, teacher 1": maps, "saliency, teacher 2": maps**2}
        files[attack] = {"rows": np.array(["circle", "square", "triangle"]), **shown}
    return array_item({"plot": "images"}, files, "Images, attacked images and saliency maps (Figure 6)")


SEEDS = [[[1, 2, 3], [4, 4, 4], [5, 7, 9]], [[10, 20, 30], [], [50]]]
PRINTED = [[1.5, None, 6.5], [None, 33.0, None]]


def grid_item(values, options, scale="demo", printed=None):
    """Two methods over x = 1, 2, 4 with the values given, [method][x] lists of seeds."""
    rows = [row("", str(x), step=x, data="cifar10") for x in (1, 2, 4)]
    columns = [column(name, method=name) for name in ("a", "b")]
    cells = [[cell(values[m][k], printed[m][k] if printed else None) for m in range(2)] for k in range(3)]
    return item(rows, columns, cells, options, scale=scale)


CELLS = {
    "sat_lines": sat_lines, "radius_lines": radius_lines, "sat_bars": sat_bars, "sat_matrix": sat_matrix,
    "sat_scatter": sat_scatter, "coreset_scatter": coreset_scatter, "qtart_polar": qtart_polar,
    "advprune_areas": advprune_areas, "qtart_features": qtart_features,
    "saliency_images": saliency_images,
}  # fmt: skip


def draw(item):
    style.apply()
    options = {key: value for key, value in item["options"].items() if key != "plot"}
    return plots.PLOTS[item["options"]["plot"]](from_json(Filled, item), **options).figure


def page_of(item):
    """The figure of an item, and what stands above and below it on its page: a text for each paragraph."""
    made = from_json(Filled, item)
    plot = plots.drawn(made)
    data = typeset.frame(made, plots.page.foot(made, plot.read))
    notes = [f"{note['head']} {note['body']}".strip() for note in data["notes"]]
    return plot.figure, [data["origin"], data["scale"], data["title"], data["caption"], *notes, *data["assumptions"]]


def around(item):
    return page_of(item)[1]


def write_figure(item, stem):
    plots.write_figure(from_json(Filled, item), stem)


@cache
def drawn(name):
    """The figure of a whole item, drawn once; to be looked at only."""
    return draw(CELLS[name]())
