"""Values of the configuration that are written and never act. Pure Python.

``leanat check`` refuses what is so whatever items there are (``overridden``, ``beyond``); that the rules of the five papers and
of the scales each change a cell of theirs (``problems``) is tested, since a configuration may have fewer items than rules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from leanat.experiments.grid import Grid, extended
from leanat.experiments.items import cell_facts, product
from leanat.experiments.resolve import layered, matches, merge, plain


def problems(grid: Grid) -> list[str]:
    """A line for each rule, value or epoch that changes no run: file, rule, and what stands in its place."""
    cells = {paper: list(_cells(grid, paper)) for paper in grid.papers}
    found = [line for paper in grid.papers for line in _rules(grid, paper, cells[paper])]
    found += [line for paper in grid.papers for line in _unasked(grid, paper, cells[paper])]
    return found + list(_scale(grid, [cell for part in cells.values() for cell in part])) + beyond(grid)


def overridden(grid: Grid) -> list[str]:
    """Values that a paper's rule sets for a method by its name, and that method replaces."""
    found = []
    for paper, config in grid.papers.items():
        for k, rule in enumerate(config.get("rules", [])):
            named = rule.get("when", {}).get("method", [])
            for method in named if isinstance(named, list) else [named]:
                own = plain(extended(config["methods"], method, paper))
                for path, value in _leaves(rule["set"]):
                    stands = _at(own, path)
                    if stands is not None and not isinstance(stands, dict) and stands != value:
                        found.append(
                            f"{grid.folder}/papers/{paper}.yaml: rules[{k}]: {'.'.join(path)}: {value!r} never acts; "
                            f"methods.{method} is laid over it and has {stands!r}"
                        )
    return found


def _cells(grid: Grid, paper: str) -> Iterator[dict[str, Any]]:
    """The facts of every cell with a run, of all items, whether a scale leaves it out or not."""
    for name, item in grid.papers[paper]["items"].items():
        item = plain(item)
        for row in product(item["rows"]):
            for column in product(item["columns"]):
                facts = {"paper": paper, "item": name, **{k: item[k] for k in ("suite", "metric") if k in item}}
                facts |= {**item.get("base", {}), **cell_facts(row, column)}
                if {"data", "model", "method"} <= set(facts):
                    yield facts


def _rules(grid: Grid, paper: str, cells: list[dict[str, Any]]) -> Iterator[str]:
    """Values in a paper's ``rules`` that a later rule, the method or the cell replaces in every run they are for.

    A rule for methods that no cell names, since only other runs read them, is compared with the method on its own.
    """
    config, kept = grid.papers[paper], {}

    def final(facts: dict[str, Any]) -> dict[str, Any]:
        key = repr(facts)
        if key not in kept:
            spec = layered(config.get("rules", []), facts, dict(config["base"]))
            spec = merge(spec, extended(config["methods"], facts["method"], paper))
            kept[key] = plain(merge(spec, dict(facts.get("change") or {})))
        return kept[key]

    for k, rule in enumerate(config.get("rules", [])):
        at, when = f"{grid.folder}/papers/{paper}.yaml: rules[{k}]", rule.get("when", {})
        touched = [facts for facts in cells if matches(when, facts)] or _read_only(config, when, cells)
        if not touched:
            yield f"{at}: its 'when' {plain(when)} matches no cell of any item"
        for path, value in _leaves(rule["set"]) if touched else ():
            if not any(_at(final(facts), path) == value for facts in touched):
                name, stands = touched[0]["method"], _at(final(touched[0]), path)
                yield f"{at}: {'.'.join(path)}: {value!r} never acts; methods.{name} or a later rule has {stands!r}"


def _read_only(config: Mapping[str, Any], when: Mapping[str, Any], cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Facts of methods that other runs read, and no cell shows, where ``when`` names them."""
    shown = {facts["method"] for facts in cells}
    others = [method for method in config["methods"] if method not in shown]
    made = [{**facts, "method": method} for method in others for facts in cells[:1]]
    # what the other run changes beside its method is not known here, so that only the method is asked for
    return [
        facts for facts in made if matches({k: v for k, v in when.items() if k == "method"}, facts) and "method" in when
    ]


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    value = value if not hasattr(value, "reason") else value.value
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, key))
    else:
        yield path, plain(value)


def _at(spec: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(spec, dict) or key not in spec:
            return None
        spec = spec[key]
    return spec


def _scale(grid: Grid, cells: list[dict[str, Any]]) -> Iterator[str]:
    """Rules of a scale whose ``when`` matches no cell; of lists in which the first match counts, none that is left."""
    shown, file = {facts["method"] for facts in cells}, f"{grid.folder}/scales/{grid.scale['scale']}.yaml"
    known = [{**facts, "data": grid.stand_in(facts), "paper_data": facts["data"]} for facts in cells]
    attacked = [
        {**facts, "suite": suite, "attack": attack} for facts in known for suite, attack in _attacks(grid, facts)
    ]
    for part, first, facts in (
        ("epochs", True, known),
        ("counts", True, known),
        ("radii", True, known),
        ("fields", False, known),
        ("data", True, cells),
        ("rules", False, known),
        ("skip", False, cells),
        ("choices", True, [facts for facts in cells if "best" in facts]),
        ("attacks", False, attacked),
    ):
        left = facts
        for k, rule in enumerate(grid.scale.get(part, [])):
            when = rule.get("when", {})
            named = when.get("method", [])
            if set(named if isinstance(named, list) else [named]) - shown:
                continue  # of runs that other runs read
            if not any(matches(when, one) for one in left):
                yield f"{file}: {part}[{k}]: its 'when' {plain(when)} matches no cell that is left"
            if first:  # the first match counts
                left = [one for one in left if not matches(when, one)]


def _attacks(grid: Grid, facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Suite and attack of everything that the run of a cell is attacked by."""
    suite = facts.get("suite")
    attacks = grid.papers[facts["paper"]].get("suites", {}).get(suite, {})
    yield from ((suite, attack) for attack in attacks if attack != "sources")


def _unasked(grid: Grid, paper: str, cells: list[dict[str, Any]]) -> Iterator[str]:
    """Of a paper: reasons to leave runs out, numbers of trials and choices that are of no cell; suites that none shows."""
    config, file = grid.papers[paper], f"{grid.folder}/papers/{paper}.yaml"
    attacked = [{**facts, "attack": attack} for facts in cells for _, attack in _attacks(grid, facts)]
    shown = {facts["method"] for facts in cells}
    for part in ("skip", "trials", "assumed"):
        for k, rule in enumerate(config.get(part, [])):
            when = rule.get("when", {})
            read = {"method": [m for m in _listed(when.get("method", [])) if m not in shown]}
            if not any(matches(when, one) for one in [*cells, *attacked]) and not read["method"]:
                yield f"{file}: {part}[{k}]: its 'when' {plain(when)} matches no cell of any item"
    for suite in config.get("suites", {}).keys() - {facts.get("suite") for facts in cells}:
        yield f"{file}: suites.{suite}: no cell of any item is attacked by it"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def beyond(grid: Grid) -> list[str]:
    """Checks, drops and removals that come when a run is over (snapshots and warm-ups: ``sense``)."""
    found = {}
    for run in grid.runs.values():
        epochs = run.spec["recipe"]["epochs"]
        late = [("early_stop.checks", at) for at in (run.spec.get("early_stop") or {}).get("checks", []) if at > epochs]
        late += [(key, at) for key, at in _starts(run.spec["method"]["selector"]) if at >= epochs]
        if grid.scale["scale"] != "paper":  # Q-TART prints a drop at 260 of 200 epochs
            late += [("drops", at) for at in _drops(run.spec["recipe"]["lr"]) if at >= epochs]
        for key, at in late:
            found.setdefault((run.id.rpartition("-s")[0], key, at, epochs), run.id)
    return [f"{run}: {key} {at} never acts in {epochs} epochs" for (_, key, at, epochs), run in found.items()]


def _starts(selector: Any) -> Iterator[tuple[str, int]]:
    """tau of a selector, and of those inside."""
    for name, fields in selector.items() if isinstance(selector, dict) else ():
        if name == "once":
            yield "tau", fields["tau"]
        for inner in fields.values() if isinstance(fields, dict) else ():
            yield from _starts(inner)


def _drops(rate: Any) -> list[int]:
    return rate.get("steps", {}).get("drops", []) if isinstance(rate, dict) else []
