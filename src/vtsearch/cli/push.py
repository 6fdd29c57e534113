"""``vtsearch push``: a model to the Hugging Face hub."""

from __future__ import annotations

from vtsearch._printable import printable
from vtsearch.cli.output import json_text
from vtsearch.cli.parser import CommandParser

EXAMPLE = """  vtsearch push runs/cifar me/cifar-64
  vtsearch push runs/cifar/best me/cifar-64 --private --revision best"""
DESCRIPTION = """Upload a model to the Hugging Face hub, with a card that says what it is and how to load it.

The card of a run's model has the run's scores and configuration. Everything is one commit. The token is that of
`hf auth login` or of the variable HF_TOKEN. docs/model_exchange.md has more."""


def parser() -> CommandParser:
    """Build the argument parser."""
    command = CommandParser("push", DESCRIPTION, EXAMPLE)
    command.add_argument("model", help="folder of the model, or of a run, whose final model is taken")
    command.add_argument("repository", help="user/name; made if there is none")
    command.add_argument("--private", action="store_true", help="make a repository that only its owner sees")
    command.add_argument("--revision", help="branch, made if there is none; by default the main branch")
    command.add_argument("--json", action="store_true", help="print JSON")
    return command


def run(argv: list[str]) -> int:
    """Upload; prints the address, the commit and how to load it."""
    args = parser().parse_args(argv)
    from vtsearch.models.push import push_model

    pushed = push_model(args.model, args.repository, private=args.private, revision=args.revision)
    if args.json:
        print(json_text({"model": args.model, **pushed._asdict()}))
        return 0
    print(printable(f"{pushed.url}: {args.model}, commit {pushed.commit[:12]}"))
    name = pushed.repository if args.revision is None else f"{pushed.repository}@{args.revision}"
    print(printable(f"vtsearch encode photos --model {name} --output codes"))
    return 0
