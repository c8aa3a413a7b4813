"""The site in a browser: from the file system, with the network off, with scripts and without."""

import json
import re

import pytest

WIDE, NARROW = {"width": 1300, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture
def opened(browser):
    """A function that opens a page in a new context, and the list of all that its console complained about."""
    contexts, said = [], []

    def opening(path, viewport=WIDE, query="", scripts=True):
        context = browser.new_context(viewport=viewport, java_script_enabled=scripts, offline=True)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"{path.name}: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"{path.name}: {error}"))
        page.on("requestfailed", lambda request: said.append(f"{path.name}: {request.url} cannot be read"))
        page.goto(path.as_uri() + query)
        return page

    yield opening, said
    for context in contexts:
        context.close()


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_every_page_opens_and_says_nothing(site, browser, every):
    """All pages, in the quick tests one in eight of the claims and runs."""
    said = []
    context = browser.new_context(viewport=NARROW, offline=True)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: said.append(f"{request.url} cannot be read"))
    wide = []
    alike = sorted([*site.glob("runs/*.html"), *site.glob("claims/*.html")])
    others = [path for path in sorted(site.rglob("*.html")) if path not in alike]
    for path in [*others, *alike[::every]]:
        page.goto(path.as_uri())
        if page.evaluate("document.documentElement.scrollWidth") > NARROW["width"]:
            wide.append(path.name)
    context.close()
    assert not said
    assert not wide, "wider than a narrow screen"


def test_a_cells_link_leads_to_its_run(site, results, opened):
    """By clicks: open the number, follow a seed, and read there what its metrics say."""
    opening, said = opened
    page = opening(site / "items/qtart-table1.html")
    cell = page.locator("td.this-run details").nth(3)
    cell.locator("summary").click()
    shown = cell.locator(".from").inner_text()
    link = cell.locator("a").first
    run = re.search(r"runs/(.*)\.html", link.get_attribute("href"))[1]
    link.click()
    assert page.locator("h1").inner_text() == run
    accuracy = 100 * json.loads((results / "results/runs" / run / "metrics.json").read_text())["clean"]["accuracy"]
    assert f"{accuracy:.4g}" in shown
    assert page.locator("dd").first.inner_text().startswith(f"{accuracy:.1f} [")
    page.locator(".places a").first.click()
    assert "qtart/" in page.locator("main p").first.inner_text()
    assert not said


def test_tables_sort_and_filter_by_the_keyboard_too(site, opened):
    opening, said = opened
    page = opening(site / "items/qtart-table1.html")
    values = (
        "[...document.querySelectorAll('table.sortable tbody tr')].map(r => r.querySelector('td.this-run').dataset.v)"
    )
    before = page.evaluate(values)
    button = page.locator("thead tr:last-child th.this-run button").first
    button.focus()
    page.keyboard.press("Enter")
    up = [float(v) for v in page.evaluate(values) if v]
    assert up == sorted(up)
    page.keyboard.press("Enter")
    down = [float(v) for v in page.evaluate(values) if v]
    assert down == sorted(down, reverse=True)
    assert sorted(up) == sorted(float(v) for v in before if v)
    page.locator(".filter input").fill("dihcl mobile")
    rows = page.locator("table.sortable tbody tr:visible")
    assert [("DIHCL" in t, "MobileNet" in t) for t in rows.all_inner_texts()] == [(True, True)]
    assert not said


def test_the_search_finds_pages(site, opened):
    opening, said = opened
    page = opening(site / "search.html", query="?q=vgg16+dihcl")
    shown = page.locator(".found li:visible:has(a[href^='runs/'])").all_inner_texts()
    assert shown
    assert all("vgg16" in t and "dihcl" in t for t in shown)
    assert not said


def test_two_runs_are_compared(site, grid, opened):
    opening, said = opened
    cells = [cell.runs[0] for _, _, cell in grid.items["qtart/table1"].flat if cell.runs]
    first, second = cells[0], cells[1]
    page = opening(site / "compare.html", query=f"?a={first}&b={second}")
    page.wait_for_selector("#result table")
    differ = dict(row.split("\t", 1) for row in page.locator("#result table").first.inner_text().splitlines()[1:])
    specs = [grid.runs[run].spec["recipe"]["epochs"] for run in (first, second)]
    assert ("recipe.epochs" in differ) == (specs[0] != specs[1])
    assert page.locator("#result svg").count() >= 1
    page = opening(site / "compare.html", query=f"?a={first}&b=nothing")
    assert "no run nothing" in page.locator("#said").inner_text()
    assert not said


def test_numbers_are_there_without_scripts(site, opened):
    opening, _ = opened
    page = opening(site / "items/qtart-table1.html", scripts=False)
    page.locator("td.this-run summary").first.click()
    assert page.locator("td.this-run .from").first.is_visible()
    assert "leanat diff" in opening(site / "compare.html", scripts=False).locator("main").inner_text()


@pytest.mark.parametrize("name", ["index.html", "papers/qtart.html", "items/qtart-table1.html"])
def test_text_stands_out_from_its_ground(site, opened, name):
    """WCAG's contrast of 4.5 at least, of every element with text of its own."""
    opening, _ = opened
    found = opening(site / name).evaluate(
        """() => {
        const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
                             return .2126 * r + .7152 * g + .0722 * b; };
        const colour = text => text.match(/[\\d.]+/g).map(Number);
        const ground = e => { for (; e; e = e.parentElement) { const c = colour(getComputedStyle(e).backgroundColor);
                              if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
        const bad = [];
        for (const e of document.querySelectorAll("body *")) {
          if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
          const a = light(colour(getComputedStyle(e).color).slice(0, 3)), b = light(ground(e));
          const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
          if (ratio < 4.5) bad.push(`${e.tagName} ${e.className} ${ratio}`);
        }
        return bad; }"""
    )
    assert not found
