"""Less is More as configured: what rows are named by is what their runs do, at every scale."""

import pytest
from grids import grid_of

from leanat.cost import predict
from leanat.plan.components import read


@pytest.fixture(scope="module", params=["demo", "lite", "paper"])
def grid(request):
    return grid_of(request.param)


def specs(grid, item, **wanted):
    """The specs of an item's rows that have these entries, of every seed."""
    found = []
    for row, cells in zip(grid.items[f"advprune/{item}"].rows, grid.items[f"advprune/{item}"].cells, strict=True):
        if wanted.items() <= row.entry.items():
            found += [grid.runs[run].spec for run in cells[0].runs]
    return found


def selections(spec):
    return sum(epoch.selects for epoch in predict.plan(read(spec), 50_000))


@pytest.mark.parametrize("number", [4, 9])
def test_table_4_makes_as_many_selections_as_its_rows_say(grid, number):
    """11 at demo where the row said 9, with epochs x 0.12."""
    found = specs(grid, "table4", selections=number)
    assert found
    assert {selections(spec) for spec in found} == {number}


def test_table_3_compares_a_training_with_one_twice_as_long(grid):
    """At lite both had 15 epochs, and nothing was compared."""
    short, long = specs(grid, "table3", epochs=100), specs(grid, "table3", epochs=200)
    assert short
    assert {2 * spec["recipe"]["epochs"] for spec in short} == {spec["recipe"]["epochs"] for spec in long}
    assert {selections(spec) for spec in short} == {4}
    assert {selections(spec) for spec in long} == {9}


@pytest.mark.parametrize("item", ["table1", "table2", "figure2", "variants"])
def test_a_training_of_100_epochs_selects_four_times(grid, item):
    """At epochs 20, 40, 60 and 80, or in proportion; the first subset is random and lasts as long as the others."""
    found = [s for s in specs(grid, item) if isinstance(s["method"]["selector"], dict)]
    chosen = [s for s in found if next(iter(s["method"]["selector"]["every"]["inner"])) != "random"]
    assert len(chosen) >= 4
    assert {selections(spec) for spec in chosen} == {4}
    for spec in chosen:
        every, epochs = spec["method"]["selector"]["every"], spec["recipe"]["epochs"]
        assert every["warmup"] == every["period"] == epochs / 5


def test_figure_2_has_the_sizes_that_it_names(grid):
    for size in (10, 30, 50, 70):
        for spec in specs(grid, "figure2", size=size):
            (inner,) = spec["method"]["selector"]["every"]["inner"].values()
            assert inner["fraction"] == size / 100


def test_rows_of_one_beta_differ_in_the_data_alone(grid):
    for about, beta in (("beta 6", 6.0), ("beta 1", 1.0)):
        found = specs(grid, "variants", about=about)
        assert {spec["method"]["objective"]["trades"]["beta"] for spec in found} == {beta}
        assert len({str(spec["method"]["attack"]) for spec in found}) == 1


def test_variants_have_one_learning_rate(grid):
    """At lite and paper all data had 0.1 and GLISTER 0.02 where the others had 0.01."""
    assert len({str(spec["recipe"]["lr"]) for spec in specs(grid, "variants")}) == 1


def test_rows_with_a_learning_rate_of_their_own_have_no_number_of_table_1(grid):
    """Theirs is of another training; GRAD-MATCH's is that of Table 1."""
    rows = [row.entry for row in grid.items["advprune/variants"].rows]
    without = {(row["about"], row["method"]) for row in rows if "published" in row and row["published"] is None}
    assert without == {("beta 6", "trades"), ("beta 1", "trades_glister")}


def test_every_item_is_whole(grid):
    """Each cell has its runs, or a reason."""
    items = [item for item in grid.items.values() if item.paper == "advprune"]
    assert {item.item for item in items} == {f"table{k}" for k in range(1, 5)} | {"figure1", "figure2", "variants"}
    for item in items:
        for cell in (cell for row in item.cells for cell in row):
            assert cell.runs or cell.missing or cell.timed, item.item


def test_a_speed_up_as_printed_is_explained_in_the_caption(grid):
    items = [item for item in grid.items.values() if any("as printed" in column.label for column in item.columns)]
    assert {item.name for item in items} == {"advprune/table1", "advprune/table2"}
    assert all("as the speed-up printed for Bullet alone implies" in item.caption for item in items)
