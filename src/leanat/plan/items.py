"""Resolves the tables and figures of the configuration to rows, columns and cells with their runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from leanat.core.errors import ConfigError
from leanat.experiments.paper import ItemSpec, compared_methods
from leanat.experiments.spec import ball_of, named_part, plain
from leanat.plan import marks
from leanat.plan.grid import Grid, digest
from leanat.plan.item import TIMED, Anchor, Candidate, Cell, Column, Item, Printed, Reference, Row, StandIn, Timed


def resolve(grid: Grid, paper: str, name: str) -> Item:
    """An item: title, rows, columns, and cells with the runs (and evaluations) that their numbers come from."""
    item, labels, scale = grid.papers[paper].items[name].plain(), dict(grid.papers[paper].labels), grid.scale_of(paper)
    rows, columns = item.rows, item.columns
    base = {"paper": paper, "item": name} | dict(item.base)
    facts = [[{**base, **cell_facts(r, c)} for c in columns] for r in rows]
    cells = [[_cell(grid, item, entry, labels) for entry in line] for line in facts]
    for k, column in enumerate(columns):
        if "bullet" in column:
            _anchor(rows, cells, k, column["bullet"])
    flat = [cell for row in cells for cell in row]
    both = [part for cell in flat for part in (cell, cell.against) if part]
    runs = list(dict.fromkeys(run for part in both for run in part.runs))
    whole = grid.at_paper_scale() if item.kind == "formula" else grid
    here = [(r, c, entry) for r, line in enumerate(facts) for c, entry in enumerate(line) if not _missing(whole, entry)]
    assumed = marks.of_item(grid, paper, name, here)
    held = any(cell.metric.startswith("memory") for cell in flat)
    evaluations = list(dict.fromkeys(e for part in both for e in part.evaluations))
    all_runs = grid.with_needs([*runs, *(run for e in evaluations for run in grid.evaluations[e].needs)])
    timings = [part.timed for part in both if part.timed] + [t for cell in flat for t in cell.also]
    return Item(
        paper=paper,
        item=name,
        kind=item.kind,
        draws=any("draws" in entry for entry in [*rows, *columns]),
        title=item.title,
        caption=item.caption,
        scale=scale.name,
        options=dict(item.options),
        one_block=item.one_block,
        labels=labels | dict(scale.labels),
        seeds=tuple(_seeds(grid, paper, name, item)) if runs else (),
        factors=(*(_factors(grid, facts, all_runs) if runs else []), *_changes(grid, all_runs, timings)),
        assumptions=tuple(assumed),
        rows=tuple(Row(*_axis(r, labels), ours=bool(r.get("ours"))) for r in rows),
        columns=tuple(
            Column(*_axis(c, labels), **_column(grid, item, {**base, **c}, [row[k] for row in cells]))
            for k, c in enumerate(columns)
        ),
        cells=tuple(map(tuple, cells)),
        runs=tuple(runs),
        evaluations=tuple(evaluations),
        attacks={e: grid.evaluations[e].attacks for e in evaluations},
        timed={digest(t.spec): replace(t, memory=held) for t in timings},
        all_runs=tuple(all_runs),
    )


def _anchor(rows: Sequence[Mapping[str, Any]], cells: list[list[Cell]], k: int, bullet: str) -> None:
    """Gives each cell of Bullet-Train in column ``k`` an anchor: the cell of the method ``bullet`` on the same data, from whose
    printed time the number of its attack steps is computed.
    """
    by_data = {row.get("data"): line[k] for row, line in zip(rows, cells, strict=True) if row["method"] == bullet}
    for row, line in zip(rows, cells, strict=True):
        if line[k].timed and line[k].timed.spec["method"].get("budget"):
            other = by_data[row.get("data")]
            line[k] = replace(line[k], anchor=Anchor(other.timed, other.published))


def _factors(grid: Grid, facts: list[list[dict[str, Any]]], runs: list[str]) -> list[str]:
    """Lines of the foot: what this scale changes in all items and in these cells, and what the user has allowed."""
    scale = grid.scale_of(facts[0][0]["paper"])
    cells = [grid.here(e) for line in facts for e in line if "data" in e and not _missing(grid, e)]
    notes = [*scale.factors, *(note for cell in cells for note in scale.notes(cell))] if cells else []
    lines = list(dict.fromkeys(notes))
    names = dict.fromkeys(grid.runs[run].spec["data"]["name"] for run in runs)
    files = ", ".join(name for name in names if grid.of_image_files(name))
    if grid.settings.get("other_counts") and files:
        lines.append(f"other_counts: {files} may have other classes and counts of images than config/datasets.yaml")
    return lines


def _changes(grid: Grid, runs: list[str], timings: list[Timed]) -> list[str]:
    """Lines of the foot: what the user has changed in the runs, in runs that they read, and in timed trainings."""
    changes = [change for run in runs for change in grid.runs[run].changes]
    changes += [change for timed in timings for change in timed.changes]
    return [f"changed by the user, {method}: {field} = {value}" for _, method, field, value in dict.fromkeys(changes)]


def cell_facts(row: Mapping[str, Any], column: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a row and of a column together. Their keys of the published cell are joined, or None if either is None."""
    joined, printed = {**row, **column}, [part["published"] for part in (row, column) if "published" in part]
    if printed:
        joined["published"] = None if None in printed else {k: v for part in printed for k, v in part.items()}
    return joined


def _seeds(grid: Grid, paper: str, name: str, item: ItemSpec, entry: Mapping[str, Any] | None = None) -> list[int]:
    """The seeds of an item, or of one entry, whose number of trials may differ from the paper's usual one."""
    scale = grid.scale_of(paper)
    count = grid.settings.get("seeds") or item.seeds.get(scale.name) or scale.seeds.get(item.kind)
    own = plain(grid.papers[paper].trials(entry)) if entry else None
    more = (grid.settings.get("more_seeds") or {}).get(f"{paper}/{name}", 0)
    return list(range(max(count or own or plain(grid.papers[paper].seeds), more)))


def _axis(entry: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[str, str, dict[str, Any]]:
    """Group, label and facts of a row or column. The last label of its entries is its own, the others are the group."""
    entry_labels = [entry["label"]] if "label" in entry and "group" in entry else _shown(entry, labels)
    group = entry.get("group", " | ".join(entry_labels[:-1]))
    return str(labels.get(group, group)), entry_labels[-1], plain(entry)


def _shown(entry: Mapping[str, Any], labels: Mapping[str, str]) -> list[str]:
    hidden = {"suite", "settings", "ours", "unit", "digits", "better", "published", "metric", "reference", "attacked"}
    hidden |= {"snapshot", "also", "missing", "best", "difference"}
    hidden |= {"method"} if "label" in entry else set()
    return [str(labels.get(v, v)) for k, v in entry.items() if k not in hidden and not isinstance(v, (dict, list))]


def _column(grid: Grid, item: ItemSpec, entry: Mapping[str, Any], cells: Sequence[Cell]) -> dict[str, Any]:
    return {
        "unit": entry.get("unit", item.unit),
        "digits": entry.get("digits", item.digits),
        "better": entry.get("better", item.better),
        "stand_in": StandIn.of_several(cell.stand_in for cell in cells),
        "skipped": _missing(grid, entry) if all(cell.missing and not cell.timed for cell in cells) else None,
    }


def _stand_in(grid: Grid, item: ItemSpec, entry: Mapping[str, Any], metric: str) -> StandIn:
    """The data set, and the names and radii of attacks, that replace those of a cell at this scale."""
    if item.kind == "formula" or "data" not in entry or _missing(grid, entry) or metric in TIMED:
        return StandIn()
    used, suite = grid.stand_in(entry), entry.get("suite", item.suite)
    attack_labels: list[str] = []
    if suite:
        attacks, papers = grid.suite(entry, suite), grid.at_paper_scale().suite(entry, suite)
        names = [part.partition("@")[0] for part in re.split("[+-]", metric)]
        named = [name for name in names if name in attacks]
        attack_labels += [attacks[name]["label"] for name in named if attacks[name].get("label")]
        radii = [(_radius(attacks[name]), _radius(papers[name])) for name in named]
        attack_labels += [own for own, printed in radii if own and own != printed]
    return StandIn(used if used != entry["data"] else None, tuple(dict.fromkeys(attack_labels)))


def _radius(attack: Mapping[str, Any]) -> str | None:
    """The radius of an attack in a suite, short for the head of a column: ``40/255``, or ``0.8 in l2``; None without a norm."""
    if (ball := ball_of(plain(attack.get("attack")))) is None:
        return None
    norm, eps = ball
    return f"{255 * eps:.3g}/255" if norm == "linf" else f"{eps:.3g} in {norm}"


def _cell(grid: Grid, item: ItemSpec, entry: Mapping[str, Any], labels: Mapping[str, str]) -> Cell:
    printed = {**(item.published or {}), **(entry.get("published") or {})}
    nothing_chosen = entry.get("metric", item.metric) == "chosen" and "best" not in entry
    if ("published" in entry and entry["published"] is None) or nothing_chosen:
        printed = {}
    own_labels = {**labels, **printed.pop("labels", {})}
    names = {k: own_labels.get(v, v) if isinstance(v, str) else v for k, v in entry.items()}
    metric = str(entry.get("metric", item.metric)).format_map(entry)
    # Arithmetic on the paper's settings needs no data, so it is made at every scale.
    missing = _missing(grid.at_paper_scale() if item.kind == "formula" else grid, entry)
    timed, also, against = None, (), None
    others, reference = compared_methods(entry)
    if metric in TIMED and not entry.get("missing") and not grid.unmeasured({**entry, "metric": metric}):
        timed = _timed(grid, entry)
        also = tuple(_timed(grid, {**entry, "method": method, "settings": None}) for method in others)
    compared = {**entry, "method": reference, "settings": None}
    if reference and timed:
        against = Reference(timed=_timed(grid, compared))
    # Bullet-Train's cost depends on the shares of its groups, which come from a run or from the paper.
    grouped = "bullet" not in entry and timed is not None and bool(timed.spec["method"].get("budget"))
    if missing and grouped:
        timed, against = None, None
    cell = Cell(
        metric=metric,
        published=None if not printed or entry.get("ours") else _printed(printed, names, entry),
        missing=missing,
        timed=timed,
        also=also,
        against=against,
        stand_in=_stand_in(grid, item, entry, metric),
    )
    if item.kind == "formula":
        return cell if missing else replace(cell, computed=item.formula(**plain(item.inputs(entry))))
    if missing or not {"data", "model", "method"} <= set(entry) or (timed and not grouped):
        return cell
    if nothing_chosen:
        return replace(cell, missing="nothing is chosen")
    if entry.get("difference") and not reference:
        return replace(cell, missing="nothing to set it against")
    seeds, suite = _seeds(grid, entry["paper"], entry["item"], item, entry), entry.get("suite", item.suite)
    if "best" in entry:
        candidates = _candidates(grid, entry, metric, suite, seeds)
        runs, evaluations = ([x for one in candidates for x in getattr(one, k)] for k in ("runs", "evaluations"))
        cell = replace(cell, candidates=candidates, by=entry["best"]["by"])
    else:
        runs, evaluations = _numbers(grid, entry, metric, suite, seeds)
    if reference and not timed:
        once = {key: value for key, value in compared.items() if key != "draws"}
        times = entry["draws"].get(grid.scale.name, 1) if "draws" in entry else 1
        own = (tuple(x for x in part for _ in range(times)) for part in _numbers(grid, once, metric, suite, seeds))
        cell = replace(cell, against=Reference(*own), difference=bool(entry.get("difference")))
    return replace(cell, runs=tuple(runs), evaluations=tuple(evaluations))


def _printed(printed: Mapping[str, str], names: Mapping[str, Any], entry: Mapping[str, Any]) -> Printed:
    """The place where the paper prints a cell: item, row and column of its CSV file, filled in with the entry's names."""
    where = f"{entry['paper']}/{entry['item']}: published"
    if missing := {"item", "row", "column"} - printed.keys():
        raise ConfigError(
            [f"{where}: {', '.join(sorted(missing))} missing; item, row and column name a printed number"]
        )
    try:
        return Printed(**{key: text.format_map(names) for key, text in printed.items()})
    except (KeyError, ValueError, IndexError) as error:
        raise ConfigError([f"{where}: no row or column has what {error} stands for"]) from None


def _missing(grid: Grid, entry: Mapping[str, Any]) -> str | None:
    """The reason why a cell has no run, given by its row or column or by a rule that skips it; None if it has."""
    return entry.get("missing") or grid.skipped(entry) or grid.unmeasured(entry)


def _candidates(
    grid: Grid, entry: Mapping[str, Any], metric: Any, suite: str | None, seeds: list[int]
) -> tuple[Candidate, ...]:
    """The candidates of ``best: {of, values, by}``: the runs for each value of the variable ``of``. The best by the metric ``by``
    are shown.
    """
    best = entry["best"]
    candidates = []
    for value in grid.scale_of(entry["paper"]).candidates(entry) or best["values"]:
        settings = {**(entry.get("settings") or {}), best["of"]: value}
        candidates.append(
            Candidate(*_numbers(grid, {**entry, "settings": settings}, metric, suite, seeds), value=value)
        )
    return tuple(candidates)


def _numbers(
    grid: Grid, entry: Mapping[str, Any], metric: Any, suite: str | None, seeds: list[int]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The runs of a cell, and their evaluations if the metric belongs to a suite.

    ``draws`` of an entry is, by scale, the number of random subsets with which it is repeated; ``draw`` numbers them in the runs.
    """
    draws = range(entry["draws"].get(grid.scale.name, 1)) if "draws" in entry else [None]
    settings = [entry.get("settings") if d is None else {**(entry.get("settings") or {}), "draw": d} for d in draws]
    runs = [grid.run(entry, seed, one) for seed in seeds for one in settings]
    if "snapshot" in entry and (metric == "clean" or not suite):
        where = f"{entry['paper']}/{entry['item']}"
        raise ConfigError([f"{where}: a snapshot needs a suite, and an attack 'clean' under another name"])
    own = metric in ("clean", "validation", "chosen") or str(metric).startswith(("history.", "metrics."))
    own = own or metric in TIMED
    evaluated = runs if suite and not own else []
    return tuple(r.id for r in runs), tuple(grid.evaluation(r, entry, suite).id for r in evaluated)


def _component(spec: Mapping[str, Any], key: str) -> tuple[str, Mapping[str, Any]]:
    """Name and fields of a component of the method. Raises ConfigError if the value, which a user may change, is none."""
    value = spec["method"][key]
    component = {value: {}} if isinstance(value, str) else value
    if not isinstance(component, dict) or len(component) != 1 or not isinstance(next(iter(component.values())), dict):
        raise ConfigError([f"method.{key}: {value!r} is not allowed; a name, or {{name: {{field: value}}}}"])
    return named_part(component)


def _timed(grid: Grid, entry: Mapping[str, Any]) -> Timed:
    """The training whose cost is computed: the paper's own spec at every scale, and the key of its primitives."""
    run = grid.at_paper_scale().run(entry, 0, entry.get("settings"))
    spec = run.spec
    data = grid.datasets[entry["data"]]
    name, fields = _component(spec, "attack")
    objective, terms = _component(spec, "objective")
    step = {
        "shape": [data["channels"], data["size"]],
        "model": spec["model"],
        "recipe": [spec["recipe"]["batch"], spec["recipe"]["precision"]],
        "objective": objective + " with a curriculum" * bool(terms.get("ks")),
        # radii and step sizes have no effect on the time
        "attack": [name, fields.get("steps"), fields.get("loss"), fields.get("training_mode"), fields.get("attack")],
    }
    return Timed(spec, data["train"], data, digest(step), tuple(run.changes))
