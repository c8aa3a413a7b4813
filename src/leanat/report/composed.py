"""Times, memory and savings of an item, computed from measured primitives and the selectors' plans (``cost.predict``)."""

from __future__ import annotations

from leanat.core.errors import named
from leanat.cost import predict
from leanat.plan.components import Spec, read
from leanat.plan.item import Cell, Timed
from leanat.report.published import printed
from leanat.report.sources import Sources


def number(cell: Cell, sources: Sources, paper: float | None = None) -> float | None:
    """The number of a cell in the unit of its metric, or compared with a reference, or with the ``paper``'s number.

    None for the decoding of files if the data set is not read from files.
    """
    match cell.metric:
        case "removed":
            return predict.removed(_spec(cell.timed), cell.timed.examples)
        case "printed_over_removed":
            return paper / predict.removed(_spec(cell.timed), cell.timed.examples)
        case "memory" | "memory_share":
            return _memory(cell, sources)
        case "decoding_minutes" | "reference_decoding_minutes":
            part = cell.timed if cell.metric == "decoding_minutes" else cell.against.timed
            seconds = predict.decoding(_spec(part), sources.primitives(part.spec), part.examples)
            return None if seconds is None else seconds / 60
    own, epochs = _seconds(cell.timed, _attack_share(cell, sources), sources), _epochs(cell.timed)
    match cell.metric:
        case "seconds_per_epoch":
            return own
        case "minutes_per_epoch" if cell.against:  # over the reference's epochs, since coresets have fewer
            return own * epochs / _epochs(cell.against.timed) / 60
        case "minutes_per_epoch":  # of several trainings: divided by the epochs of all
            return _all(cell, own, sources) / sum(map(_epochs, (cell.timed, *cell.also))) / 60
        case "speedup_per_epoch":
            return _seconds(cell.against.timed, None, sources) / own
    whole = _all(cell, own, sources)
    if cell.metric == "minutes":
        return whole / 60
    reference = _whole(cell.against.timed, sources)
    match cell.metric:
        case "time_share":
            return 100 * whole / reference
        case "reference_minutes":
            return reference / 60
        case "saved":
            return 100 * (reference - whole) / reference
    return reference / whole


def _spec(part: Timed) -> Spec:
    return read(part.spec)


def _epochs(part: Timed) -> int:
    return part.spec["recipe"]["epochs"]


def _memory(cell: Cell, sources: Sources) -> float:
    """Memory in MB per image of the largest step among a row's trainings, or in percent of the reference's."""
    most = max(_megabytes(part, sources) for part in (cell.timed, *cell.also))
    return most if cell.metric == "memory" else 100 * most / _megabytes(cell.against.timed, sources)


def _megabytes(part: Timed, sources: Sources) -> float:
    return named(sources.primitives(part.spec), "memory", "timings (leanat time measures them again)")


def _all(cell: Cell, own: float, sources: Sources) -> float:
    """Seconds of all trainings of a cell; ``own``: seconds per epoch of the cell's own training."""
    return own * _epochs(cell.timed) + sum(_whole(part, sources) for part in cell.also)


def _whole(part: Timed, sources: Sources) -> float:
    return _seconds(part, None, sources) * _epochs(part)


def _seconds(part: Timed, share: float | None, sources: Sources) -> float:
    return predict.seconds_per_epoch(_spec(part), sources.primitives(part.spec), part.examples, share)


def _attack_share(cell: Cell, sources: Sources) -> float | None:
    """The share of the attack steps that Bullet-Train makes, from the groups in the cell's runs or from its printed speed-up."""
    if cell.anchor:
        part = cell.anchor.timed
        speed_up = printed(sources.item.paper, cell.anchor.published, sources.papers)
        seconds = _whole(cell.against.timed, sources) / speed_up / _epochs(part)
        return predict.implied_attack_share(_spec(part), sources.primitives(part.spec), part.examples, seconds)
    if not cell.runs:
        return None
    shares = [_groups(run, sources) for run in cell.runs]
    mean = {k: sum(s[k] for s in shares) / len(shares) for k in shares[0]}
    return predict.attack_share(_spec(cell.timed), mean)


def _groups(run: str, sources: Sources) -> dict[str, float]:
    """Bullet-Train's shares of boundary and robust examples, averaged over a training."""
    history, where = sources.history(run), f"history.csv of {run}"
    columns = {g: [float(named(row, f"bullet_{g}", where)) for row in history] for g in ("boundary", "robust")}
    return {g: sum(shares) / len(shares) for g, shares in columns.items()}
