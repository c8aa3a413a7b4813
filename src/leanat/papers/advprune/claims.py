"""The claims of the pruning paper in our words, each with its test; published/claims.csv has the paper's wording and numbers."""

from __future__ import annotations

from itertools import pairwise, product

from leanat.experiments.claim import Case, Claim, case, every, level, mechanism, ordering, some, time

FULL = {"table1": "TRADES [20]", "table2": "MART [21]"}  # the rows that are trained on all data
PRUNED = ["Adv-GLISTER", "Adv-GRAD-MATCH"]
DATA = ["CIFAR-10", "CIFAR-100"]
ATTACKED = ["Clean", "PGD | ε = 4/255", "PGD | ε = 8/255", "PGD | ε = 16/255", "AutoAttack"]  # columns of Tables 1 to 4
TIME = "Time/epoch (Speed-up)"


def speed(item: str, data: str, method: str) -> Case:
    return case(item, f"{TIME} | Speed-up", speed=f"{data} | {method} (Ours)")


def ours_and_full(data: list[str]) -> list[Case]:
    """Pruned training and training on all data (Tables 1 and 2)."""
    return [
        case(item, column, ours=f"{name} | {method} (Ours)", full=f"{name} | {full}")
        for (item, full), name, method, column in product(FULL.items(), data, PRUNED, ATTACKED)
    ]


def settings(item: str, method: str, column: str, **values: int) -> Case:
    """A method with several values of one setting (Tables 3 and 4)."""
    return case(item, column, **{name: f"{method} (Ours) | {value}" for name, value in values.items()})


def groups(other: str, row: str, other_row: str) -> Case:
    """The shares of the groups of examples in a row of Figure 1 and in another row, whose names end in ``other``."""
    names = product(["robust", "outlier", "boundary"], {"": row, other: other_row}.items())
    return {group + end: ("figure1", at, group) for group, (end, at) in names}


def robust_grow_others_shrink(robust, robust_first, outlier, outlier_first, boundary, boundary_first):
    return robust - robust_first, outlier_first - outlier, boundary_first - boundary


def full_has_more_robust(robust, robust_full, outlier, outlier_full, boundary, boundary_full):
    return robust_full - robust, outlier - outlier_full, boundary - boundary_full


def by_size(objective: str, full: str, method: str) -> list[str]:
    """The rows of Figure 2 from the smallest subset to all data."""
    return [*(f"{size} | {objective} | {method} (Ours)" for size in (10, 30, 50, 70)), f"100 | {objective} | {full}"]


def pruned_and_full(method: str, column: str) -> Case:
    """A pruning method and training on all data, with TRADES (Table 1) and with MART (Table 2)."""
    pruned = f"CIFAR-10 | {method} (Ours)"
    trades = case("table1", column, trades="CIFAR-10 | TRADES [20]", trades_pruned=pruned)
    return trades | case("table2", column, mart="CIFAR-10 | MART [21]", mart_pruned=pruned)


def same_settings(other: str) -> list[Case]:
    """Both methods, each with a row of ``variants`` that differs from it only in the chosen data."""
    return [
        case("variants", column, ours=f"beta 1 | {method}", other=f"beta 1 | {other}")
        for method, column in product(["Adv-GLISTER", "Adv-GRAD-MATCH (Ours)"], ["Clean", "PGD | ε = 8/255"])
    ]


def with_and_without_bullet(item: str, data: str, method: str) -> Case:
    bullet, ours, alone = (
        f"{data} | {name}" for name in ("Bullet [22]", f"{method}&Bullet (Ours)", f"{method} (Ours)")
    )
    return case(item, f"{TIME} | Time/epoch", bullet=bullet, ours=ours, alone=alone)


CLAIMS = [
    time(
        "advprune-01",
        says="CIFAR-10 training becomes up to 3.44 times faster",
        source="abstract, section 1",
        cases=[speed(item, "CIFAR-10", method) for item, method in product(FULL, PRUNED)],
        expect=some(above=3.44),
    ),
    time(
        "advprune-02",
        says="CIFAR-100 training becomes up to 2.02 times faster",
        source="abstract, section 1",
        cases=[speed(item, "CIFAR-100", method) for item, method in product(FULL, PRUNED)],
        expect=some(above=2.02),
    ),
    time(
        "advprune-03",
        says="with Bullet-Train CIFAR-10 training becomes 5.66 (TRADES) and 5.12 (MART) times faster; as much is "
        "reached here",
        source="abstract, Tables 1 and 2",
        cases=[speed(item, "CIFAR-10", "Adv-GLISTER&Bullet") for item in FULL],
        effect=lambda speed, speed_paper: speed / speed_paper,
        expect=every(above=1),
        scales=("cpu", "lite", "paper"),
        why="the share of each of Bullet-Train's groups comes from a training on CIFAR-10",
    ),
    time(
        "advprune-04",
        says="with Bullet-Train CIFAR-100 training becomes 3.67 (TRADES) and 3.07 (MART) times faster; as much is "
        "reached here",
        source="abstract, Tables 1 and 2",
        cases=[speed(item, "CIFAR-100", "Adv-GLISTER&Bullet") for item in FULL],
        effect=lambda speed, speed_paper: speed / speed_paper,
        expect=every(above=1),
        scales=("cpu", "lite", "paper"),
        why="the share of each of Bullet-Train's groups comes from a training on CIFAR-100",
    ),
    level(
        "advprune-05",
        says="pruned training is about as robust, and as accurate, as training on all data, or better (read as: "
        "at most 1 point below)",
        source="abstract",
        cases=ours_and_full(DATA),
        expect=every(above=-1),
    ),
    ordering(
        "advprune-06",
        says="at radius 16/255 pruned TRADES is more robust than Bullet-Train",
        source="section 4.2, Table 1",
        cases=[
            case("table1", "PGD | ε = 16/255", ours=f"CIFAR-10 | {method} (Ours)", bullet="CIFAR-10 | Bullet [22]")
            for method in PRUNED
        ],
        least=0.4,
    ),
    ordering(
        "advprune-07",
        says="on CIFAR-10 pruning costs clean and robust accuracy, for a large gain in time",
        source="section 4.2, Tables 1 and 2",
        cases=ours_and_full(["CIFAR-10"]),
        effect=lambda ours, full: full - ours,
    ),
    time(
        "advprune-08",
        says="on CIFAR-100, too, pruning saves much time (read as: at least a third)",
        source="section 4.2",
        cases=[speed(item, "CIFAR-100", method) for item, method in product(FULL, PRUNED)],
        expect=every(above=1.5),
    ),
    ordering(
        "advprune-09",
        says="200 epochs are better than 100 for the pruned methods, clean and under every attack",
        source="section 4.3, Table 3",
        cases=[settings("table3", method, column, long=200, short=100) for method, column in product(PRUNED, ATTACKED)],
        least=0.05,
    ),
    level(
        "advprune-10",
        says="100 epochs are enough for the small data set (read as: 200 change clean accuracy and AutoAttack by "
        "less than 2 points)",
        source="section 4.3",
        cases=[
            settings("table3", method, column, long=200, short=100)
            for method, column in product(PRUNED, ["Clean", "AutoAttack"])
        ],
        expect=every(within=2),
    ),
    ordering(
        "advprune-11",
        says="9 selections are better than 4, clean and under every attack",
        source="section 4.3, Table 4",
        cases=[settings("table4", method, column, nine=9, four=4) for method, column in product(PRUNED, ATTACKED)],
        least=0.2,
    ),
    ordering(
        "advprune-12",
        says="robust accuracy rises with the size of the subset, from 10 % to 70 % and on to all data",
        source="section 4.3, Figure 2",
        cases=[
            case("figure2", "PGD", less=less, more=more)
            for (objective, full), method in product([("TRADES", "TRADES [20]"), ("MART", "MART [21]")], PRUNED)
            for less, more in pairwise(by_size(objective, full, method))
        ],
        effect=lambda less, more: more - less,
    ),
    Claim(
        "advprune-13",
        says="30 % is the right subset size for CIFAR-10",
        source="section 4.3",
        untestable="a weighing of accuracy against time; Figure 2 shows both",
    ),
    mechanism(
        "advprune-14",
        says="over training robust examples grow, outliers and boundary examples shrink, for pruned and full training",
        source="section 4.2, Figure 1",
        cases=[groups("_first", f"{method} | 1.0", f"{method} | 0.1") for method in ["TRADES", "Bullet", *PRUNED]],
        effect=robust_grow_others_shrink,
        unit="share",
    ),
    ordering(
        "advprune-15",
        says="MART shows what TRADES shows (read as: pruning loses clean and robust accuracy with both)",
        source="section 4.2, Tables 1 and 2",
        cases=[pruned_and_full(method, column) for method, column in product(PRUNED, ATTACKED)],
        effect=lambda trades, trades_pruned, mart, mart_pruned: (trades - trades_pruned, mart - mart_pruned),
    ),
    Claim(
        "advprune-16",
        says="adversarial training costs 5 to 10 times as much as standard training",
        source="abstract, section 2",
        untestable="cited from other work; no item of this paper trains without an attack",
    ),
    time(
        "advprune-17",
        says="pruning with Bullet-Train has the shortest epochs of all, Bullet-Train's own included",
        source="sections 1 and 5",
        cases=[with_and_without_bullet(*where) for where in product(FULL, DATA, PRUNED)],
        effect=lambda bullet, ours, alone: min(bullet, alone) / ours,
        expect=every(above=1),
        scales=("cpu", "lite", "paper"),
        why="the share of each of Bullet-Train's groups comes from a training on these data",
    ),
    Claim(
        "advprune-18",
        says="effective under diverse evaluations of robustness",
        source="section 1",
        untestable="a summary of Tables 1 to 4; its parts are advprune-05, -07, -09 and -11",
    ),
    ordering(
        "advprune-19",
        says="with MART on CIFAR-100, Adv-GRAD-MATCH is more robust than training on all data at radii 8/255 and "
        "16/255",
        source="Table 2",
        cases=[
            case(
                "table2", f"PGD | ε = {eps}/255", ours="CIFAR-100 | Adv-GRAD-MATCH (Ours)", full="CIFAR-100 | MART [21]"
            )
            for eps in [8, 16]
        ],
    ),
    ordering(
        "advprune-20",
        says="random subsets do better than pruning by the loss, clean and under attack (read as: than the "
        "examples of lowest, and than those of highest loss of each class)",
        source="section 1, of reference [19]",
        cases=[
            case("variants", column, random="beta 1 | Random, drawn again", pruned=f"by the loss | {kept} loss kept")
            for kept in ["Lowest", "Highest"]
            for column in ["Clean", "PGD | ε = 8/255"]
        ],
    ),
    ordering(
        "advprune-21",
        says="pruning CIFAR-10 costs clean and robust accuracy at the same beta and learning rate, too",
        source="section 4.2; the comparison at the same settings is ours",
        cases=same_settings("TRADES, the pruned runs' beta and learning rate"),
        effect=lambda ours, other: other - ours,
    ),
    ordering(
        "advprune-22",
        says="the methods' choice is better than a random 30 %, clean and under attack (Adv-GLISTER keeps 27 %)",
        source="section 1, which holds random subsets against reference [19]; the comparison is ours",
        cases=same_settings("Random, drawn again"),
    ),
    mechanism(
        "advprune-23",
        says="at the end both trainings on all data have more robust examples, and fewer boundary and outlier examples, than "
        "the pruned ones",
        source="section 4.2, Figure 1",
        cases=[
            groups("_full", f"{pruned} | 1.0", f"{full} | 1.0")
            for pruned, full in product(PRUNED, ["TRADES", "Bullet"])
        ],
        effect=full_has_more_robust,
        unit="share",
    ),
    time(
        "advprune-24",
        says="9 selections are about as fast as 4 (read as: their speed-up is at least nine tenths of that of 4)",
        source="section 4.3, Table 4",
        cases=[settings("table4", method, "Speed-up", nine=9, four=4) for method in PRUNED],
        expect=every(above=0.9),
    ),
]
