"""What a scale must not change: the ratios that an item is about, and that there is something to see."""

import itertools
import math

import pytest
from grids import grid_of

from leanat.core.errors import ConfigError
from leanat.papers.coreset.lengths import phases_of
from leanat.plan import targets

SCALES = ("demo", "lite", "cpu", "paper")
SMALLER = ("demo", "lite", "cpu")

# Methods of one item whose lengths are not in the paper's proportion to the rest's, by scale, with the reason.
OWN_LENGTH = {
    ("demo", "saliency"): (
        None,
        "each recipe is another author's; every row has 12 epochs, OURS two for each k; said in the foot",
    ),
    ("demo", "qtart"): (
        ("fgsm_rs", "free", "dihcl"),
        "each is compared with itself and Q-TART, and learns in its own time",
    ),
    ("demo", "coreset"): (("fat",), "its own table, as fast single steps need more epochs; one curve of Figure 2"),
    ("cpu", "coreset"): (("trades",), "both rows alike, against each other alone (autopsy); said in the foot"),
}


@pytest.fixture(scope="module")
def grids():
    return {scale: grid_of(scale) for scale in SCALES}


def by_cell(grid, name):
    """The specs of seed 0 of an item by its cell, and in which table or figure they are compared: group, data, network."""
    item, found = grid.items[name], {}
    for r, (row, cells) in enumerate(zip(item.rows, item.cells, strict=True)):
        for c, (column, cell) in enumerate(zip(item.columns, cells, strict=True)):
            facts = {**row.entry, **column.entry}
            for part, of in ((cell, "own"), (cell.against, "reference")):
                for k, run in enumerate(part.runs if part else ()):
                    if grid.runs[run].spec["seed"] == 0:
                        found[r, c, of, k] = facts, grid.runs[run]
    return found


def length(run):
    return run.spec["recipe"]["epochs"]


def possible(paper, small):
    """The least and the greatest factor that make ``small`` epochs, rounded, of the paper's."""
    return (small - 0.5) / paper, (small + 0.5) / paper


def family(run):
    return run.id.split("-")[-3]


def allowed(scale, paper, method):
    methods, _ = OWN_LENGTH.get((scale, paper), ((), ""))
    return methods is None or any(method.removeprefix("qtart_").startswith(m) for m in methods)


def in_proportion(whole, small, scale, name):
    """Groups of runs of an item at a scale whose epochs no single factor makes of the paper's: (paper's, here)."""
    groups = {}
    paper = name.partition("/")[0]
    for key, (facts, run) in by_cell(small, name).items():
        other = by_cell(whole, name).get(key)
        if other is None or length(other[1]) == length(run) or allowed(scale, paper, family(run)):
            continue
        groups.setdefault((facts.get("data"), run.spec["data"]["name"]), set()).add((length(other[1]), length(run)))
    bad = []
    for pairs in groups.values():
        least, most = zip(*(possible(p, s) for p, s in pairs), strict=True)
        if max(least) > min(most) + 1e-9:
            bad.append(sorted(pairs))
    return bad


@pytest.mark.parametrize("scale", SMALLER)
def test_lengths_within_an_item_keep_the_papers_ratios(grids, scale):
    bad = {
        name: found
        for name in grids[scale].items
        if (found := in_proportion(grids["paper"], grids[scale], scale, name))
    }
    assert not bad


def passes(run):
    return length(run) * run.spec["method"].get("replays", 1)


def selections(spec):
    """How many times a run chooses examples again, by the definitions of Every and WarmStart; None where it does not."""
    selector = spec["method"]["selector"]
    if not isinstance(selector, dict):
        return None
    name, fields = next(iter(selector.items()))
    epochs = spec["recipe"]["epochs"]
    if name == "every":
        return math.ceil(max(0, epochs - fields["warmup"]) / fields["period"])
    if name == "warm_start":
        phases = phases_of(
            epochs, fields["kappa"], next(iter(fields["inner"].values()))["fraction"], fields.get("idle", False)
        )
        return math.ceil(phases.coreset / fields["period"])
    return None


@pytest.mark.parametrize("scale", SMALLER)
def test_a_scale_selects_as_often_as_the_paper(grids, scale):
    """Exactly where the rows name the number (advprune), and to one selection of a coreset; fewer at cpu, as its foot says."""
    seen = 0
    for name in grids[scale].items:
        whole = by_cell(grids["paper"], name)
        for key, (_, run) in by_cell(grids[scale], name).items():
            if key not in whole or (wanted := selections(whole[key][1].spec)) is None:
                continue
            seen += 1
            slack = 0 if name.startswith("advprune/") else 3 if scale == "cpu" and name.startswith("coreset/") else 1
            assert abs(selections(run.spec) - wanted) <= slack, (name, run.id)
    assert seen > 5


def test_what_rows_of_advprune_say_of_epochs_and_selections(grids):
    """Table 3 compares 100 epochs with 200, Table 4 four selections with nine: at every scale that has them."""
    for grid in (grids[scale] for scale in ("demo", "lite", "paper")):
        lengths, counts = {}, {}
        for facts, run in by_cell(grid, "advprune/table3").values():
            lengths.setdefault(facts["epochs"], set()).add(length(run))
        assert lengths.keys() == {100, 200}
        assert {2 * n for n in lengths[100]} == lengths[200]
        for facts, run in by_cell(grid, "advprune/table4").values():
            if (count := selections(run.spec)) is not None:
                counts.setdefault(
                    int(next(v for k, v in facts.items() if k in ("selections", "count", "rounds", "times"))), set()
                ).add(count)
        assert counts == {4: {4}, 9: {9}}


def test_sizes_of_a_coreset_have_their_own_lengths(grids):
    """Figure 3: E (1 - kappa + kappa c) differs by size at every scale that draws it."""
    for scale in ("demo", "lite", "paper"):
        found = {}
        for facts, run in by_cell(grids[scale], "coreset/figure3").values():
            if facts["series"] == "size" and family(run) == "trades_gradmatch":
                found[facts["size"]] = length(run)
        assert sorted(found) == [10, 30, 50, 70]
        assert len(set(found.values())) == 4


def test_free_at_takes_as_many_passes_as_its_teacher_in_the_paper(grids):
    for scale in ("paper", "lite"):
        lengths = {family(run): passes(run) for _, run in by_cell(grids[scale], "saliency/table1").values()}
        assert lengths["free"] == pytest.approx(lengths["at"], rel=0.15)


@pytest.mark.parametrize("scale", SCALES)
def test_no_item_is_empty_but_by_a_rule_that_leaves_out_the_item_its_paper_or_its_data(grids, scale):
    """Rules that leave out methods, shares or views must leave something."""
    grid = grids[scale]
    for name, item in grid.items.items():
        cells = [cell for row in item.cells for cell in row]
        if item.kind == "formula" or any(cell.runs or cell.timed for cell in cells):
            continue
        entries = [line.entry for line in (*item.rows, *item.columns)]
        if any(entry.get("missing") for entry in entries):
            continue
        facts = {"paper": item.paper, "item": item.item} | dict(grid.papers[item.paper].items[item.item].base)
        data = {entry["data"] for entry in entries if "data" in entry} or {facts.get("data")}
        views = {entry.get("view") for entry in entries}
        for name_of_data, view in itertools.product(data, views):
            whole = facts | {"data": name_of_data} | ({"view": view} if view else {})
            assert grid.scale_of(item.paper).skip(whole) or grid.papers[item.paper].skip(whole), (name, whole)


@pytest.mark.parametrize("scale", SCALES)
def test_a_column_is_left_out_only_where_all_its_cells_are(grids, scale):
    """Else the item could not be drawn, which would be said after its trainings. A rule may leave out all rows but some.

    Times are composed at the paper's own settings, also of trainings that a scale leaves out.
    """
    for name, item in grids[scale].items.items():
        for column, cells in zip(item.columns, zip(*item.cells, strict=True), strict=True):
            empty = all(cell.missing and not cell.timed for cell in cells)
            assert not column.skipped or empty, (name, column.label, column.skipped)


def test_a_target_of_which_nothing_is_run_is_an_error_with_the_reason(grids):
    targets.check_targets(["figures/qtart/decomposition.pdf", "figures/qtart/table9.pdf"], grids["cpu"])
    with pytest.raises(ConfigError, match=r"nothing of it is run at scale cpu: .*VGG16 alone"):
        targets.check_targets(["figures/qtart/figure3.pdf"], grids["cpu"])


def test_a_page_of_all_papers_has_no_overview_of_its_own(grids):
    with pytest.raises(ConfigError, match=r"^figures/table1.overview.pdf: no such target"):
        targets.check_targets(["figures/table1.overview.pdf"], grids["demo"])


def test_a_target_that_has_numbers_of_another_scale_can_be_asked_for_alone(grids):
    """`all` draws it, so its own target does too."""
    assert targets.empty(grids["demo"].items["sat/autopsy"])
    targets.check_targets(["figures/sat/autopsy.pdf"], grids["demo"])


def test_a_note_of_a_scale_stands_under_the_items_it_names_alone(grids):
    grid = grids["lite"]
    note = "all the paper's epochs"
    assert {name for name, item in grid.items.items() if note in item.factors} == {"coreset/table3", "coreset/autopsy"}


def test_a_stand_in_is_named_under_the_items_of_its_data_alone(grids):
    """SVHN is the data of the l_2 rows of adversarial coreset selection, whose radius is the only one in l_2."""
    for item in grids["demo"].items.values():
        svhn = item.paper == "coreset" and item.item == "table1"
        assert any("SVHN" in line or "l_2 becomes" in line for line in item.factors) == svhn, item.item


def test_a_cell_s_stand_in_is_the_data_set_of_its_own_runs(grids):
    """Two of one column may be of two: in Figure 7 of SAT the transfer is to other images than those of its source."""
    named = {}
    for item in grids["demo"].items.values():
        for row, column, cell in item.flat:
            data = {grids["demo"].runs[run].spec["data"]["name"] for run in cell.runs}
            if data and not cell.timed:
                base = grids["demo"].papers[item.paper].items[item.item].base
                asked = {**base, **row.entry, **column.entry}["data"]
                assert data == {cell.stand_in.data or asked}, (item.name, row.name, column.name)
                named.setdefault((item.name, row.entry.get("view")), set()).update(cell.stand_in.names)
    attacks = {"aa-demo", "0.3 in l2"}
    assert named["sat/figure7", "on CIFAR-10"] == {"shapes10u", *attacks}
    assert named["sat/figure7", "on A"] == {"shapes20", *attacks}
    assert named["sat/supplement", "S-ESAT to SVHN"] == {"shapes20u", *attacks}
    overfitting = grids["demo"].items["qtart/overfitting"].flat
    gaps = {cell.stand_in.attack for _, column, cell in overfitting if column.name == "Test | gap"}
    assert gaps == {("4/255", "3.95/255")}  # a difference of two attacks
    single_step = grids["demo"].items["qtart/decomposition"].flat
    radius = {cell.stand_in for _, column, cell in single_step if column.label == "FGSM, radius 2/255"}
    assert radius == {("digits", ("10/255",))}  # what the head of its panel says under the paper's


def test_the_suite_of_a_network_from_elsewhere_keeps_the_papers_radii(grids):
    """Of images that no scale knows; the attacks are shortened all the same."""
    for paper, suite, attack in (
        ("coreset", "linf", "pgd50_10"),
        ("qtart", "main", "ffgsm"),
        ("sat", "main", "autoattack"),
    ):
        facts = {"paper": paper, "data": "folder:photographs", "model": "", "method": "", "item": ""}
        for scale in SCALES:
            whole, own = (grids[s].suite(facts, suite, scale_radii=False) for s in ("paper", scale))
            (a,), (b,) = whole[attack]["attack"].values(), own[attack]["attack"].values()
            assert a["threat"] == b["threat"], (paper, scale)
    assert grids["demo"].suite(facts, "main")["autoattack"]["label"] == "aa-demo"


@pytest.mark.parametrize("scale", ["lite", "paper"])
def test_an_early_stop_looks_again_after_each_drop_of_the_learning_rate(grids, scale):
    runs = [run.spec for run in grids[scale].runs.values() if run.spec.get("early_stop")]
    assert runs
    for spec in runs:
        checks, drops = spec["early_stop"]["checks"], spec["recipe"]["lr"]["steps"]["drops"]
        ends = [*drops[1:], spec["recipe"]["epochs"]]
        for drop, end in zip(drops, ends, strict=True):
            assert any(drop < check <= end for check in checks), (spec["method"], checks, drops)
