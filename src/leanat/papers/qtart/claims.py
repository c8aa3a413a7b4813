"""The claims of Q-TART in our words, each with its test; published/claims.csv has the paper's wording and numbers."""

from __future__ import annotations

from itertools import product

from leanat.experiments.claim import (
    Case,
    Claim,
    arithmetic,
    case,
    every,
    level,
    mean,
    mechanism,
    most,
    ordering,
    several,
    some,
    time,
)

NETWORKS = ["VGG16", "MobileNet", "DenseNet", "ResNet50"]
DATA = ["CIFAR-10", "CIFAR-100", "STL-10", "miniImagenet"]
ATTACKS = ["MI-FGSM", "FFGSM", "DI2-FGSM", "APGD-DLR", "APGD-CE", "PGD-20", "CW"]
TRAINED = ["[6]", "[7]"]  # adversarial training: FGSM-RS and Free
OURS = "Q-TART (Ours)"
METHODS = {
    "sgd": "Baseline",
    "random": "Random",
    "dihcl": "DIHCL",
    "ours": OURS,
    "qtart": OURS,
    "six": "[6]",
    "on_six": "Q-TART + [6]",
    "seven": "[7]",
    "on_seven": "Q-TART + [7]",
}
TRAINED_WAYS = ("six", "on_six", "seven", "on_seven")
WINDOWS = {  # windows over the layers, Table 2
    "first": "α = 1_1:L/2 (first half)",
    "last": "α = 1_L (last layer)",
    "second": "α = 1_L/2:L (second half)",
    "normal": "α = N(0, 1)",
}
MORE_LAYERS = ["first", "second", "normal"]
PAIRS = list(product(NETWORKS, DATA))
ALL_PAIRS = [*PAIRS, ("ResNet50", "ILSVRC2012")]
ATTACKED = list(product(NETWORKS, ATTACKS))
RETRAINED = list(product(NETWORKS, ATTACKS, TRAINED))


def methods(item: str, net: str, column: str, *names: str) -> Case:
    return case(item, column, **{name: f"{net} | {METHODS[name]}" for name in names})


def windows(column: str, net: str, **names: str) -> Case:
    """Rows of Table 2 with several windows over the layers; ``names``: cell name -> window."""
    return case("table2", f"{net} | {column}", **{name: f"{WINDOWS[w]} | on test data" for name, w in names.items()})


def trained_and_alone(net: str, attack: str, method: str) -> Case:
    """Adversarial training, and Q-TART without adversarial training."""
    return case("figure3", attack, trained=f"{net} | {method}", alone=f"{net} | {OURS}")


def alone_and_trained(net: str) -> Case:
    """Q-TART without adversarial training and both adversarial trainings, under MI-FGSM and FFGSM."""
    mifgsm, ffgsm = (methods("figure3", net, attack, "qtart", "six", "seven") for attack in ("MI-FGSM", "FFGSM"))
    return mifgsm | {f"{name}_ffgsm": place for name, place in ffgsm.items()}


def widest_gap(qtart, six, seven, qtart_ffgsm, six_ffgsm, seven_ffgsm):
    gaps = (six - qtart, seven - qtart, six_ffgsm - qtart_ffgsm, seven_ffgsm - qtart_ffgsm)
    return max(abs(gap) for gap in gaps)


def on_top(item: str, net: str, attack: str, method: str) -> Case:
    """Adversarial training with and without Q-TART."""
    return case(item, attack, joined=f"{net} | Q-TART + {method}", without=f"{net} | {method}")


def four_networks(item: str, column: str) -> Case:
    """Q-TART and plain SGD on each network."""
    networks = dict(zip(("vgg", "mobile", "dense", "resnet"), NETWORKS, strict=True))
    ours = {name: f"{net} | {OURS}" for name, net in networks.items()}
    return case(item, column, **ours, **{f"{name}_sgd": f"{net} | Baseline" for name, net in networks.items()})


def others_gain_more_than_dense(vgg, vgg_sgd, mobile, mobile_sgd, dense, dense_sgd, resnet, resnet_sgd):
    return tuple(gain - (dense - dense_sgd) for gain in (vgg - vgg_sgd, mobile - mobile_sgd, resnet - resnet_sgd))


def others_above_sgd_and_dihcl(sgd, dihcl, qtart, six, on_six, seven, on_seven):
    return tuple(other - worst for other in (qtart, six, on_six, seven, on_seven) for worst in (sgd, dihcl))


def attacks(net: str, method: str) -> Case:
    names = ("mifgsm", "ffgsm", "di2fgsm", "dlr", "ce", "pgd", "cw")
    columns = zip(names, ATTACKS, strict=True)
    return {name: ("figure5", f"{net} | {method}", attack) for name, attack in columns}


def times_the_time(saved):
    """A saving in percent, converted to the ratio of the two measured times."""
    return 1 - saved / 100


def two_networks_vary_least(six, on_six, seven, on_seven, six_m, on_six_m, seven_m, on_seven_m):
    return min(six, seven) - min(on_six, on_seven), min(six_m, seven_m) - min(on_six_m, on_seven_m)


def apgd_above_others(mifgsm, ffgsm, di2fgsm, dlr, ce, pgd, cw):
    return min(dlr, ce) - max(mifgsm, ffgsm, di2fgsm, pgd, cw)


CLAIMS = [
    ordering(
        "qtart-01",
        says="Q-TART is more accurate than plain SGD for every pair of network and data set",
        source="section 4.2, Table 1",
        cases=[methods("table1", net, data, "ours", "sgd") for net, data in ALL_PAIRS],
        least=0.05,
    ),
    ordering(
        "qtart-02",
        says="on most pairs Q-TART is the best of the four methods",
        source="caption of Table 1",
        cases=[methods("table1", net, data, "ours", "sgd", "random", "dihcl") for net, data in PAIRS],
        effect=lambda ours, sgd, random, dihcl: ours - max(sgd, random, dihcl),
        expect=most(above=0),
        least=0.4,
    ),
    ordering(
        "qtart-03",
        says="Q-TART is more accurate than DIHCL on most pairs",
        source="section 4.2",
        cases=[methods("table1", net, data, "ours", "dihcl") for net, data in PAIRS],
        expect=most(above=0),
    ),
    ordering(
        "qtart-04",
        says="DIHCL is consistently strong on ResNet50 (read as: above plain SGD on every data set)",
        source="section 4.2",
        cases=[methods("table1", "ResNet50", data, "dihcl", "sgd") for data in DATA],
    ),
    ordering(
        "qtart-05",
        says="on VGG16, MobileNet and DenseNet DIHCL is worse than removing as many examples at random as Q-TART does",
        source="section 4.2",
        cases=[methods("table1", net, data, "random", "dihcl") for net, data in PAIRS if net != "ResNet50"],
    ),
    ordering(
        "qtart-06",
        says="a part of the training data is enough to do better than SGD on all of it",
        source="abstract, section 5",
        cases=[methods("table1", net, data, "ours", "sgd") for net, data in ALL_PAIRS],
        expect=mean(above=0),
    ),
    ordering(
        "qtart-07",
        says="removing the examples most susceptible to noise is better than removing as many at random, on every pair",
        source="Table 1",
        cases=[methods("table1", net, data, "ours", "random") for net, data in PAIRS],
        least=0.4,
    ),
    ordering(
        "qtart-08",
        says="the window over the first half of the layers is the most accurate of the four, for every network "
        "(gamma chosen on test data, as in the paper)",
        source="section 4.3, caption of Table 2",
        cases=[windows("Accuracy", net, **{name: name for name in WINDOWS}) for net in NETWORKS],
        least=0.02,
    ),
    Claim(
        "qtart-09",
        says="with more layers more examples can be removed than with the last one, in most pairs of network and window",
        source="section 4.3, Table 2",
        untestable="γ is chosen once, over all seeds, so that it has no spread; Table 2 shows it",
    ),
    level(
        "qtart-10",
        says="more layers cost little accuracy (read as: less than 1 point)",
        source="section 4.3",
        cases=[windows("Accuracy", net, more=window, last="last") for net, window in product(NETWORKS, MORE_LAYERS)],
        expect=every(above=-1),
    ),
    ordering(
        "qtart-11",
        says="under seven attacks Q-TART is as robust as SGD and DIHCL, and often more robust (read as: more robust in "
        "most comparisons by network and attack)",
        source="caption of Figure 2, section 4.4.1",
        cases=[
            case("figure2", attack, ours=f"{net} | {OURS}", other=f"{net} | {METHODS[other]}")
            for (net, attack), other in product(ATTACKED, ["sgd", "dihcl"])
        ],
        expect=most(above=0),
    ),
    ordering(
        "qtart-12",
        says="DIHCL is less robust than SGD in several pairs of network and attack (read as: in two at least)",
        source="section 4.4.1",
        cases=[methods("figure2", net, attack, "sgd", "dihcl") for net, attack in ATTACKED],
        expect=several(above=0),
    ),
    ordering(
        "qtart-13",
        says="of the four networks DenseNet gains the least robustness (mean over the attacks)",
        source="section 4.4.1",
        cases=[four_networks("figure2", attack) for attack in ATTACKS],
        effect=others_gain_more_than_dense,
        expect=mean(above=0),
    ),
    ordering(
        "qtart-14",
        says="adversarial training is more robust than Q-TART alone to PGD-20, CW and both APGD, in general (read "
        "as: mostly)",
        source="section 4.4.1",
        cases=[
            trained_and_alone(*where) for where in product(NETWORKS, ["APGD-DLR", "APGD-CE", "PGD-20", "CW"], TRAINED)
        ],
        expect=most(above=0),
    ),
    ordering(
        "qtart-15",
        says="Q-TART on top of adversarial training makes it more robust (on average)",
        source="abstract, caption of Figure 3",
        cases=[on_top("figure3", *where) for where in RETRAINED],
        expect=mean(above=0),
    ),
    time(
        "qtart-16",
        says="Q-TART with Free adversarial training takes up to 17.9 % less time (read as: at most 0.821 times the time)",
        source="abstract, section 4.5, Table 3",
        cases=[case("table3", "Saved | time", saved=f"CIFAR-10 | Q-TART + [7] | {net}") for net in NETWORKS],
        effect=times_the_time,
        expect=some(below=0.821),
    ),
    time(
        "qtart-17",
        says="Q-TART takes notably less time on miniImagenet and ILSVRC2012, whatever the network (read as: 1 % "
        "at least)",
        source="section 4.5, Table 3",
        cases=[
            case("table3", "Saved | time", saved=f"{data} | {OURS} | {net}")
            for net, data in ALL_PAIRS
            if data in ("miniImagenet", "ILSVRC2012")
        ],
        effect=times_the_time,
        expect=every(below=0.99),
    ),
    level(
        "qtart-18",
        says="without adversarial training, Q-TART's robustness to MI-FGSM and FFGSM is within 5 points of "
        "adversarial training on three of the four networks (read as: under both attacks, of both adversarial trainings)",
        source="section 5, Figure 3",
        cases=[alone_and_trained(net) for net in NETWORKS],
        effect=widest_gap,
        expect=most(below=5),
    ),
    ordering(
        "qtart-19",
        says="SGD and DIHCL are less robust than every other way of training (mean over networks and attacks)",
        source="section 5, Figure 3",
        cases=[methods("figure3", net, attack, "sgd", "dihcl", "qtart", *TRAINED_WAYS) for net, attack in ATTACKED],
        effect=others_above_sgd_and_dihcl,
        expect=mean(above=0),
    ),
    ordering(
        "qtart-20",
        says="over four source networks, adversarial training with Q-TART varies least, for ResNet50 and for "
        "MobileNet (each in the mean over the attacks)",
        source="section 4.4.2, Figure 5",
        cases=[
            methods("figure5", "ResNet50", attack, *TRAINED_WAYS)
            | {f"{name}_m": place for name, place in methods("figure5", "MobileNet", attack, *TRAINED_WAYS).items()}
            for attack in ATTACKS
        ],
        effect=two_networks_vary_least,
        expect=mean(above=0),
    ),
    ordering(
        "qtart-21",
        says="with Q-TART the adversarial accuracy averaged over four source networks is higher",
        source="caption of Figure 4, section 4.4.2",
        cases=[on_top("figure4", *where) for where in RETRAINED],
        expect=mean(above=0),
    ),
    mechanism(
        "qtart-22",
        says="APGD works where source and target share the network, and little otherwise: over sources it varies "
        "more than every other attack (read as: in most cases)",
        source="section 4.4.2",
        cases=[attacks(net, method) for net in NETWORKS for method in ["[6]", "[7]", "Q-TART + [6]", "Q-TART + [7]"]],
        effect=apgd_above_others,
        expect=most(above=0),
        unit="points",
    ),
    mechanism(
        "qtart-23",
        says="Q-TART narrows the distribution of feature distances under three attacks",
        source="caption of Figure 1",
        cases=[
            case("figure1", f"{attack} | range", sgd="Baseline", ours=OURS) for attack in ["MI-FGSM", "PGD-20", "CW"]
        ],
        unit="",
    ),
    arithmetic(
        "qtart-24",
        says="gamma (E - tau) / batch gives the iterations saved that Table 9 prints, cut after two decimals",
        source="appendix B.4, Table 9",
        cases=[
            case("table9", net, ours=row)
            for row, net in [
                *product(["miniImagenet | Q-TART", "CIFAR-10 | Q-TART + [7]"], NETWORKS),
                ("ILSVRC2012 | Q-TART", "ResNet50"),
            ]
        ],
        effect=lambda ours, ours_paper: ours - ours_paper,
        expect=every(within=0.001),
        unit="iterations",
    ),
    Claim(
        "qtart-25",
        says="baseline and Q-TART have the same hyper-parameters",
        source="section 4.2, appendix B.2",
        untestable="a statement about settings; they differ in label smoothing (erratum-qtart-08), which Table 1 "
        "therefore shows by itself",
    ),
    ordering(
        "qtart-26",
        says="examples susceptible to noise hurt performance and robustness: without them, and with the same loss, both "
        "are higher",
        source="abstract, section 1; the comparison at the same loss is ours",
        cases=[
            case("decomposition", column, ours=f"0.25 | {OURS}", smoothed="0 | Baseline + label smoothing")
            for column in ["clean", "FGSM, radius 2/255"]
        ],
    ),
    Claim(
        "qtart-27",
        says="numbers are means of 5 trials, of 1 for ILSVRC2012 and for Free adversarial training in Figure 3",
        source="section 4.1, captions",
        untestable="how the paper's numbers were made; it prints no standard deviation",
    ),
    level(
        "qtart-28",
        says="Q-TART on top of adversarial training adds over 1.3 points of robust accuracy (on average)",
        source="abstract",
        cases=[on_top("figure3", *where) for where in RETRAINED],
        expect=mean(above=1.3),
    ),
    ordering(
        "qtart-29",
        says="of the four networks DenseNet gains the least accuracy, too (mean over the data sets)",
        source="section 5, Table 1",
        cases=[four_networks("table1", data) for data in DATA],
        effect=others_gain_more_than_dense,
        expect=mean(above=0),
    ),
]
