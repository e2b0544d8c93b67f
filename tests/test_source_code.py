"""What a digest of code depends on: what the code does, and all that it imports."""

import ast

from clipassistnet.identity import source_code

TRAINING = "clipassistnet.training.fitting"


def test_comments_and_docstrings_do_not_count_as_code():
    a = 'def f(x):\n    """Doc."""\n    return x  # why\n'
    assert source_code.digest(a) == source_code.digest("def f(x):\n    return x\n")
    assert source_code.digest(a) != source_code.digest("def f(x):\n    return -x\n")


def test_imports_are_followed_and_other_packages_are_not():
    found = source_code.of_imports("import pandas\nfrom clipassistnet.model import losses")
    assert "clipassistnet.model.losses" in found
    assert "clipassistnet.evaluation.plots" not in found
    assert all(name.startswith("clipassistnet") for name in found)


def test_a_module_is_part_of_its_own_identity():
    """As are imports inside functions, such as Lightning's, and those of what it imports."""
    found = source_code.of_module(TRAINING)
    assert {TRAINING, "clipassistnet.transforms", "clipassistnet.model.layers"} <= set(found)
    assert any("lightning" in name for name in found)
    assert "clipassistnet.evaluation.plots" not in found


def test_a_change_deep_below_changes_the_identity(monkeypatch, tmp_path):
    before, file = source_code.of_module(TRAINING), source_code._file
    changed = tmp_path / "transforms.py"
    changed.write_text((source_code.LIBRARY / "transforms.py").read_text() + "\nchanged = 1\n")
    names = {"clipassistnet.transforms": changed}
    monkeypatch.setattr(source_code, "_file", lambda name: names.get(name, file(name)))
    after = source_code.of_module(TRAINING)
    assert {name for name in after if after[name] != before[name]} == {"clipassistnet.transforms"}


def test_no_module_imports_relatively():
    """Only absolute imports are followed."""
    for path in source_code.LIBRARY.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path
