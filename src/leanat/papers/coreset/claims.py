"""The claims of the coreset paper in our words, each with its test; published/claims.csv has the paper's wording and numbers."""

from __future__ import annotations

from itertools import combinations, product

from leanat.experiments.claim import Case, Claim, case, every, level, mean, mechanism, ordering, time

FULL, FULL_PAT, FAST = "Full Adv. Training", "Full PAT (Fast-LPA)", "Fast Adv. Training"
OURS = ["Adv. Craig (Ours)", "Adv. GradMatch (Ours)"]  # Table 1; in Table 3 after a +
OURS_PAT = ["Adv. Craig (Ours)", "Adv. GRADMATCH (Ours)"]  # Table 2
FIRST = ["TRADES | CIFAR-10", "ℓ_∞-PGD | CIFAR-10", "ℓ_2-PGD | SVHN"]  # the blocks of Table 1
GRADMATCH = OURS[1]
ERROR = "relative robust error"  # Figure 3


def cosines(trained: str, size: int) -> Case:
    """The cosines of coresets that are chosen by gradients of the last layer and by gradients of all layers."""
    columns = {"last": "GradMatch, by batch", "all": "GradMatch, by batch, all layers"}
    row = f"cosine, all layers | {trained} | {size}"
    return {name: ("gradient_error", row, column) for name, column in columns.items()}


def radius(eps: int) -> Case:
    columns = {"full": FULL, "ours": GRADMATCH, "fast": FAST}
    return {name: ("figure2", str(eps), column) for name, column in columns.items()}


def table1(blocks: list[str], *columns: str) -> list[Case]:
    """Full training with each coreset method."""
    return [
        case("table1", column, full=f"{block} | {FULL}", ours=f"{block} | {ours}")
        for block, ours, column in product(blocks, OURS, columns)
    ]


def table2(*columns: str) -> list[Case]:
    return [
        case("table2", column, full=f"{data} | {FULL_PAT}", ours=f"{data} | {ours}")
        for data, ours, column in product(["CIFAR-10", "ImageNet-12"], OURS_PAT, columns)
    ]


def table3(column: str = "T") -> list[Case]:
    return [case("table3", column, full=FAST, ours=f"+ {ours}") for ours in OURS]


# All pairs, since the mean over neighbouring pairs would depend only on the shortest and the longest warm start.
WARM_STARTS = [
    case("figure3", ERROR, short=f"warm start | {short} | {GRADMATCH}", long=f"warm start | {long} | {GRADMATCH}")
    for short, long in combinations([0.2, 0.4, 0.6, 0.8], 2)
]

CLAIMS = [
    time(
        "coreset-01",
        says="adversarial coresets make training 2 to 3 times faster (read as: over twice, on average)",
        source="abstract, section 1",
        cases=[*table1(FIRST, "T"), *table2("T")],
        expect=mean(above=2),
    ),
    time(
        "coreset-02",
        says="all cases of Table 1 train more than twice as fast",
        source="section 4.1, Table 1",
        cases=table1(FIRST, "T"),
        expect=every(above=2),
    ),
    time(
        "coreset-03",
        says="perceptual adversarial training becomes at least twice as fast",
        source="section 4.2, Table 2",
        cases=table2("T"),
        expect=every(above=2),
    ),
    level(
        "coreset-04",
        says="perceptual training on coresets is competitive, clean and under unseen attacks (read as: at most 5 "
        "points below)",
        source="section 4.2, Table 2",
        cases=table2("ACC", "RACC | Unseen"),
        effect=lambda full, ours: ours - full,
        expect=every(above=-5),
    ),
    level(
        "coreset-05",
        says="on coresets clean and robust accuracy stay almost intact in all cases of Table 1 (read as: at most 3.5 points "
        "below: CRAIG with ℓ_2-PGD is 3.34 below by the authors' own numbers)",
        source="section 4.1, Table 1",
        cases=table1(FIRST, "ACC", "RACC"),
        effect=lambda full, ours: ours - full,
        expect=every(above=-3.5),
    ),
    ordering(
        "coreset-06",
        says="with ℓ_2-PGD on SVHN clean accuracy rises",
        source="Table 1",
        cases=table1(["ℓ_2-PGD | SVHN"], "ACC"),
        effect=lambda full, ours: ours - full,
        least=0.1,
        scales=("cpu", "lite", "paper"),
        why="it is of SVHN, in whose place 600 digits stand",
    ),
    time(
        "coreset-07",
        says="coresets make Fast adversarial training faster still",
        source="section 4.3, Table 3",
        cases=table3(),
        expect=every(above=1),
    ),
    ordering(
        "coreset-08",
        says="over the radii of the attack, GRAD-MATCH's coresets stay nearer to full PGD training than Fast "
        "adversarial training does",
        source="section 4.3, Figure 2",
        cases=[radius(eps) for eps in [2, 4, 6, 8, 10, 12, 16]],
        effect=lambda full, ours, fast: abs(fast - full) - abs(ours - full),
        expect=mean(above=0),
    ),
    ordering(
        "coreset-09",
        says="at every subset size GRAD-MATCH loses less robust accuracy than random subsets (drawn once, as the "
        "authors' code)",
        source="section 4.4, Figure 3",
        cases=[
            case("figure3", ERROR, random=f"size | {size} | Random, drawn once", ours=f"size | {size} | {GRADMATCH}")
            for size in [10, 30, 50, 70]
        ],
    ),
    ordering(
        "coreset-10",
        says="a longer warm start is generally better (read as: of any two of 20, 40, 60 and 80 % of the cost the longer loses "
        "less robust accuracy, on average)",
        source="section 4.4, Figure 3",
        cases=WARM_STARTS,
        expect=mean(above=0),
    ),
    mechanism(
        "coreset-11",
        says="gradients of the last layer are a good stand-in for all (read as: GRAD-MATCH's coreset by them has, "
        "in the gradients of all layers, a cosine to the full gradient at most 0.05 below that of the "
        "coreset by all layers; that they cost a forward pass is seen in the code)",
        source="section 3.3",
        cases=[
            cosines(trained, size)
            for trained in ["a tenth of the epochs", "half of the epochs", "all epochs"]
            for size in [10, 30, 50]
        ],
        expect=every(above=-0.05),
    ),
    level(
        "coreset-12",
        says="the subset has to be chosen anew only every T epochs, T usually above 15 (read as: every 20 or 40 "
        "epochs is at most 2 points of robust accuracy below every 10)",
        source="section 3.3",
        cases=[
            case("sweeps", "RACC", often=f"T = 10 | {GRADMATCH}", late=f"{late} | {GRADMATCH}")
            for late in ["as in Table 1", "T = 40"]
        ],
        effect=lambda often, late: late - often,
        expect=every(above=-2),
    ),
    Claim(
        "coreset-13",
        says="the first use of coresets in adversarial training",
        source="section 1",
        untestable="a claim of priority",
    ),
    Claim(
        "coreset-14",
        says="works with any adversarial objective and any greedy selection",
        source="sections 1 and 3.3",
        untestable="a range of use, not a number; the paper's five combinations are coreset-02 to -07",
    ),
    Claim(
        "coreset-15",
        says="Fast adversarial training can overfit catastrophically, to a robust accuracy of 0 %",
        source="section 1",
        untestable="cited from other work; the paper's own Fast runs (Table 3) do not",
    ),
    Claim(
        "coreset-16",
        says="tuning would probably give still better results",
        source="section 4.1",
        untestable="a conjecture",
    ),
    Claim(
        "coreset-17",
        says="Table 1 is the mean of 5 runs",
        source="caption of Table 1",
        untestable="how the paper's numbers were made; it prints no standard deviation",
    ),
    ordering(
        "coreset-18",
        says="with Fast adversarial training, coresets raise robust accuracy",
        source="Table 3",
        cases=table3("RACC"),
        effect=lambda full, ours: ours - full,
        least=0.1,
    ),
    level(
        "coreset-19",
        says="the length of the warm start matters little (read as: with any two of 20, 40, 60 and 80 % of the cost the share "
        "of robust accuracy that is lost differs by at most 5 points)",
        source="section 4.4, Figure 3",
        cases=WARM_STARTS,
        expect=every(within=5),
    ),
]
