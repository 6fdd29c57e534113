"""Frameworks of the user's own: a class in a file, or registered by a name."""

from __future__ import annotations

import own_framework
import pytest
import torch

from vtsearch import frameworks
from vtsearch._error_text import format_error, is_expected
from vtsearch.frameworks import FRAMEWORKS, Framework, framework_class, own, register
from vtsearch.frameworks.csq import CSQ
from vtsearch.training.presets import preset

TEXT = """
from dataclasses import dataclass
from vtsearch.frameworks import Framework
from vtsearch.frameworks.csq import CSQ

class Plain(Framework):
    def loss(self, features, labels, positions):
        return (features.abs() - 1).square().mean()

class Abstract(Framework):
    pass

class Bare(Plain):
    @dataclass
    class Options:
        margin: float

class NoDataclass(Plain):
    Options = dict

class OtherArguments(Plain):
    def __init__(self, bits):
        super().__init__(bits, 1, 1)

class Stranger:
    pass

def function():
    pass

class Vector(Plain):
    def loss(self, features, labels, positions):
        return features

class Number(Plain):
    def loss(self, features, labels, positions):
        return 1.0

class Raising(Plain):
    def loss(self, features, labels, positions):
        return features @ labels
"""
LISTED = "Plain, Bare, NoDataclass, OtherArguments, Vector, Number, Raising"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "loss.py"
    path.write_text(TEXT)
    return path


@pytest.fixture
def names(monkeypatch):
    """The registered names, put back after the test."""
    monkeypatch.setattr(frameworks, "_registered", {})


def batch(classes=3):
    return torch.randn(4, 8), torch.arange(4) % classes, torch.arange(4)


def test_the_framework_of_the_page_has_its_options_and_a_loss(tmp_path):
    kind = framework_class(own_framework.write(tmp_path))
    assert issubclass(kind, Framework)
    assert kind.Options().quantization == 0.1
    features, labels, positions = batch()
    built = kind(8, 3, 12, kind.Options(quantization=0.0))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        built.classifier(features.tanh()), torch.nn.functional.one_hot(labels, 3).float()
    )
    assert torch.equal(built(features, labels, positions), expected)


def test_a_framework_needs_no_options(file):
    kind = framework_class(f"{file}:Plain")
    assert framework_class(f"{file}:Plain") is kind  # run once
    features, labels, positions = batch()
    assert kind(8, 3, 12)(features, labels, positions) == (features.abs() - 1).square().mean()


def test_a_relative_path_is_that_of_the_current_folder(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    assert own.absolute("loss.py:Plain") == f"{file}:Plain"
    assert framework_class("loss.py:Plain") is framework_class(f"{file}:Plain")
    assert own.absolute("csq") == own.short_name("csq") == own.class_name("csq") == "csq"
    assert own.short_name(f"{file}:Plain") == "loss.py:Plain"
    assert own.class_name(f"{file}:Plain") == "Plain"


def test_a_changed_file_is_another_class_and_the_first_keeps_its_source(file):
    before = framework_class(f"{file}:Plain")
    file.write_text(TEXT + "\n# changed\n")
    after = framework_class(f"{file}:Plain")
    assert before is not after
    assert own.source_of(before) == TEXT.encode()
    assert own.source_of(after) == file.read_bytes()
    assert own.source_of(CSQ) is None


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("Abstract", TypeError, "Abstract: expected the methods loss, got none"),
        ("Bare", ValueError, "Bare.Options: expected a default for each field, got none for margin"),
        ("NoDataclass", TypeError, "NoDataclass.Options: expected a dataclass, got <class 'dict'>"),
        ("Stranger", TypeError, "Stranger: expected a subclass of vtsearch.frameworks.Framework, got another class"),
        ("function", TypeError, "function: expected a subclass of vtsearch.frameworks.Framework, got a function"),
        ("Plane", ValueError, f"expected one of {LISTED}, got 'Plane' (did you mean 'Plain'?)"),
        ("CSQ", ValueError, f"expected one of {LISTED}, got 'CSQ'"),
    ],
)
def test_a_class_that_no_run_can_build_is_named(file, name, error, message):
    with pytest.raises(error) as raised:
        framework_class(f"{file}:{name}")
    assert str(raised.value) == f"framework: {file}: {message}"


def test_other_arguments_are_named(file):
    with pytest.raises(TypeError, match=r"OtherArguments: expected the arguments bits, classes, .* got others"):
        framework_class(f"{file}:OtherArguments")


def test_a_file_without_a_class_lists_those_it_has(file):
    with pytest.raises(ValueError, match=f"expected one of {LISTED}, got no class; write {file}:CLASS"):
        framework_class(str(file))
    file.write_text("x = 1\n")
    with pytest.raises(ValueError, match="expected a subclass of Framework, it has none, got 'Plain'"):
        framework_class(f"{file}:Plain")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_at_all", ":1: ModuleNotFoundError: No module named 'nothing_at_all'"),
        ("x = 1\n\nraise RuntimeError('two\\nlines')", ":3: RuntimeError: two"),
        ("x = 1\ndef f(:\n    pass", ":2: SyntaxError: "),
        ("import sys\nsys.exit(3)", ":2: SystemExit: 3"),
        ("x = '\0'", ": "),
    ],
)
def test_a_file_that_fails_is_one_line_with_its_place(tmp_path, text, message):
    path = tmp_path / "broken.py"
    path.write_text(text)
    with pytest.raises(ValueError) as raised:
        framework_class(f"{path}:MyLoss")
    assert str(raised.value).startswith(f"framework: {path}{message}")
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"framework: .*/none\.py: no such file"):
        framework_class(f"{tmp_path / 'none.py'}:MyLoss")
    (tmp_path / "folder.py").mkdir()
    with pytest.raises(OSError, match=r"framework: .*/folder\.py: Is a directory"):
        framework_class(f"{tmp_path / 'folder.py'}:MyLoss")


@pytest.mark.parametrize(("name", "got"), [("Vector", r"shape \(4, 8\)"), ("Number", "float")])
def test_a_loss_that_is_no_scalar_is_refused(file, name, got):
    with pytest.raises(TypeError, match=f"{name}.loss: expected a scalar tensor, got {got}"):
        framework_class(f"{file}:{name}")(8, 3, 12)(*batch())


def test_an_error_in_the_file_is_the_users_and_has_its_line(file):
    with pytest.raises(RuntimeError) as raised:
        framework_class(f"{file}:Raising")(8, 3, 12)(*batch())
    line = TEXT.splitlines().index("        return features @ labels") + 1
    assert is_expected(raised.value)
    assert format_error(raised.value).startswith(f"framework: {file}:{line}: RuntimeError: mat1 and mat2 shapes")


def test_a_registered_class_has_a_name(names, file):
    kind, other = framework_class(f"{file}:Plain"), framework_class(f"{file}:Vector")
    register("my-loss", kind)
    assert framework_class("my-loss") is kind
    register("my-loss", other)
    assert framework_class("my-loss") is other
    with pytest.raises(ValueError, match=rf"{', '.join(FRAMEWORKS)}, my-loss, or FILE.py:CLASS, got 'my_los'"):
        framework_class("my_los")


class InATest(Framework):
    """Its source is its own text."""

    def loss(self, features, labels, positions):
        return features.mean()


def test_the_source_of_a_registered_class_is_its_own_text():
    source = own.source_of(InATest).decode()
    assert source.startswith("class InATest(Framework):")
    assert source.rstrip().endswith("return features.mean()")
    typed = type("Typed", (InATest,), {"__module__": "nowhere"})
    assert own.source_of(typed) is None


@pytest.mark.parametrize("name", ["csq", "CSQ", "adsh"])
def test_the_names_of_vtsearch_are_taken(names, name):
    with pytest.raises(ValueError, match=f"name: expected another than those of vtsearch .*, got '{name}'"):
        register(name, InATest)


@pytest.mark.parametrize("name", ["", "my loss", "a/b", "loss.py", "1st", 3, None])
def test_a_name_that_is_none_is_refused(names, name):
    with pytest.raises(ValueError, match="name: expected letters, digits, '_' and '-'"):
        register(name, InATest)


def test_only_frameworks_are_registered(names):
    with pytest.raises(TypeError, match=r"framework 'mine': expected a subclass of .*Framework, got another class"):
        register("mine", dict)
    with pytest.raises(TypeError, match="framework 'mine': expected the methods loss, got none"):
        register("mine", Framework)


def test_modern_takes_the_defaults_and_paper_refuses(names, file, monkeypatch):
    monkeypatch.chdir(file.parent)
    config = preset("modern", "loss.py:Plain", "digits")
    assert config.framework == f"{file}:Plain"
    assert config.options == framework_class("loss.py:Plain").Options()
    register("mine", InATest)
    for name, shown in (("loss.py:Plain", "loss.py:Plain"), (f"{file}:Plain", "loss.py:Plain"), ("mine", "mine")):
        with pytest.raises(ValueError, match=f"preset: expected 'modern' with {shown}: 'paper' repeats published code"):
            preset("paper", name, "digits")


def test_an_unknown_attribute_of_the_package_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'Frameworks'"):
        _ = frameworks.Frameworks
