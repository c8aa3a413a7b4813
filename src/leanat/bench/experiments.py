"""The trial in the form of a paper's settings: every row is a run like those of the papers. Imports no torch.

All rows have the same recipe, the same initial weights and the same order of examples; they only differ in the examples that
the epochs train on. A tenth of the training set is held out in every row, since GLISTER needs it to choose. There is no warm
start on all data, so that only the choice has an effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from leanat.bench.settings import METHODS, PROFILES, TRAININGS, Settings, chance, own_name
from leanat.experiments.metrics import accuracy, column
from leanat.experiments.paper import Cell, ItemSpec, Paper
from leanat.experiments.scales import REDUNDANT, Scale, cosine
from leanat.experiments.spec import part

HELD_OUT = 0.1
ATTACK = "pgd20"  # the test attack: 20 steps of eps / 4 from a uniform start
DATA = {
    "digits": "digits as they are",
    "digits-copies": "redundant digits: 500 near-copies of 25, and 100 others",
    "digits-tail": "long-tailed digits: 58 of class 0 to 3 of class 9",
    "digits-noise": "noisy digits: 40 % wrong labels",
}


class BenchScale(Scale):
    """Every value as in ``spec``, since the trial has no paper whose settings a scale could reduce."""

    name = "bench"
    title = "bench: a trial of rules that choose data"


def paper_of(settings: Settings, content: Callable[[str], str]) -> Paper:
    """The trial as a paper. ``content`` returns the hash of the file of a user's rule, which is part of its runs' specs."""
    own = {own_name(source): source for source in settings.own}
    methods = [*settings.methods, *own]
    hashes = {name: content(source) for name, source in own.items()}

    def spec(cell: Cell) -> dict[str, Any]:
        return spec_of(settings, cell, own, hashes)

    labels = METHODS | TRAININGS | DATA
    return Paper(
        title="A trial of rules that choose data",
        source="bench",
        seeds=settings.seeds,
        labels=labels,
        spec=spec,
        suites={data: suite_of(data) for data in settings.data},
        items={name: item for data in settings.data for name, item in items_of(settings, data, methods).items()},
        methods=methods,
        scales={"bench": BenchScale()},
    )


def suite_of(data: str) -> dict[str, Any]:
    eps = PROFILES[data].eps
    attack = part("pgd", threat=part("linf", eps=eps), steps=20, step_size=eps / 4, start="uniform")
    return {ATTACK: {"attack": attack}}


def items_of(settings: Settings, data: str, methods: list[str]) -> dict[str, ItemSpec]:
    """A table with every row, and a figure of the differences to a random subset."""
    profile, rows = PROFILES[data], [{"training": t, "method": m} for t in settings.trainings for m in methods]
    base = {"data": data, "model": profile.model}
    times = math.ceil(settings.epochs_on(data) / settings.period_on(data))
    about = (
        f"{profile.model}, {settings.epochs_on(data)} epochs in every row, batch {profile.batch}; radius "
        f"{255 * profile.eps:.3g}/255 in l_inf; test attack PGD-20. {100 * settings.fraction:.3g} % of the training set is "
        f"kept, chosen {times} times; a tenth is held out in every row."
    )
    random = {method: reference for method in methods if (reference := chance(method)) is not None}
    table = ItemSpec(
        kind="table",
        title=f"Which rule beats chance? {data}",
        caption=f"{DATA.get(data, data)}. {about} Above random: accuracy (clean after standard training, else robust) above that of random examples, or random batches, over paired seeds; the intervals are not corrected. A letter at a row: above or below chance after a correction for all comparisons; none: undecided.",
        base=base,
        suite=data,
        rows=rows,
        columns=[
            accuracy("clean"),
            accuracy("robust", ATTACK),
            column("images", "history.kept", "kept", unit="images", digits=1),
        ],
    )
    figure = ItemSpec(
        kind="figure",
        title=f"Above a random subset of the same size: {data}",
        caption=f"{DATA.get(data, data)}. {about} Differences over paired seeds with their 95 % intervals, not corrected for their number.",
        base=base,
        suite=data,
        rows=[row for row in rows if row["method"] in random],
        columns=[
            accuracy("clean", reference=random, difference=True),
            accuracy("robust", ATTACK, reference=random, difference=True),
        ],
        options={"plot": "bars", "group": "method", "panel": "training", "y_label": "points above random"},
    )
    return {data: table, f"{data}-above-random": figure}


def spec_of(settings: Settings, cell: Cell, own: dict[str, str], hashes: dict[str, str]) -> dict[str, Any]:
    """The spec of a run of (data, training, method)."""
    profile, epochs, method = PROFILES[cell["data"]], settings.epochs_on(cell["data"]), cell["method"]
    selector: Any = "everything"
    if method != "full":
        inner = rule(method, settings.fraction)
        if method in own:
            inner = part("from_file", source=own[method], fraction=settings.fraction, content=hashes[method])
        selector = part("every", period=settings.period_on(cell["data"]), warmup=0, inner=inner)
    extras = ["forgetting_events"] if method.startswith("forgetting") else []
    planted = cell["data"] in REDUNDANT
    return {
        "data": {"augment": list(profile.augment), "validation": HELD_OUT},
        "model": {"name": profile.model, "standardise": "channel"},
        "recipe": {
            "epochs": epochs,
            "batch": profile.batch,
            "lr": cosine(0.1, 0.3),
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 0.0005,
            "clip_value": None,
            "drop_last": False,
            "precision": "fp32",
        },
        "method": training_of(cell["training"], profile.eps)
        | {"selector": selector, "extras": extras + ["kept"] * planted},
    }


def training_of(training: str, eps: float) -> dict[str, Any]:
    """Objective and attack of a training; TRADES' beta and start are those of its authors."""
    pgd = {"threat": part("linf", eps=eps)}
    attacks = {
        "standard": "clean",
        "pgd": part("pgd", **pgd, steps=5, step_size=eps / 4, start="uniform"),
        "trades": part("pgd", **pgd, steps=5, step_size=eps / 4, start="gaussian", loss="kl"),
        "fgsm_rs": part("pgd", **pgd, steps=1, step_size=1.25 * eps, start="uniform", training_mode=True),
    }
    objective = part("trades", beta=6.0) if training == "trades" else part("cross_entropy", smoothing=0.0)
    return {"objective": objective, "attack": attacks[training]}


def rule(method: str, fraction: float) -> dict[str, Any]:
    """A rule of METHODS as a component."""
    name, _, by = method.partition(":")
    if method == "random:class":
        return part("random_per_class", fraction=fraction)
    if name == "random":
        return part("random", fraction=fraction, whole_batches=by == "batch")
    if name in ("loss", "low_loss"):
        return part("by_loss", fraction=fraction, keep="highest" if name == "loss" else "lowest")
    own = {"glister": {"eta": 0.1}, "grad_match": {"lam": 0.0}}.get(name, {})
    return part(name, fraction=fraction, granularity=by, **own)
