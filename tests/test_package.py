"""What holds for the package as a whole: its stub, its imports, its version, its documents."""

from __future__ import annotations

import ast
import doctest
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import vtsearch
from vtsearch import _native

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "vtsearch"


def run(code: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=variables, cwd=cwd
    )


def test_importing_the_package_imports_neither_torch_nor_timm_nor_matplotlib():
    heavy = "{'torch', 'timm', 'torchvision', 'matplotlib', 'accelerate', 'jsonargparse'}"
    result = run(f"import sys, vtsearch; assert not {heavy} & set(sys.modules), {heavy} & set(sys.modules)")
    assert result.returncode == 0, result.stderr


def test_the_version_is_written_once():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert vtsearch.__version__ == project["version"] == _native.__version__


def stub_signatures() -> dict[str, list[str]]:
    tree = ast.parse((PACKAGE / "_native.pyi").read_text())
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    named = [("", tree), *((f"{node.name}.", node) for node in classes)]
    return {
        prefix + node.name: [a.arg for a in node.args.args]
        for prefix, place in named
        for node in place.body
        if isinstance(node, ast.FunctionDef)
    }


def compiled_signatures() -> dict[str, list[str]]:
    public = {name: value for name, value in vars(_native).items() if not name.startswith("_")}
    functions = {name: value for name, value in public.items() if callable(value) and not isinstance(value, type)}
    for name, kind in public.items():
        if isinstance(kind, type):
            methods = [method for method in vars(kind) if method == "__init__" or not method.startswith("_")]
            functions |= {f"{name}.{method}": getattr(kind, method) for method in methods}
    signatures = {}
    for name, function in functions.items():
        arguments = function.__doc__.splitlines()[0].split("(", 1)[1].split(") ->")[0]
        signatures[name] = re.findall(r"(\w+):", arguments)
    return signatures


def test_the_stub_names_every_compiled_function_and_argument():
    assert compiled_signatures() == stub_signatures()


def test_an_unknown_instruction_set_is_refused_with_the_choices():
    with pytest.raises(ValueError, match=r"isa: this build and CPU can run .*scalar, not 'sse9'"):
        _native.use_isa("sse9")


@pytest.mark.parametrize("isa", _native.isas())
def test_the_environment_forces_an_instruction_set(isa):
    result = run("from vtsearch import _native; print(_native.active_isa())", VTSEARCH_ISA=isa)
    assert result.stdout.strip() == isa, result.stderr


def test_an_instruction_set_forced_in_vain_is_an_error():
    result = run("import sys; from vtsearch.cli import main; sys.exit(main(['info']))", VTSEARCH_ISA="sse9")
    assert result.returncode == 2
    choices = ", ".join(_native.isas())
    assert result.stderr == f"vtsearch info: isa: this build and CPU can run {choices}, not 'sse9'\n"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_the_layers_of_a_page_are_those_of_the_contract(page):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    picture = re.search(r"^    cli -> .*?$(?:\n^        -> .*?$)*", (ROOT / page).read_text(), re.MULTILINE)
    assert picture is not None
    assert " ".join(picture[0].split()) == " -> ".join(layers).replace("vtsearch.", "")


def modules_with_examples() -> list[str]:
    return [
        ".".join(page.relative_to(PACKAGE.parent).with_suffix("").parts)
        for page in sorted(PACKAGE.rglob("*.py"))
        if ">>> " in page.read_text()
    ]


@pytest.mark.parametrize("module", modules_with_examples())
def test_examples_in_docstrings_give_what_they_show(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_the_reference_is_reachable_as_an_attribute():
    result = run("import vtsearch; print(vtsearch.reference.rank.__module__)")
    assert result.stdout.strip() == "vtsearch.reference", result.stderr


def test_every_public_name_has_a_docstring():
    undocumented = [name for name in vtsearch.__all__ if name != "__version__" and not getattr(vtsearch, name).__doc__]
    assert undocumented == []


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)


PAGES = [*python_blocks(ROOT / "README.md"), *python_blocks(ROOT / "docs/api/torch.md")]


@pytest.mark.parametrize(
    "block", [pytest.param(each, marks=pytest.mark.slow if "vtsearch.train(" in each else ()) for each in PAGES]
)
def test_python_of_a_page_runs(block):
    result = run(block)
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize("block", python_blocks(ROOT / "docs/fitting.md"))
def test_python_of_the_page_on_fitted_models_runs(block, tmp_path):
    result = run(block, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


def test_commands_of_the_readme_exist():
    from vtsearch.cli import COMMANDS

    named = set(
        re.findall(r"^ *(?:VTSEARCH_DATA=\S+ )?vtsearch ([a-z]+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    )
    assert named <= set(COMMANDS)


def without(module: str, code: str) -> subprocess.CompletedProcess[str]:
    return run(f"import sys; sys.modules[{module!r}] = None\n{code}")


def test_a_command_without_its_extra_names_the_command_that_installs_it():
    result = without("torch", "from vtsearch.cli import main; sys.exit(main(['demo', '--output', 'nowhere']))")
    assert result.returncode == 2
    assert "vtsearch demo: needs torch: pip install 'vtsearch[train]'\n" in result.stderr
    assert "Traceback" not in result.stderr


def test_load_model_without_its_extra_names_the_command_that_installs_it():
    result = without("torch", "import vtsearch; vtsearch.load_model('nowhere')")
    assert "ModuleNotFoundError: needs torch: pip install 'vtsearch[train]'" in result.stderr
