"""Writes the site: pages from templates, pictures, and the data for their scripts. Same results, same bytes."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tomllib
from collections import Counter
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from leanat.core.errors import ConfigError
from leanat.core.files import remove
from leanat.plan.grid import Grid
from leanat.report import formats, item_csv
from leanat.report.claims import errata
from leanat.site import charts, claims, items, pictures, runs, trials

log = logging.getLogger("leanat")

VERDICTS = ("supported", "not supported", "inconclusive")  # counted one by one; the others are counted together
# End tags that HTML does not need, and blank lines, which are a fifth of a page.
OPTIONAL = re.compile(r"</(?:td|th|tr|li|dt|dd)>|(?<=\n)\s+")
PROSE = ("scope", "method", "easy", "hard")  # parts of a paper's ``report.toml``, for its page
LIKE = 4  # maximum number of other seeds that a run's page links to
WIDE, WIDE_BESIDE = 840, 740  # width in pixels of a figure, and of a table beside the paper's values


def write(grid: Grid, results: Path, root: Path, figures: Path, out: Path) -> str:
    """Writes a new site to ``out``, and returns a line about it. Raises ConfigError if nothing is finished yet.

    ``figures``: the folder of the items' pictures. An earlier site in ``out`` is replaced, except for hidden files such as
    ``.git`` and for ``CNAME``, by which sites are published; for other contents ConfigError is raised.
    """
    if out.is_symlink() or out.name in ("", ".."):  # keeps a link; gives "." its name
        out = out.resolve()
    if out.exists() and any(out.iterdir()) and not (out / "assets" / "site.css").is_file():
        raise ConfigError([f"site: {out} holds something else; remove it, or name another folder by --out"])
    site = Site(grid, results, root, figures)
    if not site.runs:
        raise ConfigError([f"site: no run is finished yet below {results}"])
    beside = out.with_name(f".{out.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        site.write(beside)
        _replace(out, beside)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    files = [path for path in out.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 2**20
    return f"{out / 'index.html'}: {len(site.items)} items, {len(site.runs)} runs, {len(files)} files, {size:.1f} MB"


def _replace(out: Path, new: Path) -> None:
    """Moves the contents of ``new`` to ``out``; ``assets``, by which a site is recognised, comes first."""
    out.mkdir(exist_ok=True)
    names = sorted(path.name for path in new.iterdir())
    for name in names:
        remove(out / name)
        (new / name).rename(out / name)
    for old in out.iterdir():
        if old.name not in {*names, "CNAME"} and not old.name.startswith("."):
            remove(old)


class Site:
    """The data of the pages, and the methods that write them. Runs and items that are not finished are left out, items with the
    reason.
    """

    def __init__(self, grid: Grid, results: Path, root: Path, figures: Path):
        self.grid, self.figures, self.root = grid, figures, root
        self.kept = results / "items" / grid.scale.name
        self.items, self.missing = items.fill(grid, results, root)
        self.papers_of, self.cells = items.papers_of(grid), items.cells_of(self.items)  # by run
        self.sheets, at_paper = pictures.Sheets(), items.paper_specs(grid)
        done = [run for run in self.papers_of if (results / "runs" / run / "metrics.json").is_file()]
        self.runs = {run: runs.read(run, grid, results, at_paper.get(run), self.sheets) for run in done}
        self.ledger = claims.load(grid, results, root)
        self.known: list[tuple[str, str, str, str]] = []  # for the search: kind, page, title, words
        self.env = Environment(
            loader=PackageLoader("leanat.site"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self.env.globals |= {
            "papers": {name: paper.title for name, paper in grid.papers.items()},
            "scale": grid.scale.name,
            "item_page": lambda item: f"items/{item.replace('/', '-')}.html",
            "claim_page": claim_page,
            "run_page": lambda run: f"runs/{run}.html",
            "runs": self.runs,
            "items": self.items,
            "verdicts": VERDICTS,
        }

    def write(self, out: Path) -> None:
        """Renders the templates into a folder."""
        self.out = out
        for name in ("site.css", "table.js", "search.js", "compare.js"):
            source = resources.files("leanat.site").joinpath("assets", name)
            self.put(f"assets/{name}", source.read_bytes())
        images = {name: self.pictures(item) for name, item in self.items.items()}
        self.put("claims/claims.json", self.ledger.text.encode())
        self.bench(trials.read(self.figures / "bench"))
        self.home()
        for paper in self.grid.papers:
            self.paper(paper, images)
        for name, item in self.items.items():
            self.item(item, images[name])
        for part in self.ledger.claims.values():
            for claim in part:
                self.claim(claim)
        for run in self.runs.values():
            self.run(run)
        for sheet in self.sheets.found.values():
            if sheet.places:
                self.put(f"assets/{sheet.name}.png", sheet.png())
        self.page("compare.html", "compare.html", "Compare two runs", runs_known=list(self.runs))
        self.page("search.html", "search.html", "Search", known=self.known)

    def put(self, name: str, content: bytes) -> None:
        path = self.out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes(content)
        except OSError as error:  # the error for a full disk names no file
            raise OSError(error.errno, error.strerror, str(path)) from error

    def page(self, name: str, template: str, title: str, **facts: Any) -> None:
        up = "../" * name.count("/")
        text = self.env.get_template(template).render(title=title, up=up, page=name, **facts)
        self.put(name, OPTIONAL.sub("", text).encode())

    def pictures(self, item: items.Item) -> dict[str, Any] | None:
        """The picture of a figure, or the picture of a table's values beside the paper's. None if the workflow has not made it
        yet, or if the CSV beside it shows that the figure has runs of other settings.
        """
        suffix = ".png" if item.plan.kind == "figure" else ".overview.png"
        source = self.figures / f"{item.plan.name}{suffix}"
        if not source.is_file():
            return None
        # A table's picture is drawn from the CSV below the results, not from the one beside it.
        if item.plan.kind == "figure" and self.csv(item) != self.figures / f"{item.plan.name}.csv":
            return None
        return self.picture(
            source, f"{item.plan.paper}-{item.plan.item}", WIDE if item.plan.kind == "figure" else WIDE_BESIDE
        )

    def picture(self, source: Path, name: str, width: int) -> dict[str, Any]:
        """Writes a picture to the site, and returns the data that a page needs for it."""
        content, size = pictures.small(source, width)
        file = f"pictures/{name}.webp"
        self.put(file, content)
        return {"file": file, "width": size[0], "height": size[1]}

    def bench(self, finished: list[trials.Trial]) -> None:
        """Writes the page of the trials and the settings of their rows, if there are trials."""
        self.env.globals["tried"] = bool(finished)
        if not finished:
            return
        images = {
            t.data: self.picture(t.picture, f"bench-{t.data}", WIDE) if t.picture.is_file() else None for t in finished
        }
        self.put("bench/settings.json", (self.figures / "bench" / "settings.json").read_bytes())
        title = "Which rule of choosing beats chance?"
        self.page("bench.html", "bench.html", title, trials=finished, shown=images, number=trials.number,
                  interval=trials.interval)  # fmt: skip
        self.known.append(("trial", "bench.html", title, trials.words(finished)))

    def home(self) -> None:
        counts = {paper: count(part) for paper, part in self.ledger.claims.items()}
        runs_of = Counter(p for run in self.runs for p in self.papers_of[run])
        whole = Counter(item.paper for item in self.grid.items.values())
        sources = {name: paper.source for name, paper in self.grid.papers.items()}
        facts = {
            "counts": counts,
            "made": {paper: self.of(paper) for paper in self.grid.papers},
            "runs_of": runs_of,
            "whole": whole,
            "sources": sources,
        }
        facts |= {"missing": self.missing, "notes": self.ledger.notes}
        self.page("index.html", "home.html", "Lean adversarial training: five papers, replicated", **facts)

    def of(self, paper: str) -> list[items.Item]:
        return [item for item in self.items.values() if item.plan.paper == paper]

    def paper(self, paper: str, images: dict[str, Any]) -> None:
        about, own = self.grid.papers[paper], self.of(paper)
        spoken = self.ledger.claims[paper]
        facts = {"paper": paper, "source": about.source, "prose": prose(paper), "own": own, "shown": images}
        facts |= {"claims": spoken, "counts": count(spoken), "errata": errata(self.root / "published", paper)}
        facts |= {"differs": items.differs(self.grid, paper)}
        facts |= {"missing": {k: v for k, v in self.missing.items() if k.startswith(f"{paper}/")}}
        self.page(f"papers/{paper}.html", "paper.html", about.title, **facts)
        self.known.append(("paper", f"papers/{paper}.html", about.title, paper))

    def csv(self, item: items.Item) -> Path | None:
        """The first CSV with the numbers of the runs on the page: the one beside the figure, or the one below the results."""
        places = (folder / f"{item.plan.name}.csv" for folder in (self.figures, self.kept))
        return next((p for p in places if item_csv.of_these_runs(p, self.grid.items[item.plan.name])), None)

    def item(self, item: items.Item, picture: dict[str, Any] | None) -> None:
        stem, files = f"items/{item.plan.name.replace('/', '-')}", {}
        if csv := self.csv(item):
            self.put(f"{stem}.csv", csv.read_bytes())
            files["CSV"] = f"{stem}.csv"
        if item.layout and item.plan.kind != "figure":
            for name, suffix in (("LaTeX", "tex"), ("Markdown", "md")):
                self.put(f"{stem}.{suffix}", formats.FORMATS[suffix](item.layout).encode())
                files[name] = f"{stem}.{suffix}"
        spoken = [c for c in self.ledger.claims[item.plan.paper] if item.plan.name in c.items]
        self.page(f"{stem}.html", "item.html", item.plan.title, item=item, picture=picture, files=files, claims=spoken)
        self.known.append(("table or figure", f"{stem}.html", item.plan.title, f"{item.plan.name} {item.caption}"))

    def claim(self, claim: claims.Claim) -> None:
        effects = [charts.Effect(c.label, c.effect, c.low, c.high, list(c.by_seed.values())) for c in claim.cases]
        title = f"{claim.id}: effect of each case, {claim.expected}. " + "; ".join(charts.said(e) for e in effects[:12])
        chart = charts.intervals(title, effects, claim.sign, claim.bound, claim.unit) if effects else ""
        name = claim_page(claim)
        self.page(name, "claim.html", f"{claim.id}: {claim.says}", claim=claim, chart=chart, places=self.places(claim),
                  design=self.ledger.design)  # fmt: skip
        self.known.append(("claim", name, f"{claim.id}: {claim.says}", f"{claim.verdict} {claim.source}"))

    def places(self, claim: claims.Claim) -> dict[tuple[str, str, str], str]:
        """The page and the row of each cell of a claim's cases, for items that are on the site."""
        links = {}
        for place in (p for case in claim.cases for p in case.places):
            item = self.items.get(f"{claim.paper}/{place.item}")
            row = next((r for r, line in enumerate(item.rows) if line.name == place.row), None) if item else None
            if row is not None:
                page = self.env.globals["item_page"](item.plan.name)
                links[place.item, place.row, place.column] = f"{page}#r{row}"
        return links

    def run(self, run: runs.Run) -> None:
        like = [r for r in self.runs if r.rpartition("-s")[0] == run.id.rpartition("-s")[0] and r != run.id]
        facts = {"cells": self.cells.get(run.id, []), "papers_here": self.papers_of[run.id], "like": like[:LIKE]}
        sheets = {"across": pictures.ACROSS, "sheets": self.sheets.found}
        self.page(f"runs/{run.id}.html", "run.html", run.id, run=run, **facts, **sheets)
        data = json.dumps(runs.for_comparison(run), separators=(",", ":"))
        self.put(f"runs/{run.id}.js", f"compared({data})\n".encode())
        self.known.append(("run", f"runs/{run.id}.html", run.id, " ".join(self.papers_of[run.id])))


def prose(paper: str) -> dict[str, list[str]]:
    """Paragraphs by part; empty if the paper has no ``report.toml``. Raises ValueError for a part that is not in PROSE."""
    file = resources.files(f"leanat.papers.{paper}").joinpath("report.toml")
    texts = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if strange := sorted(set(texts) - set(PROSE)):
        raise ValueError(f"{file}: {strange[0]!r} is not allowed; allowed: {', '.join(PROSE)}")
    return {part: [" ".join(p.split()) for p in texts.get(part, "").split("\n\n") if p.strip()] for part in PROSE}


def claim_page(claim: claims.Claim) -> str:
    """The name of a claim's page; a replication at another scale has a page of its own."""
    return f"claims/{claim.id}{'' if claim.origin == 'this run' else f'-{claim.scale}'}.html"


def count(part: list[claims.Claim]) -> dict[str, int]:
    """The number of claims with each verdict; all others are counted as ``without a verdict``."""
    counts = Counter(
        c.verdict if c.verdict in VERDICTS else "without a verdict" for c in part if c.origin == "this run"
    )
    return {name: counts[name] for name in (*VERDICTS, "without a verdict")}
