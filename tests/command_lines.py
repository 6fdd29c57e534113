"""Command lines of documents and of scripts, held against the parsers of the commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess

from vtsearch.cli import COMMANDS, command_module

RECORDER = """#!/usr/bin/env python3
import json, os, sys
with open(os.environ["RECORD"], "a") as file:
    file.write(json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]]) + chr(10))
"""
"""A program that writes down how it was called."""


def parse(argv):
    """What a command understands; an argument that it does not have ends the test."""
    name, *rest = argv
    assert name in COMMANDS, f"vtsearch {name}: no such command"
    module = command_module(name)
    try:
        if name == "train":
            first = module._parse_first(rest)
            return module.parser(first).parse_args([*first.implied, *rest])
        return module.parser().parse_args(rest)
    except SystemExit as stop:
        raise AssertionError(f"vtsearch {shlex.join(argv)}: not understood") from stop


def commands_of(page):
    """The arguments of each line of a page that calls vtsearch, in an indented or fenced block."""
    blocks = re.findall(r"^```(?:sh|bash|)\n(.*?)^```|((?:^    .*\n)+)", page, re.MULTILINE | re.DOTALL)
    lines = "\n".join(part for block in blocks for part in block if part).replace("\\\n", " ").splitlines()
    return [call for line in lines for call in calls_of(line)]


def calls_of(line):
    """The arguments of vtsearch in a line of a shell, which may call it by another program."""
    if "vtsearch " not in line:
        return []
    words = shlex.split(line, comments=True)
    starts = [place for place, word in enumerate(words) if word == "vtsearch" and place + 1 < len(words)]
    return [words[starts[-1] + 1 :]] if starts and words[starts[-1] + 1] in COMMANDS else []


def run_recorded(script, arguments, folder, programs, environment):
    """Run a script of bash with programs that only write down how they are called; the calls, in order."""
    shims, record = folder / "programs", folder / "calls"
    shims.mkdir()
    for name, content in {**dict.fromkeys(programs, RECORDER), **SLURM}.items():
        (shims / name).write_text(content)
        (shims / name).chmod(0o755)
    variables = {"PATH": f"{shims}:{os.environ['PATH']}", "RECORD": str(record), **environment}
    result = subprocess.run(
        ["bash", *script, *arguments], env=variables, capture_output=True, text=True, check=False, cwd=folder
    )
    calls = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    return result, calls


SLURM = {
    "srun": '#!/bin/sh\nexec "$@"\n',
    "scontrol": '#!/bin/sh\n[ "$*" = "show hostnames node[1-2]" ] && printf "node1\\nnode2\\n"\n',
}
"""Programs of Slurm, on one node."""
