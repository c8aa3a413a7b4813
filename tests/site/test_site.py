"""The site of two finished items: every link leads somewhere, and a number to the run whose number it is."""

import csv
import errno
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import made_up
import pytest
from PIL import Image

from leanat.core.errors import ConfigError
from leanat.site import build, charts, pictures, trials

ROOT = Path(__file__).parents[2]
OPTIONAL = {"td", "th", "tr", "li", "dt", "dd"}  # whose end tags HTML needs not
VOID = {"meta", "link", "img", "input", "br", "option", "path", "circle", "rect", "polyline"}


class Page(HTMLParser):
    """Links, pictures, anchors, and whether every element is closed."""

    def __init__(self, path):
        super().__init__()
        self.path, self.links, self.images, self.ids, self.open, self.inputs = path, [], [], set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if "id" in attrs:
            assert attrs["id"] not in self.ids, f"{self.path}: two elements are called {attrs['id']}"
            self.ids.add(attrs["id"])
        self.links += [attrs[k] for k in ("href", "src", "action") if k in attrs and not attrs[k].startswith("data:")]
        self.links += re.findall(r"url\((.*?)\)", attrs.get("style", ""))
        if tag == "img" or attrs.get("role") == "img":
            self.images.append(attrs.get("alt") or attrs.get("aria-label"))
        if tag not in VOID | OPTIONAL:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [dict(attrs)[k] for k in ("href", "src") if k in dict(attrs)]

    def handle_endtag(self, tag):
        assert self.open, f"{self.path}: </{tag}> closes nothing"
        assert self.open.pop() == tag, f"{self.path}: </{tag}>"


@pytest.fixture(scope="module")
def pages(site):
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def test_there_is_a_page_of_everything(site, grid):
    for name in made_up.ITEMS:
        assert (site / "items" / f"{name.replace('/', '-')}.html").is_file()
        for run in grid.items[name].all_runs:
            assert (site / "runs" / f"{run}.html").is_file()
    text = (site / "index.html").read_text()
    assert "qtart/table9" not in text or "not finished" in text
    assert len(list((site / "claims").glob("qtart-*.html"))) > 20


def test_every_link_leads_somewhere(pages, site):
    for path, page in pages.items():
        for link in page.links:
            file, _, anchor = link.partition("#")
            target = (path.parent / file.partition("?")[0]).resolve() if file else path
            assert "//" not in link, f"{path.name}: {link} needs a network"
            assert target.is_file(), f"{path.relative_to(site)}: {link}"
            assert not anchor or anchor in pages[target].ids, f"{path.relative_to(site)}: {link}"
        assert not page.open, f"{path}: {page.open} not closed"


def test_every_picture_has_an_alternative(pages):
    for path, page in pages.items():
        assert all(page.images), path


def test_a_number_leads_to_the_run_whose_number_it_is(site, grid):
    """Each seed's value on the page of the item is the clean accuracy that its run's metrics and page have."""
    text, found = (site / "items/qtart-table1.html").read_text(), 0
    for link, value in re.findall(r'<a href="\.\./(runs/[^"]+)">seed \d+</a> ([\d.]+)', text):
        shown = re.search(r"<dt>clean accuracy \(%\)<dd>([\d.]+) \[", (site / link).read_text())[1]
        assert float(shown) == pytest.approx(float(value), abs=0.051)
        found += 1
    cells = [cell for _, _, cell in grid.items["qtart/table1"].flat]
    assert found == sum(len(cell.runs) for cell in cells) > 50


def test_the_values_are_those_of_the_metrics(site, grid, results):
    text = (site / "items/qtart-table1.html").read_text()
    for _, _, cell in grid.items["qtart/table1"].flat:
        for run in cell.runs:
            metrics = json.loads((results / "results/runs" / run / "metrics.json").read_text())
            assert re.search(rf'runs/{run}\.html">seed \d+</a> {100 * metrics["clean"]["accuracy"]:.4g}\b', text)


def test_a_replicated_number_names_its_runs(site):
    """Each row of ``replicated/`` that the page shows stands there with its run and its value."""
    text = (site / "items/qtart-table1.html").read_text()
    with (ROOT / "replicated/qtart/table1.csv").open(encoding="utf-8") as file:
        kept = [row for row in csv.DictReader(file) if row["metric"] == "clean"]
    assert len(kept) > 5
    for row in kept:
        assert f"{row['run']} {float(row['value']):.4g}" in text


def test_files_of_other_settings_are_not_offered(grid, results, tmp_path):
    """Of one seed where the page shows two: what is kept of the right ones takes their place, or nothing does."""
    names = {grid.items[name].kind: name for name in made_up.ITEMS}
    table, figure = names["table"], names["figure"]
    shutil.copytree(results / "results", tmp_path / "results")
    shutil.copytree(results / "figures", tmp_path / "figures")
    for name in (table, figure):
        (tmp_path / "figures" / f"{name}.csv").write_text(made_up.cells(grid.items[name], 1))
    kept = tmp_path / "results/items/demo" / f"{table}.csv"
    kept.parent.mkdir(parents=True)
    kept.write_text(made_up.cells(grid.items[table], 2))
    build.write(grid, tmp_path / "results", ROOT, tmp_path / "figures", tmp_path / "site")
    stem = lambda name: tmp_path / "site/items" / name.replace("/", "-")  # noqa: E731
    assert stem(table).with_suffix(".csv").read_bytes() == kept.read_bytes()
    assert not stem(figure).with_suffix(".csv").exists()
    assert "<img" not in stem(figure).with_suffix(".html").read_text()
    assert "<img" in stem(table).with_suffix(".html").read_text()


def test_a_trial_has_its_numbers_and_verdicts(site):
    text = (site / "bench.html").read_text(encoding="utf-8")
    for told in ("20.3 [18.0, 22.6]", "−8.6 [−20.0, 2.8]", "EL2N, by class", "undecided", 'href="bench/settings.json"'):
        assert told in text
    assert 'href="bench.html"' in (site / "index.html").read_text(encoding="utf-8")
    assert "<td>–<td>–<td>–<td>not comparable: keeps 540, random 54\n" in text


def test_a_trial_that_is_cut_is_named(results, tmp_path):
    """In the middle of a row and between two."""
    whole = {path.name: path.read_text() for path in (results / "figures" / "bench").glob("*.csv")}
    for name, text in whole.items():
        for cut in (text[:-9], *([text[: text.rindex("\n", 0, -1) + 1]] if name == "digits.csv" else [])):
            for other, content in (whole | {name: cut}).items():
                (tmp_path / other).write_text(content)
            with pytest.raises(ValueError, match=rf"^[^\n]*{name}: damaged: [^\n]*$"):
                trials.read(tmp_path)


@pytest.mark.parametrize(("name", "number"), [("digits.csv", "20.31"), ("digits-verdicts.csv", "-20.0")])
@pytest.mark.parametrize("instead", ["20;31", "inf"])
def test_a_trial_with_other_than_numbers_is_named(results, tmp_path, name, number, instead):
    for path in (results / "figures" / "bench").glob("*.csv"):
        text = path.read_text()
        (tmp_path / path.name).write_text(text.replace(number, instead, 1) if path.name == name else text)
    with pytest.raises(ValueError, match=rf"^[^\n]*{name}: damaged: [^\n]*'{instead}' is no number[^\n]*$"):
        trials.read(tmp_path)


@pytest.mark.parametrize("cut", [0, 40, 300])
def test_a_picture_that_is_cut_is_named(tmp_path, cut):
    """As after a copy of the figures that was cut short; Pillow raises OSError without a name, or SyntaxError."""
    file = io.BytesIO()
    Image.effect_noise((60, 60), 50).save(file, "PNG")
    (tmp_path / "a.png").write_bytes(file.getvalue()[:cut])
    with pytest.raises(ValueError, match=r"^[^\n]*a\.png: damaged: [^\n]+; remove it, and it is made again$"):
        pictures.small(tmp_path / "a.png", 100)


def test_the_folder_that_one_is_in(grid, results, tmp_path, monkeypatch):
    (tmp_path / "pages").mkdir()
    monkeypatch.chdir(tmp_path / "pages")
    said = build.write(grid, results / "results", ROOT, results / "figures", Path("."))
    assert said.startswith(str(tmp_path / "pages" / "index.html"))
    assert (tmp_path / "pages" / "index.html").is_file()


def test_a_full_disk_is_named_and_leaves_nothing(grid, results, tmp_path, monkeypatch):
    """The site that was there stays."""
    (tmp_path / "site" / "assets").mkdir(parents=True)
    (tmp_path / "site" / "assets" / "site.css").write_text("old")

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build.Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*site\.css'"):
        build.write(grid, results / "results", ROOT, results / "figures", tmp_path / "site")
    assert [path.name for path in tmp_path.iterdir()] == ["site"]
    assert (tmp_path / "site" / "assets" / "site.css").read_text() == "old"


def test_assumptions_come_from_the_marks(site, grid):
    import html

    text = html.unescape((site / "papers/qtart.html").read_text())
    for line in grid.items["qtart/table1"].assumptions:
        assert line in text


def test_settings_are_told_apart(site, grid):
    run = next(r for r in grid.items["qtart/table1"].all_runs if "-qtart-" in r)
    text = (site / "runs" / f"{run}.html").read_text()
    spec = grid.runs[run].spec
    assert f"<td>{spec['recipe']['epochs']}<td>scale demo; the paper&#39;s: 300" in text
    assert "assumed: delta ~ N(0, 0.5)" in text
    assert re.search(r"method.selector.once.inner.instability.window<td>\w+<td>the paper", text)


def test_it_reads_without_scripts(site, grid):
    text = (site / "items/qtart-table1.html").read_text()
    assert text.count("<tr id=") == len(grid.items["qtart/table1"].rows)
    search = (site / "search.html").read_text()
    assert all(run in search for run in grid.items["qtart/table1"].all_runs)
    assert "leanat diff" in (site / "compare.html").read_text()


def test_the_same_results_give_the_same_bytes(site, grid, results, tmp_path):
    build.write(grid, results / "results", ROOT, results / "figures", tmp_path / "again")
    files = {p.relative_to(site): p.read_bytes() for p in site.rglob("*") if p.is_file()}
    again = {p.relative_to(tmp_path / "again"): p.read_bytes() for p in (tmp_path / "again").rglob("*") if p.is_file()}
    assert files == again


def test_another_folder_is_not_replaced(grid, results, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds something else"):
        build.write(grid, results / "results", ROOT, results / "figures", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    with pytest.raises(ConfigError, match="no run is finished"):
        build.write(grid, tmp_path / "empty", ROOT, results / "figures", tmp_path / "out")


def test_what_a_site_is_published_by_stays(grid, results, tmp_path):
    for name in (".git/HEAD", "CNAME", "assets/site.css", "items/old.html", "old.html"):
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_text("mine")
    build.write(grid, results / "results", ROOT, results / "figures", tmp_path / "site")
    assert (tmp_path / "site" / ".git" / "HEAD").read_text() == (tmp_path / "site" / "CNAME").read_text() == "mine"
    assert (tmp_path / "site" / "assets" / "site.css").read_text() != "mine"
    assert not list((tmp_path / "site").rglob("old.html"))


def test_a_link_to_the_folder_of_the_site_stays(results, grid, tmp_path):
    (tmp_path / "public").mkdir()
    (tmp_path / "site").symlink_to("public")
    for _ in range(2):
        build.write(grid, results / "results", ROOT, results / "figures", tmp_path / "site")
    assert (tmp_path / "site").is_symlink()
    assert (tmp_path / "public" / "index.html").is_file()


def test_ticks_are_round_and_inside():
    for low, high in ((0.013, 0.017), (-3, 250), (5, 5), (-2e-7, 1e-7)):
        found = charts.axis([low, high])
        assert found.low <= low <= high <= found.high
        assert 2 <= len(found.ticks) <= 6
        assert all(found.low <= tick <= found.high for tick in found.ticks)


def test_a_chart_has_every_point_where_it_belongs():
    points = [(1, 3.0), (2, 1.0), (4, 2.0)]
    svg = charts.lines("a < b", [charts.Series("loss", points)])
    drawn = [tuple(map(float, p.split(","))) for p in re.search(r'points="(.*?)"', svg)[1].split()]
    assert drawn[0][0] < drawn[1][0] < drawn[2][0]
    assert drawn[1][1] > drawn[2][1] > drawn[0][1], "down is more in SVG"
    assert "a &lt; b" in svg
