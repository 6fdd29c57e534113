"""What goes wrong that Python has no words for; everything else raises Python's own."""

from __future__ import annotations


class VtsearchError(Exception):
    """Files that do not belong together, or are not what they claim: a corrupt index, fingerprints that differ."""


def missing_extra(module: str) -> ModuleNotFoundError:
    """The error to raise where a module is missing that an extra brings: it names the command that installs it."""
    package = module.partition(".")[0]
    extra = "plot" if package == "matplotlib" else "train"
    return ModuleNotFoundError(f"needs {package}: pip install 'vtsearch[{extra}]'", name=module)
