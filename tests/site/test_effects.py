"""What a claim's page calls its effects."""

from leanat.site.claims import Place, _labels


def case(*rows, column="robust"):
    return [Place(str(k), "figure7", row, column, {}, []) for k, row in enumerate(rows)]


def test_no_two_effects_of_a_claim_are_called_alike():
    cases = [case("VGG16 | Q-TART", f"VGG16 | {other}") for other in ("Baseline", "DIHCL")]
    assert _labels(cases) == ["figure7, VGG16, robust, Baseline", "figure7, VGG16, robust, DIHCL"]
    parts = 3 * [case("OURS", "FAT")]
    assert _labels(parts) == [f"figure7, robust, part {k} of 3" for k in (1, 2, 3)]
    assert _labels([case("a | x", "a | y"), case("b | x", "b | y")]) == ["figure7, a, robust", "figure7, b, robust"]
    assert _labels([[]]) == ["all cases"]
