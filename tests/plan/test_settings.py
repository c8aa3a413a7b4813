"""The settings that the papers print (published/*.csv, item ``hyper``) against the configuration; Q-TART's are in test_grid."""

from pathlib import Path

import pytest
from grids import grid_of

from leanat.report import published

ROOT = Path(__file__).parents[2]
PAPERS = ("advprune", "coreset", "saliency", "sat")


@pytest.fixture(scope="module")
def grid():
    return grid_of("paper")


@pytest.fixture(scope="module")
def ours(grid):
    """What the configuration has for each printed setting: (paper, row, column) -> the same text or number."""

    def spec(paper, data, model, method, settings=None, item="table1"):
        return grid.run(
            {"paper": paper, "item": item, "data": data, "model": model, "method": method}, 0, settings
        ).spec

    def pgd(paper, suite, attack, data="cifar10"):
        facts = {"paper": paper, "item": "table1", "data": data, "model": "", "method": ""}
        return grid.suite(facts, suite)[attack]["attack"]["pgd"]

    return {
        **{("advprune", *k): v for k, v in advprune(spec, pgd, grid).items()},
        **{("coreset", *k): v for k, v in coreset(spec, grid).items()},
        **{("saliency", *k): v for k, v in saliency(spec, pgd).items()},
        **{("sat", *k): v for k, v in sat(spec, grid).items()},
    }


def advprune(spec, pgd, grid):
    def made(data, method, settings=None):
        return spec("advprune", data, "preact_resnet18", method, settings)

    def every(data, method, settings=None):
        return made(data, method, settings)["method"]["selector"]["every"]

    def rate(data, method):
        return made(data, method)["recipe"]["lr"]["steps"]["lr"]

    def share(data, method):
        inner = every(data, method)["inner"]
        return 100 * next(iter(inner.values()))["fraction"]

    def rounds(period):
        found = every("cifar10", "trades_glister", {"epochs": 200, "period": period})
        return f"{found['period']} / {(200 - 1) // found['period']}"

    def epochs(item):
        (only,) = {grid.runs[run].spec["recipe"]["epochs"] for run in grid.items[f"advprune/{item}"].runs}
        return only

    attack = {eps: pgd("advprune", "main", f"pgd50_10_{eps}") for eps in (4, 16)}
    groups = made("cifar10", "trades_tracked")["method"]["extras"][0]["groups"]["attack"]["pgd"]
    whole, both, gm, gl = "Table 1 (TRADES)", "Adv-GRAD-MATCH / Adv-GLISTER", "Adv-GRAD-MATCH", "Adv-GLISTER"
    return {
        (
            both,
            "subset size (options)",
        ): f"{share('cifar10', 'trades_glister'):.0f}, {share('cifar100', 'trades_glister'):.0f}",
        (both, "epochs (options)"): f"{epochs('table1')}, {epochs('table4')}",
        (both, "selection interval"): every("cifar10", "trades_gradmatch")["period"],
        (both, "subset selection every"): every("cifar10", "mart_glister")["period"],
        (gl, "train split"): 100 * (1 - made("cifar10", "trades_glister")["data"]["validation"]),
        (gl, "validation split"): 100 * made("cifar10", "mart_glister")["data"]["validation"],
        ("SGD", "momentum"): made("cifar10", "trades")["recipe"]["momentum"],
        ("SGD | TRADES", "weight decay"): made("cifar10", "trades_glister")["recipe"]["weight_decay"],
        ("SGD | MART", "weight decay"): made("cifar10", "mart_glister")["recipe"]["weight_decay"],
        (f"{gm} | CIFAR-10", "initial learning rate"): rate("cifar10", "trades_gradmatch"),
        (f"{gl} | CIFAR-10", "initial learning rate"): rate("cifar10", "trades_glister"),
        (f"{gm} | CIFAR-100", "initial learning rate"): rate("cifar100", "mart_gradmatch"),
        (f"{gl} | CIFAR-100", "initial learning rate"): rate("cifar100", "mart_glister"),
        ("PGD-50-10 evaluation (l_inf)", "ε low"): over_255(attack[4]["threat"]["linf"]["eps"]),
        ("PGD-50-10 evaluation (l_inf)", "ε high"): over_255(attack[16]["threat"]["linf"]["eps"]),
        ("PGD-50-10 evaluation (l_inf)", "iterations"): attack[4]["steps"],
        ("PGD-50-10 evaluation (l_inf)", "restarts"): attack[16]["restarts"],
        ("PGD-50-10 evaluation (l_inf)", "step size α"): over_255(attack[4]["step_size"]),
        ("Table 3", "robustness regularization factor"): made("cifar10", "trades_glister")["method"]["objective"][
            "trades"
        ]["beta"],
        (whole, "data points on CIFAR-10"): share("cifar10", "trades_gradmatch"),
        (whole, "data points on CIFAR-100"): share("cifar100", "trades_gradmatch"),
        (whole, "epochs"): made("cifar100", "trades_glister")["recipe"]["epochs"],
        ("Table 2 (MART)", "data points on CIFAR-10"): share("cifar10", "mart_glister"),
        ("Table 2 (MART)", "data points on CIFAR-100"): share("cifar100", "mart_gradmatch"),
        ("Table 2 (MART)", "epochs"): made("cifar100", "mart_glister")["recipe"]["epochs"],
        ("Table 4", "epochs"): epochs("table4"),
        ("Table 4", "data samples"): share("cifar10", "trades_glister"),
        ("figure 1", "epochs tracked"): epochs("figure1"),
        (
            "figure 1",
            "attack for outlier/robust/boundary tracking",
        ): f"PGD-{groups['steps']}-{groups.get('restarts', 1)}",
        ("selection rounds | sec. 4.2 setting", "interval / selections"): rounds(
            every("cifar10", "trades_glister")["period"]
        ),
        ("selection rounds | ablation", "interval / selections"): rounds(40),
    }


def coreset(spec, grid):
    def size(data, model, method):
        inner = spec("coreset", data, model, method)["method"]["selector"]["warm_start"]["inner"]
        return 100 * next(iter(inner.values()))["fraction"]

    period = spec("coreset", "cifar10", "resnet18", "trades_craig")["method"]["selector"]["warm_start"]["period"]
    assert period > 15
    return {
        ("Table 1 | CIFAR-10", "coreset size"): size("cifar10", "resnet18", "trades_craig"),
        ("Table 1 | SVHN", "coreset size"): size("svhn", "resnet18", "l2_gradmatch"),
        ("Table 2 (PAT) | CIFAR-10", "coreset size"): size("cifar10", "resnet50", "pat_craig"),
        ("Table 2 (PAT) | ImageNet-12", "coreset size"): size("imagenet12", "resnet50", "pat_gradmatch"),
        ("Table 3 (FAT) | CIFAR-10", "coreset size"): size("cifar10", "resnet18", "fat_craig"),
        ("Table 1", "runs averaged"): len(grid.items["coreset/table1"].seeds),
        ("coreset selection", "epochs between selections T (usually greater than)"): 15,
        ("TRADES and ℓ_p-PGD", "network"): grid.papers["coreset"].labels[
            spec("coreset", "cifar10", "resnet18", "trades")["model"]["name"]
        ],
        ("PAT", "network"): grid.papers["coreset"].labels[
            spec("coreset", "cifar10", "resnet50", "pat")["model"]["name"]
        ],
        ("ImageNet-12", "classes"): grid.datasets["imagenet12"]["classes"],
    }


def saliency(spec, pgd):
    def made(data, method):
        found = spec("saliency", data, "wrn32_10", method)
        return found["recipe"], found["method"]["objective"]["saliency"]

    found = {}
    for row, data in (("CIFAR10", "cifar10"), ("CIFAR100", "cifar100")):
        (first, one), (second, two) = made(data, "phase1"), made(data, "phase2")
        assert one["beta"] == two["beta"]
        assert second["epochs"] == two["epochs_each"] * len(two["ks"])
        found |= {(row, "β"): two["beta"], (row, "γ first phase"): one["gamma"], (row, "γ second phase"): two["gamma"]}
        rates = first["lr"]["linear"], second["lr"]["linear"]
        if data == "cifar10":
            found |= {
                (row, "first phase epochs"): first["epochs"],
                (row, "second phase epochs per k"): two["epochs_each"],
                (row, "final k"): two["ks"][-1],
                (row, "lr start first phase"): rates[0]["lr"],
                (row, "lr end first phase"): rates[0]["lr_end"],
                (row, "lr start second phase"): rates[1]["lr"],
                (row, "lr end second phase"): rates[1]["lr_end"],
                ("second phase", "k first step"): two["ks"][0],
                ("second phase", "k second step"): two["ks"][1],
                ("second phase", "k last step"): two["ks"][-1],
                ("second phase", "k step"): two["ks"][0] - two["ks"][1],
                ("second phase", "k start"): 100,  # the first phase's, before the steps
            }
        else:
            key = "first phase epochs / second phase epochs per k"
            found[row, key] = f"{first['epochs']} / {two['epochs_each']}"
            # the second phase stops at k = 70, on the way to the same end as on CIFAR-10
            assert 0.0001 < rates[1]["lr_end"] < 0.001
            found[row, "learning rate (both phases)"] = (
                f"{rates[0]['lr']} to {rates[0]['lr_end']} / {rates[1]['lr']} to 0.0001"
            )
    teacher = spec("saliency", "cifar10", "wrn32_10", "at")
    return found | {
        ("evaluation", "ε (L_∞)"): over_255(pgd("saliency", "main", "pgd20")["threat"]["linf"]["eps"]),
        ("evaluation / training", "network"): teacher["model"]["name"].upper().replace("_", "-"),
        ("teacher", "PGD steps of the teacher"): f"PGD-{teacher['method']['attack']['pgd']['steps']}",
        ("second phase", "epochs per k (example)"): 10,  # an example; section 5 has 15, erratum-saliency-09
    }


def sat(spec, grid):
    def made(data, model, method="at"):
        return spec("sat", data, model, method)

    def attack(data, model):
        return made(data, model)["method"]["attack"]["pgd"]

    def network(name):
        return grid.papers["sat"].labels[name]

    def rows(item, **facts):
        found = [r.entry for r in grid.items[f"sat/{item}"].rows]
        return [e for e in found if all(e.get(k) == v for k, v in facts.items())]

    def draws(data):
        return rows("figure5", data=data, method="csat_random")[0]["draws"]["paper"]

    cifar, large = attack("cifar10", "preact_resnet18"), attack("imagenet200", "resnet50")
    stop = made("cifar10", "preact_resnet18")["early_stop"]
    increasing = {
        a: 1 + 10 * a / 100 for a in (10, 90)
    }  # papers.sat.SubsetWeights, of |A| = 10 and 90 among 100 classes
    return {
        ("AT", "inner maximization steps (conventionally)"): cifar["steps"],
        ("training attack", "attack"): f"PGD-{large['steps']}",
        ("training attack | all CIFAR variants", "ε (L_2)"): cifar["threat"]["l2"]["eps"],
        ("training attack | all ImageNet variants", "ε (L_2)"): large["threat"]["l2"]["eps"],
        ("evaluation", "AA on this share of validation data after each lr decay"): 100 * stop["share"],
        ("evaluation", "final evaluation on the remaining share"): 100 * (1 - held_out(grid)),
        ("CIFAR-10 / CIFAR-100", "network"): network("preact_resnet18"),
        ("ImageNet-200", "network"): network("resnet50"),
        ("ImageNet-200", "classes"): grid.datasets["imagenet200"]["classes"],
        ("single-class CSAT", "runs"): len(rows("figure2", method="csat_classes")),
        ("CIFAR-10 many-class CSAT", "random subsets per A"): rows("figure4", method="csat_random")[0]["draws"][
            "paper"
        ],
        ("CIFAR-100 / ImageNet-200 CSAT", "subsets per type of ranking"): len(
            rows("figure5", data="cifar100", method="csat_hardest")
        ),
        ("CIFAR-10 | random ranking", "runs for mean and std"): draws("cifar10"),
        ("CIFAR-100 | random ranking", "runs for mean and std"): draws("cifar100"),
        ("ImageNet-200 | random ranking", "runs for mean and std"): draws("imagenet200"),
        ("overemphasized loss | |A| = 10", "w_A in units of |B|/|A|"): increasing[10],
        ("overemphasized loss | |A| = 90", "w_A in units of |B|/|A|"): increasing[90],
    }


ELSEWHERE = {
    (
        "sat",
        "CIFAR-10 many-class CSAT",
        "subsets",
    ): "4 sizes, which ones stands only in the picture; Figure 4 has all 9",
    ("sat", "loss weights", "w_A, w_B default"): "tests/papers/test_sat.py: the loss of equation 2 in each weighting",
    (
        "sat",
        "transfer",
        "hidden layers of the new classifier",
    ): "tests/papers/test_sat.py: only the head is trained",
}


def held_out(grid):
    facts = {"paper": "sat", "item": "figure2", "data": "cifar10", "model": "", "method": ""}
    return grid.suite(facts, "main")["autoattack"]["holdout"]


def over_255(value):
    return f"{255 * value:g}/255"


@pytest.mark.parametrize("paper", PAPERS)
def test_the_configuration_has_what_the_paper_prints(ours, paper):
    listed = {(n.row, n.column): n for n in published.load(paper, "hyper", ROOT / "published")}
    for key, number in listed.items():
        if (paper, *key) in ELSEWHERE:
            continue
        found = ours[(paper, *key)]
        if isinstance(found, str) or number.value is None:
            assert str(found).replace("-", "") == number.text.replace("-", ""), (paper, *key)
        else:
            assert found == pytest.approx(number.value), (paper, *key)
    known = {key[1:] for key in (*ours, *ELSEWHERE) if key[0] == paper}
    assert known == set(listed)
