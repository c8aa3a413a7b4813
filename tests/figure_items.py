"""Filled items of every kind of figure, as large as the real ones; ours made up, the paper's from published/ if there."""

import random
from pathlib import Path

import numpy as np

from leanat.report import published

PUBLISHED = Path(__file__).parents[1] / "published"
LABELS = {
    "cifar10": "CIFAR-10", "cifar100": "CIFAR-100", "imagenet200": "ImageNet-200", "hardest": "hardest first",
    "easiest": "easiest first", "random": "random (3 draws)", "at": "AT on all examples", "vgg16": "VGG16",
    "mobilenet": "MobileNet", "densenet": "DenseNet", "resnet50": "ResNet50", "sgd": "Baseline", "dihcl": "DIHCL",
    "qtart": "Q-TART (Ours)", "trades": "TRADES", "bullet": "Bullet", "adv_craig": "Bullet + Adv-CRAIG",
    "adv_gradmatch": "Bullet + Adv-GRAD-MATCH", "gradmatch": "Adv-GRAD-MATCH",
}  # fmt: skip
ASSUMPTIONS = [f"recipe.lr.{k} = 0.{k}: the paper does not say which value it used for this" for k in range(14)]
FACTORS = ["epochs × 1/20, at least 12", "radius × 5 (l_2 0.5 -> 0.8)", "batch 128 -> 64", "attack steps unchanged"]


def cell(values=(), published=None, replicated=None, missing=None):
    values = [float(value) for value in values]
    if not values and missing is None:
        missing = "not run"
    return {"published": published, "replicated": replicated, "values": values, "n": len(values), "missing": missing}


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
    return told | more | {"rows": rows, "columns": columns, "cells": cells} | other


def three(level, spread=1.5, seed=0):
    draw = random.Random(f"{level} {seed}")
    return [level + draw.uniform(-spread, spread) for _ in range(3)]


def sat_lines():
    """SAT's Figure 6: two metrics down, three data sets across; paper's curves; shares 20, 40, ... not run at demo."""
    rows, cells = [], []
    columns = [
        column(LABELS[data], group, data=data, metric=group, stand_in=stand_in, skipped=skipped)
        for group in ("robust accuracy", "clean accuracy")
        for data, stand_in, skipped in (("cifar10", "shapes10", None), ("cifar100", "shapes20", None),
                                        ("imagenet200", None, "needs data_dir"))
    ]  # fmt: skip
    for ranking in ("hardest", "easiest", "random"):
        for share in range(10, 100, 10):
            rows.append(row(LABELS[ranking], str(share), ranking=ranking, share=share))
            line = []
            for c in columns:
                metric = "robust accuracy (AutoAttack l2)" if "robust" in c["group"] else "clean accuracy"
                name = f"{c['label']} | {ranking} | A = {share} % of examples"
                try:
                    paper = published.lookup("sat", "figure6", name, metric, PUBLISHED).value
                except (ValueError, KeyError):
                    paper = None
                level = (20 + 40 * share / 100) if "robust" in c["group"] else 92 - share / 20
                level += {"hardest": 4, "easiest": -6, "random": 0}[ranking]
                run = share in (10, 30, 50, 90) and not c["skipped"]
                line.append(cell(three(level) if run else [], paper, missing=None if run else "not at scale demo"))
            cells.append(line)
    rows.append(row("", LABELS["at"], ranking="at"))
    cells.append([cell(three(62 if "robust" in c["group"] else 88) if not c["skipped"] else [], 70.0) for c in columns])
    options = {"plot": "lines", "x": "share", "series": "ranking", "panel": ["metric", "data"],
               "x_label": "share of attacked examples |A| (%)", "references": {"guessing": 10}}  # fmt: skip
    title = "Training on adversarial examples of a share of the data, ranked by entropy (Figure 6)"
    caption = "Example-subset adversarial training: the hardest examples first against the easiest and random ones."
    return item(rows, columns, cells, options, title, caption)


def radius_lines(values=3):
    """coreset's Figure 2: robust accuracy against the radius; many points, so bands; one missing, one replicated."""
    radii = [0, 1, 2, 4, 6, 8, 12, 16, 24]
    rows = [row("", f"{eps}/255", eps=eps) for eps in radii]
    methods = ("TRADES", "Adv. CRAIG", "Adv. GRAD-MATCH", "Random")
    columns = [column(m, method=m, data="cifar10", stand_in="digits") for m in methods]
    cells = [
        [cell(three(85 * 0.9**eps - 3 * k, 2.5, k)[:values]) for k, _ in enumerate(columns)] for eps in radii
    ]
    cells[4][2] = cell(missing="loss not finite in epoch 7 (batch 3)")
    cells[5][0]["replicated"] = {"mean": 52.0, "low": 50.0, "high": 54.0, "n": 3, "scale": "lite", "device": "NVIDIA H200"}
    options = {"plot": "lines", "x": "eps", "x_label": "attack radius ε (1/255)", "y_label": "robust accuracy (%)"}
    title = "Robust accuracy against attacks of other radii (Figure 2)"
    return item(rows, columns, cells, options, title, "PGD-50 of ℓ_∞ radius ε; trained at 8/255.", paper="coreset", item="figure2")


def sat_bars():
    classes = "plane car bird cat deer dog frog horse ship truck".split()  # noqa: SIM905
    rows = [row("", name, attacked=name, data="cifar10") for name in classes]
    columns = [column("A", stand_in="shapes10"), column("B", stand_in="shapes10"), column("without AT")]
    cells = [[cell(three(70 + k), None), cell(three(20 + 2 * k), {3: 37.8, 1: 17.1}.get(k)), cell(three(2, 1))]
             for k, _ in enumerate(classes)]  # fmt: skip
    cells[6][1] = cell(missing="loss not finite in epoch 7")
    options = {"plot": "bars", "x_label": "attacked class A", "y_label": "robust accuracy (%)"}
    return item(rows, columns, cells, options, "Robustness transfers among classes (Figure 2, left)", item="figure2")


def sat_matrix(bars=True):
    classes = "plane car bird cat deer dog frog horse ship truck".split()  # noqa: SIM905
    draw = random.Random(1)
    rows = [row("", name, attacked=name, data="cifar10") for name in classes]
    columns = [column("A", metric="A"), column("B", metric="B")] if bars else []
    columns += [column(name, "class", metric=f"pgd@{k}", digits=0, stand_in="shapes10") for k, name in enumerate(classes)]
    cells = []
    for r, name in enumerate(classes):
        line = [cell(three(70 + r)), cell(three(20 + 2 * r), {"cat": 37.8, "car": 17.1}.get(name))] if bars else []
        for k, other in enumerate(classes):
            try:
                paper = published.lookup("sat", "figure2", f"CIFAR-10 | CSAT A={name}", f"robust accuracy on {other}", PUBLISHED).value
            except (ValueError, KeyError):
                paper = None
            line.append(cell(three(75 if r == k else draw.uniform(5, 60)), paper))
        cells.append(line)
    cells[4][7] = cell(missing="no test example of this class")
    options = {"plot": "matrix", "x_label": "class attacked at test time", "y_label": "class A attacked in training", "diagonal": True}
    options |= {"bars": ["A", "B"]} if bars else {}
    return item(rows, columns, cells, options, "Training on adversarial examples of one class (Figure 2)",
                "Robust accuracy of each class after adversarial training on examples of one class only.", item="figure2")  # fmt: skip


def sat_scatter():
    classes = "plane car bird cat deer dog frog horse ship truck".split()  # noqa: SIM905
    draw = random.Random(3)
    rows = [row("", name, data="cifar10", attacked=name) for name in classes]
    columns = [column("mean entropy", unit="nats", metric="entropy", better=None), column("clean accuracy", metric="clean")]
    cells = []
    for k in range(10):
        entropy = 0.1 + 0.05 * k + draw.uniform(-0.08, 0.08)
        cells.append([cell(three(entropy, 0.02), None), cell(three(97 - 40 * entropy + draw.uniform(-2, 2), 0.6), None)])
    options = {"plot": "scatter", "x": "entropy", "y": "clean", "label": "attacked", "spearman": True}
    return item(rows, columns, cells, options, "Class accuracy against class entropy (Figure 3)", item="figure3")


def coreset_scatter():
    rows, cells = [], []
    for k, method in enumerate(("random", "gradmatch")):
        for size in (10, 20, 30, 50, 70):
            rows.append(row(LABELS[method], f"{size} %", method=method, size=size, data="cifar10"))
            error = 40 / size**0.5 - 3 * k
            paper = error + 1 if size in (30, 50) else None
            cells.append([cell([95 / size]), cell(three(error, 0.8), paper)])
            cells[-1][0]["published"] = 100 / size if paper else None
    for warm in (20, 40):
        rows.append(row("warm start", f"{warm} epochs", method="gradmatch", warm=warm, data="cifar10"))
        cells.append([cell([2.0 - warm / 100]), cell(three(3 + warm / 50, 0.8))])
    columns = [column("speed-up", unit="×", stand_in="digits"), column("relative robust error", better="low", stand_in="digits")]
    options = {"plot": "scatter", "x": "speed-up", "y": "relative robust error", "series": "row_group", "label": "row_label", "join": True}
    return item(rows, columns, cells, options, "Relative robust error against speed-up, TRADES (Figure 3)", paper="coreset", item="figure3")


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
            robust = 55 * (1 - 0.93**epoch) - 2 * m
            outlier = 60 * 0.9**epoch + 8 + m
            shares = (outlier, 100 - outlier - max(robust, 0), max(robust, 0))
            cells.append([cell([s + d for d in (-0.5, 0, 0.5)] if epoch != 20 or m != 2 else []) for s in shares])
    columns = [column(g, metric=g, stand_in="digits", better=None) for g in ("outlier", "boundary", "robust")]
    options = {"plot": "areas", "x": "epoch", "panel": "method", "y_label": "share of training examples (%)"}
    return item(rows, columns, cells, options, "Outlier, boundary and robust examples over training (Figure 1)", paper="advprune", item="figure1")


def array_item(options, files, title):
    return item([], [], [], options, title, paper="qtart", item="figure1", files=files)


def qtart_histograms(folder):
    draw, files = np.random.default_rng(0), {}
    for k, attack in enumerate(("MI-FGSM", "PGD-20", "CW")):
        files[attack] = folder / f"{attack}.npz"
        np.savez(files[attack], **{"Baseline": draw.gamma(4 + k, 1.0, 1000), "Q-TART (Ours)": draw.gamma(3, 0.7, 1000)})
    options = {"plot": "histograms", "x_label": "distance of last-layer features"}
    return array_item(options, files, "Distances between features of clean and attacked examples (Figure 1a)")


def qtart_embedding(folder):
    draw, files = np.random.default_rng(0), {}
    names = np.array("plane car bird cat deer dog frog horse ship truck".split())  # noqa: SIM905
    for k, method in enumerate(("Baseline", "Q-TART (Ours)")):
        files[method], classes = folder / f"{method}.npz", draw.integers(0, 10, 1000)
        middles = draw.normal(0, 20, (10, 2))
        points = middles[classes] + draw.normal(0, 5 - 2 * k, (1000, 2))
        np.savez(files[method], points=points, classes=classes, names=names)
    return array_item({"plot": "embedding"}, files, "t-SNE maps of last-layer features (Figure 1b, 1c)")


def saliency_images(folder):
    draw, files = np.random.default_rng(0), {}
    y, x = np.mgrid[-1:1:32j, -1:1:32j]
    for attack in ("FGSM", "PGD-20"):
        base = np.stack([np.stack([np.exp(-((x - a) ** 2 + (y + a) ** 2) * 3), (x + 1) / 2, (y + 1) / 2], -1) for a in (-0.3, 0, 0.3)])
        noise = draw.normal(0, 0.06, base.shape)
        maps = np.stack([np.exp(-((x - a) ** 2 + (y + a) ** 2) * 8) for a in (-0.3, 0, 0.3)])
        delta = noise.mean(-1)
        delta[1] = np.nan
        files[attack] = folder / f"{attack}.npz"
        np.savez(files[attack], rows=np.array(["circle", "square", "triangle"]), image=base.clip(0, 1),
                 attacked=(base + noise).clip(0, 1), **{"difference": delta, "saliency, teacher 1": maps, "saliency, teacher 2": maps**2})  # fmt: skip
    return array_item({"plot": "images"}, files, "Images, attacked images and saliency maps (Figure 6)") | {"paper": "saliency"}
