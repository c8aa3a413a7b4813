"""Less is More: Data Pruning for Faster Adversarial Training (SafeAI workshop at AAAI 2023): settings, tables and figures.

Every value is the paper's (section 4.1 unless said otherwise), or is ``assumed``. The authors published no code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from leanat.experiments.metrics import accuracy, column, seconds_per_epoch, speedup
from leanat.experiments.paper import Cell, Choice, ItemSpec, Paper, product
from leanat.experiments.spec import assumed, part
from leanat.papers.advprune.scales import SCALES

FRACTION = {"cifar10": 0.3, "cifar100": 0.5}  # captions of Tables 1 and 2
LR = {  # learning rates of the pruned runs
    "cifar10": {"glister": 0.02, "other": 0.01},
    "cifar100": {"glister": 0.05, "other": 0.08},
}
TRADES_LR = assumed(0.1, "not in the paper; as TRADES")
MART_LR = assumed(0.01, "not in the paper; as MART")
ONE_LR = assumed(
    0.01,
    "ours: one for all rows, that of Adv-GRAD-MATCH; the paper has 0.02 for Adv-GLISTER, and prints none for all data (Table 1 here: 0.1)",
)
PERIOD = 20

# The settings of each method: objective, pruning rule, Bullet-Train, and other differences. ``pruned_settings``: training on all
# data with the beta and the learning rate of the pruned runs; ``beta6``: pruning with the baseline's beta.
WITH_BOTH: dict[str, dict[str, Any]] = {  # TRADES and MART, by the end of the method's name
    "": {},
    "_bullet": {"bullet": True},
    "_glister": {"prune": "glister"},
    "_gradmatch": {"prune": "gradmatch"},
    "_glister_bullet": {"prune": "glister", "bullet": True},
    "_gradmatch_bullet": {"prune": "gradmatch", "bullet": True},
    "_random": {"prune": "random"},  # ours: random subsets, drawn again every period
}
TRADES = {f"trades{end}": how for end, how in WITH_BOTH.items()}
# ours: all data, with the other changes of the pruned runs
TRADES["trades_beta1"] = {"pruned_settings": True}
MART = {f"mart{end}": how for end, how in WITH_BOTH.items()}
VARIANTS: dict[str, dict[str, Any]] = {  # ours
    "trades_random_beta6": {"prune": "random", "beta6": True},
    "trades_gradmatch_beta6": {"prune": "gradmatch", "beta6": True},
    "trades_glister_beta6": {"prune": "glister", "beta6": True},
    "trades_glister_batch": {"prune": "glister", "granularity": "batch"},
    "trades_glister_example": {"prune": "glister", "granularity": "example"},
    "trades_gradmatch_class": {"prune": "gradmatch", "granularity": "class"},
    "trades_gradmatch_example": {"prune": "gradmatch", "granularity": "example"},
    "trades_low_loss": {"prune": "lowest loss"},
    "trades_high_loss": {"prune": "highest loss"},
}
TRACKED = {  # Figure 1: runs that measure the groups under PGD-5-1 on the training set before each epoch
    f"{name}_tracked": TRADES[name] | {"tracked": True}
    for name in ("trades", "trades_bullet", "trades_glister", "trades_gradmatch")
}
METHODS = TRADES | VARIANTS | MART | TRACKED
OURS = {"trades_random", "trades_beta1", "mart_random", *VARIANTS}
LABELS_OF_BOTH = {
    "_bullet": "Bullet [22]",
    "_glister": "Adv-GLISTER (Ours)",
    "_gradmatch": "Adv-GRAD-MATCH (Ours)",
    "_glister_bullet": "Adv-GLISTER&Bullet (Ours)",
    "_gradmatch_bullet": "Adv-GRAD-MATCH&Bullet (Ours)",
    "_random": "Random, drawn again",
}
LABELS = {
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
    "preact_resnet18": "ResNet-18",
    "trades": "TRADES [20]",
    "mart": "MART [21]",
    **{f"{objective}{end}": label for objective in ("trades", "mart") for end, label in LABELS_OF_BOTH.items()},
    "trades_beta1": "TRADES, the pruned runs' beta and learning rate",
    "trades_random_beta6": "Random, drawn again, beta 6",
    "trades_glister_beta6": "Adv-GLISTER, beta 6",
    "trades_gradmatch_beta6": "Adv-GRAD-MATCH, beta 6",
    "trades_glister_batch": "Adv-GLISTER by batch",
    "trades_glister_example": "Adv-GLISTER over all examples",
    "trades_gradmatch_class": "Adv-GRAD-MATCH by class",
    "trades_gradmatch_example": "Adv-GRAD-MATCH over all examples",
    "trades_low_loss": "Lowest loss kept",
    "trades_high_loss": "Highest loss kept",
    "trades_tracked": "TRADES",
    "trades_bullet_tracked": "Bullet",
    "trades_glister_tracked": "Adv-GLISTER",
    "trades_gradmatch_tracked": "Adv-GRAD-MATCH",
}


# -- runs


def spec(
    cell: Cell, epochs: int = 100, period: int = PERIOD, fraction: float | None = None, lr: Any = None
) -> dict[str, Any]:
    """The spec of a run of ``METHODS``. ``epochs``: captions of Tables 1 and 2; ``fraction``: the share of the data that is kept.

    ``lr``: a learning rate other than the method's own.
    """
    data, how, trades = cell["data"], METHODS[cell["method"]], cell["method"] not in MART
    fraction = FRACTION[data] if fraction is None else fraction
    prune, bullet, objective = how.get("prune"), how.get("bullet", False), "trades" if trades else "mart"
    pruned = bool(prune) or how.get("pruned_settings", False)
    if lr is None:
        own = "glister" if prune == "glister" else "other"
        lr = LR[data][own] if pruned else TRADES_LR if trades else MART_LR
    if not trades:
        loss = part("mart", beta=assumed(5.0, "not in the paper; as the script of MART (its function has 6)"))
    elif how.get("beta6"):
        loss = part("trades", beta=assumed(6.0, "ours: that of the baseline, so that only the data differ"))
    elif pruned:
        loss = part("trades", beta=assumed(1.0, "said for Table 3 alone, whose Adv-GLISTER row is Table 1's"))
    else:
        reason = "not in the paper for the baseline; as TRADES, and with 1 its clean accuracy would be higher"
        loss = part("trades", beta=assumed(6.0, reason))
    method = {
        "objective": loss,
        "attack": attack_of(objective, bullet),
        "selector": selector_of(objective, prune, period, fraction, lr, how.get("granularity")),
        **({"budget": BULLET} if bullet else {}),
        **({"extras": [part("groups", attack=pgd5())]} if how.get("tracked") else {}),
    }
    drops = [epochs * 3 // 4, epochs * 9 // 10]
    usual = "not in the paper; the drops of TRADES, 75 % and 90 % of the epochs"
    steps = {
        "lr": lr,
        "drops": assumed(drops, usual if epochs == 100 else "not in the paper; 75 % and 90 % of the epochs"),
        "factor": assumed(0.1, "not in the paper; as TRADES and MART"),
    }
    recipe = {
        "epochs": epochs,
        "batch": assumed(128, "not in the paper; as TRADES and MART"),
        "lr": part("steps", **steps),
        "momentum": 0.9,
        "nesterov": assumed(False, "not in the paper; as TRADES and MART"),
        "weight_decay": 0.0002 if trades else 0.0035,
        "clip_value": None,
        "drop_last": assumed(False, "not in the paper; as TRADES and MART"),
        "precision": assumed("fp32", "not in the paper"),
    }
    usual = "not in the paper; the usual crop and flip of CIFAR"
    normalised = "not in the paper; CORDS normalises by channel, TRADES and MART do not"
    return {
        "data": {
            "augment": assumed([part("crop", pad=4), "flip"], usual),
            "validation": 0.1 if prune == "glister" else None,
        },
        "model": {"standardise": assumed("channel", normalised)},
        "recipe": recipe,
        "method": method,
    }


def selector_of(
    objective: str, prune: str | None, period: int, fraction: float, lr: Any, granularity: str | None
) -> Any:
    """The selector of equations 5 and 6, which selects every ``period`` epochs; random subsets are ours."""
    if prune is None:
        return "everything"
    if prune == "random":
        return part("every", period=period, warmup=0, inner=part("random", fraction=fraction))
    trades = objective == "trades"

    def ours(value: Any, reason: str) -> Any:
        return assumed(value, reason if trades else "as with TRADES")

    def own(value: str, reason: str) -> Any:
        return granularity if granularity else ours(value, reason)

    if prune == "glister":
        fields = {
            "fraction": fraction,
            "granularity": own(
                "class",
                "not in the paper; CORDS offers all examples, classes and batches: over all examples, whole classes were left out on the digits",
            ),
            "eta": ours(lr, "not in the paper; the learning rate that the run begins with, as CORDS"),
            "features": ours(
                True,
                "not in the paper; CORDS has it off: with gradients of the bias alone whole classes were left out on the digits",
            ),
            "variant": ours("rounds", "not in the paper; CORDS' RGreedy, 15 rounds"),
        }
        if trades:  # delta maximises the negative log-likelihood (below equation 5)
            fields["validation_attack"] = part(
                "pgd",
                threat=part("linf", eps=assumed(8 / 255, "as in training")),
                steps=assumed(10, "as in training"),
                step_size=assumed(0.007, "as in training without Bullet"),
                start=assumed("gaussian", "as in training"),
            )
        inner = part("glister", **fields)
    elif prune == "gradmatch":
        by_batch = "not in the paper; 13 s per epoch for selection, what the attack alone takes, leave no time for 15,000 examples one by one"
        lam = ours(0.0, "not in the paper; as CORDS on batches")
        inner = part("grad_match", fraction=fraction, granularity=own("batch", by_batch), lam=lam)
    else:
        inner = part("by_loss", fraction=fraction, keep=prune.removesuffix(" loss"))
    first = "not in the paper; the subset until the first selection is random, as in CORDS"
    return part(
        "every",
        period=period,
        warmup=assumed(
            period, "none at epoch 0: 200 epochs have 9 selections at one every 20, and 4 at one every 40 (section 4.3)"
        ),
        before=part("once", tau=0, inner=part("random", fraction=assumed(fraction, first))),
        inner=inner,
    )


def attack_of(objective: str, bullet: bool) -> dict[str, Any]:
    """The PGD-10 of training, which the paper does not describe."""
    source = objective.upper()
    if not bullet:
        step_size = assumed(0.007, f"not in the paper; as {source}")
    elif objective == "mart":
        step_size = assumed(2 / 255, "as Bullet with TRADES")
    else:
        step_size = BULLET_STEP
    return part(
        "pgd",
        threat=part("linf", eps=assumed(8 / 255, f"not in the paper for training; {source} has 0.031")),
        steps=assumed(10, f"not in the paper; as {source}"),
        step_size=step_size,
        start=assumed(
            "gaussian",
            f"not in the paper; as {source}, whose code clips it to [0, 1] after the first step alone; here at once",
        ),
        **({"loss": "kl"} if objective == "trades" else {}),
    )


BULLET_STEP = assumed(
    2 / 255, "not in the paper; 10 steps of 2/255 for boundary examples, 2 of 6/255 for robust ones, as in AttackRider"
)
BULLET = part(
    "bullet",
    robust_steps=assumed(2, "not in the paper; as in AttackRider"),
    robust_stride=assumed(3.0, "not in the paper; 6/255 beside 2/255, as in AttackRider"),
    gamma=assumed(0.8, "not in the paper; as in AttackRider"),
    momentum=assumed(0.9, "not in the paper; as in AttackRider"),
)


def pgd5() -> dict[str, Any]:
    """The PGD-5-1 of Figure 1."""
    return part(
        "pgd",
        threat=part("linf", eps=assumed(8 / 255, "not in the paper")),
        steps=5,
        step_size=assumed(2 / 255, "not in the paper"),
        start=assumed("uniform", "not in the paper"),
    )


# -- what the paper leaves open, apart from the assumed values in specs


def choices(cell: Cell) -> Iterator[Choice]:
    how = METHODS.get(cell.get("method"), {})
    prune, bullet, granularity = how.get("prune"), how.get("bullet"), how.get("granularity")
    yield (
        "ResNet-18",
        "pre-activation, in the widths of the usual ResNet-18",
        "the paper cites He et al. 2016, Identity Mappings [45]; the code of TRADES and MART is post-activation",
    )
    if not how.get("tracked"):  # Figure 1 tests none
        yield "network that is tested", "after the last epoch", "not in the paper"
    if prune in ("glister", "gradmatch"):
        yield (
            "gradients of a selection",
            "of the last layer, with features, in evaluation mode",
            "not in the paper; CORDS takes those of the last layer, too, in training mode",
        )
        yield "examples of a selection", "on the view that the epoch trains on", "not in the paper"
    if prune == "gradmatch":
        yield "weights w in a mini-batch", "divided by their sum", "not in the paper; as CORDS"
        yield (
            "solver of Adv-GRAD-MATCH",
            "goes on until the budget or the sum is met, and adds nothing",
            "not in the paper; CORDS' older one stops where it would choose the same again, and random examples of weight 1 fill up",
        )
    if prune == "glister":
        yield (
            "data that Adv-GLISTER chooses among",
            "the 90 % that are no validation data: 30 % of these are 27 % of all",
            "what the paper's shares are of is not said of Adv-GLISTER; section 4.3 speaks of the full training set. Adv-GRAD-MATCH and random subsets have them of all, and so train on more",
        )
        yield (
            "validation data of Adv-GLISTER",
            "10 % of each class, at random, and not augmented",
            "section 4.1 says 10 %; CORDS draws them whatever their class, and augments them",
        )
    if prune == "glister" and cell["method"] in MART:
        yield (
            "attack on the validation data of Adv-GLISTER with MART",
            "that of the training, with the steps of 2/255 where Bullet-Train has them",
            "below equation 5: it maximises the negative log-likelihood, as MART's does; its steps are not in the paper. With TRADES, whose own attack maximises a divergence, it has one of its own",
        )
    if granularity == "batch" or (prune == "gradmatch" and granularity is None):
        yield (
            "batches that are chosen",
            "cut anew at random at every selection, as many as hold the share, so up to a batch more than random subsets have; their examples shuffled in each epoch",
            "not in the paper; CORDS rounds up, too, and cuts them once, in the order of the data set; kept whole, the weights of equation 6 would cancel inside each mini-batch",
        )
    if bullet:
        yield (
            "Bullet-Train",
            "outliers are not attacked; the share called robust is read from the training step's own logits, in training mode",
            "not in the paper, and no public code; the groups as in AttackRider, which spends a pass in evaluation mode on that share",
        )
    if bullet and prune:
        yield (
            "selection with Bullet-Train",
            "under the full attack; then each batch of the subset is grouped",
            "not in the paper",
        )
    if cell.get("item") == "figure2":
        yield (
            "sizes of subsets",
            "10, 30, 50 and 70 %",
            "the paper names the first, the second and the last; the others are only in its picture",
        )


# -- attacks: "PGD-50-10 ... from 4/255 to 16/255 with 50 iterations as well as 10 restarts at the step-size 2/255"


def pgd50(eps: int) -> dict[str, Any]:
    """PGD-50-10 within ``eps`` of 255 levels."""
    stays = assumed(True, "not in the paper; an image that any restart fools stays so")
    start = assumed("uniform", "not in the paper; restarts need a random one")
    threat, step = part("linf", eps=eps / 255), 2 / 255
    fields = {"steps": 50, "step_size": step, "start": start, "restarts": 10, "only_correct": stays}
    return {"attack": part("pgd", threat=threat, **fields)}


SUITES = {
    "main": {f"pgd50_10_{eps}": pgd50(eps) for eps in (4, 8, 16)}
    # AutoAttack with the usual radius 8/255
    | {"autoattack": {"attack": part("autoattack", threat=part("linf", eps=assumed(8 / 255, "not in the paper")))}},
    "pgd8": {"pgd50_10_8": pgd50(8)},  # Figure 2
}

# -- tables and figures

RESNET18 = {"model": "preact_resnet18"}  # "ResNet-18 [45]", He et al. 2016, Identity Mappings
CIFAR10 = RESNET18 | {"data": "cifar10"}
ACCURACIES = [
    accuracy("Clean", published={"column": "Clean"}),
    *(
        accuracy(f"ε = {eps}/255", f"pgd50_10_{eps}", "PGD", published={"column": f"PGD | {eps}/255"})
        for eps in (4, 8, 16)
    ),
    accuracy("AutoAttack", "autoattack", published={"column": "AutoAttack"}),
]


def times(baseline: str) -> list[dict[str, Any]]:
    """Columns of an epoch's time and of the speed-up over ``baseline``, with Bullet-Train's from its groups and as printed."""
    group, printed = "Time/epoch (Speed-up)", {"column": "Time/epoch (Speed-up) | Speed-up"}
    return [
        seconds_per_epoch("Time/epoch", group, published={"column": "Time/epoch (Speed-up) | Time/epoch"}),
        speedup("Speed-up", baseline, group, published=printed),
        speedup("if Bullet's is as printed", baseline, group, bullet=f"{baseline}_bullet", published=printed),
    ]


def rows(methods: Any, **more: Any) -> list[dict[str, Any]]:
    return [row | ({"ours": True} if row["method"] in OURS else {}) for row in product(**more, method=list(methods))]


def long(period: int = PERIOD) -> dict[str, Any]:
    """The settings of a training of 200 epochs."""
    return {"epochs": 200} | ({} if period == PERIOD else {"period": period})


PRUNED = ["trades_glister", "trades_gradmatch"]
SO_PRINTED = {("cifar10", "mart_bullet"): {"published": {"row": "CIFAR-10 | Bullet[22]"}}}  # without a space
SHORT_NAMES = {"trades_glister": "Adv-GLISTER", "trades_gradmatch": "Adv-GRAD-MATCH"}
# Rows of ``variants`` whose learning rate differs from Table 1, so that Table 1's numbers do not apply.
OTHER_LR = {
    "trades": {"label": "TRADES, the pruned runs' learning rate", "ours": True, "published": None},
    "trades_glister": {"label": "Adv-GLISTER", "ours": True, "published": None},
}
SIZES = (10, 30, 50, 70)  # sizes of the subsets in Figure 2, in percent
BASELINE = {
    name: ("mart" if name in MART else "trades")
    for name in ("trades", *PRUNED, "mart", "mart_glister", "mart_gradmatch")
}
ITEMS = {
    "table1": ItemSpec(
        kind="table",
        title="Data pruning with TRADES (Table 1)",
        caption="30 % of CIFAR-10, 50 % of CIFAR-100, 100 epochs; PGD-50-10 and AutoAttack. Times are composed of measured steps on ResNet-18 with the paper's settings, on the device named below, selections included. Bullet-Train's time is that of its groups: as our runs have them, and in the last column as the speed-up printed for Bullet alone implies. The last rows of each data set are ours: random subsets, and all the data with the beta and the learning rate of the pruned runs, which the comparison of the paper changes together with the data.",
        base=RESNET18, suite="main", rows=rows(TRADES, data=["cifar10", "cifar100"]),
        columns=[*ACCURACIES, *times("trades")], published={"item": "table1", "row": "{data} | {method}"},
        options={"baseline": "TRADES [20]"},
    ),
    "table2": ItemSpec(
        kind="table",
        title="Data pruning with MART (Table 2)",
        caption="30 % of CIFAR-10, 50 % of CIFAR-100, 100 epochs; PGD-50-10 and AutoAttack. Times as in Table 1: Bullet-Train's is that of its groups, as our runs have them, and in the last column as the speed-up printed for Bullet alone implies. The last rows of each data set are ours: random subsets.",
        base=RESNET18, suite="main",
        rows=[row | SO_PRINTED.get((row["data"], row["method"]), {}) for row in rows(MART, data=["cifar10", "cifar100"])],
        columns=[*ACCURACIES, *times("mart")], published={"item": "table2", "row": "{data} | {method}"},
        options={"baseline": "MART [21]"},
    ),
    "table3": ItemSpec(
        kind="table",
        title="100 against 200 epochs, TRADES, 30 % of CIFAR-10 (Table 3)",
        caption="The paper's Adv-GRAD-MATCH row at 100 epochs differs from its Table 1 in three numbers.",
        base=CIFAR10, suite="main",
        rows=[*product(method=PRUNED, epochs=100), *product(method=PRUNED, epochs=200, settings=long())],
        columns=ACCURACIES, published={"item": "table3", "row": "{method} | {epochs}", "labels": SHORT_NAMES},
    ),
    "table4": ItemSpec(
        kind="table",
        title="4 against 9 selections in 200 epochs, TRADES, 30 % of CIFAR-10 (Table 4)",
        caption="A selection every 40 or every 20 epochs, after a random subset. Speed-up: of an epoch, composed of measured steps.",
        base=CIFAR10, suite="main",
        rows=[
            *product(method="trades", selections="-", settings=long()),
            *product(method=PRUNED, selections=4, settings=long(40)),
            *product(method=PRUNED, selections=9, settings=long()),
        ],
        columns=[
            *ACCURACIES,
            column("Speed-up", "speedup_per_epoch", unit="×", better="high", reference="trades", published={"column": "Speed-up"}),
        ],
        published={"item": "table4", "row": "{method} | {selections}", "labels": SHORT_NAMES},
    ),
    "figure1": ItemSpec(
        kind="figure", seeds={"demo": 1, "lite": 1},
        title="Outlier, boundary and robust examples over training (Figure 1)",
        caption="Shares of the training set under PGD-5-1, un-augmented, before each of 200 epochs, TRADES. Outliers are wrong without attack, boundary examples under attack only.",
        base=CIFAR10, rows=product(method=list(TRACKED), share=[k / 10 for k in range(1, 11)], settings=long()),
        columns=[column(group, f"history.{group}@{{share}}") for group in ("outlier", "boundary", "robust")],
        options={
            "plot": "areas", "x": "share", "series": "column_label", "panel": "method",
            "x_label": "share of the epochs", "y_label": "share of the training examples",
        },
    ),
    "figure2": ItemSpec(
        kind="figure", seeds={"demo": 1, "lite": 1},
        title="Robust accuracy and speed-up against the size of the subset (Figure 2)",
        caption="PGD-50-10 at 8/255, 100 epochs on CIFAR-10. 100 % is full training (TRADES or MART). The paper's curves are only in its picture.",
        base=CIFAR10, suite="pgd8",
        rows=[
            *(
                {"size": size, "objective": objective.upper(), "method": method, "settings": {"fraction": size / 100}}
                for size in SIZES for objective in ("trades", "mart") for method in (f"{objective}_glister", f"{objective}_gradmatch")
            ),
            {"size": 100, "objective": "TRADES", "method": "trades"},
            {"size": 100, "objective": "MART", "method": "mart"},
        ],
        columns=[accuracy("PGD", "pgd50_10_8"), speedup("speed-up", BASELINE)],
        options={
            "plot": "lines", "x": "size", "series": ["objective", "method"], "panel": "column_label",
            "x_label": "subset size (%)", "y_label": {"PGD": "robust accuracy (%)", "speed-up": "speed-up (×)"},
        },
    ),
    "variants": ItemSpec(
        kind="table",
        title="What the paper changes together or leaves open, one thing at a time",
        caption="Ours, on the data and networks of Table 1, 30 % kept. The comparison of the paper changes beta from 6 to 1 and the learning rate together with the data; here each beta has training on all data, random subsets and both methods, and all rows have the learning rate of Adv-GRAD-MATCH. Adv-GLISTER keeps 10 % of the data for its validation loss and chooses 30 % of the rest, 27 % of all. Granularity: what GLISTER and GRAD-MATCH choose among. By the loss: of each class the examples of lowest or highest cross-entropy under the training's attack, chosen as often as the methods choose; how reference [19], which the paper cites for it, does so is not in the paper.",
        base=CIFAR10, suite="pgd8",
        rows=[
            row | {"settings": {"lr": ONE_LR}} | OTHER_LR.get(row["method"], {})
            for row in (
                *rows(["trades", "trades_random_beta6", "trades_glister_beta6", "trades_gradmatch_beta6"], about="beta 6"),
                *rows(["trades_beta1", "trades_random", *PRUNED], about="beta 1"),
                *rows([name for name in VARIANTS if name.endswith(("_batch", "_example", "_class"))], about="other granularities"),
                *rows(["trades_low_loss", "trades_high_loss"], about="by the loss"),
            )
        ],
        columns=[ACCURACIES[0], ACCURACIES[2]], published={"item": "table1", "row": "{data} | {method}"},
    ),
}  # fmt: skip

PAPER = Paper(
    title="Less is More: Data Pruning for Faster Adversarial Training",
    source="SafeAI workshop at AAAI 2023",
    seeds=assumed(3, "the paper does not say; its tables print no deviation"),
    labels=LABELS,
    spec=spec,
    suites=SUITES,
    items=ITEMS,
    methods=METHODS,
    choices=choices,
    scales=SCALES,
)
