"""Files appear whole or not at all."""

import pytest

from leanat.core.files import atomic_write, read_json, write_csv


def interrupted(path):
    with atomic_write(path) as beside:
        beside.write_bytes(b"half")
        raise KeyboardInterrupt


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        interrupted(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_a_csv_is_utf_8_with_the_same_line_ends_everywhere_in_a_folder_that_need_not_exist(tmp_path):
    write_csv(tmp_path / "new" / "x.csv", [["ε", "a, b"], [None, "two\r\nlines"]])
    assert (tmp_path / "new" / "x.csv").read_bytes() == 'ε,"a, b"\n,"two\r\nlines"\n'.encode()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["x.csv"]


def test_json_of_an_editor_with_a_mark_in_front_is_read_and_a_key_twice_is_refused(tmp_path):
    path = tmp_path / "spec.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(path, "a spec") == {"a": 1}
    for text, why in (('{"a": {"seed": 0, "x": 1, "seed": 1}}', "key 'seed' twice"), ("[" * 100_000, "")):
        path.write_text(text)
        with pytest.raises(ValueError, match=f"^{path}: not a spec .*{why}"):
            read_json(path, "a spec")
