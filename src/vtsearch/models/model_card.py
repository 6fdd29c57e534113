"""The card of a model on the hub: what it is, how to load it, and what the run that trained it has measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import yaml  # type: ignore[import-untyped]

from vtsearch._printable import printable
from vtsearch.evaluation.evaluation import map_name
from vtsearch.reports.markdown import choices, markdown_table

if TYPE_CHECKING:
    from vtsearch.evaluation import Evaluation
    from vtsearch.models.hash_model import HashModel
    from vtsearch.reports.saved_run import SavedRun

PROJECT = "https://github.com/vtsearch/vtsearch"
METADATA = {
    "library_name": "vtsearch",
    "pipeline_tag": "image-feature-extraction",
    "tags": ["vtsearch", "image-retrieval", "hashing", "binary-codes"],
}
PRIVATE = ("data", "workers", "split", "strip_prefix", "weights")
"""What a configuration says of the machine rather than of the training."""


def model_card(model: HashModel, name: str, run: SavedRun | None = None, evaluation: Evaluation | None = None) -> str:
    """The card in Markdown, with metadata in YAML.

    Args:
        model: the model.
        name: ``user/name``, or with a revision as it is loaded.
        run: the finished run that trained it, if it is known.
        evaluation: of this model in that run.
    """
    about = [
        ["bits", f"{model.bits}"],
        ["backbone", f"`{model.config.backbone}`"],
        ["head", f"`{model.config.head}`, norm `{model.config.head_norm}`"],
        ["images", f"{model.preprocessing.image_size} x {model.preprocessing.image_size} pixels"],
        ["fingerprint", f"`{model.fingerprint()}`"],
    ]
    parts = [
        f"---\n{yaml.safe_dump(METADATA, sort_keys=False)}---",
        f"# {name}",
        f"A model of [vtsearch]({PROJECT}): images to binary codes of {model.bits} bits, compared by Hamming distance.",
        markdown_table(["what", "value"], about),
        "## How to load it",
        f"```sh\npip install 'vtsearch[train]'\nvtsearch encode photos --model {name} --output codes\n```",
        _python(name),
        "Loading reads `config.json` and `model.safetensors` and executes nothing.",
        *([] if run is None or evaluation is None else _training(run, evaluation)),
    ]
    return "\n\n".join(parts) + "\n"


def _python(name: str) -> str:
    lines = [
        "import vtsearch",
        "",
        f'encoder = vtsearch.load_model("{name}")',
        'codes = encoder.encode(["photo.jpg"])  # (n, bytes) uint8',
    ]
    return "\n".join(["```python", *lines, "```"])


def _training(run: SavedRun, evaluation: Evaluation) -> list[str]:
    """What a run has measured, with all that the number depends on, and its configuration."""
    context, score = run.context, evaluation.mean_average_precision
    name = map_name(evaluation.k)
    facts = [
        ["protocol", f"{printable(context.protocol)}{' (not as published)' if context.remark else ''}"],
        ["split", f"`{context.split}`"],
        ["framework", f"`{context.framework}`"],
        ["seed", f"{context.seed}"],
        [f"{name}, expected over ties", f"{score.expected:.4f}"],
        [f"{name}, bounds of any order of ties", f"{score.worst:.4f} to {score.best:.4f}"],
        ["codes of the database", printable(context.database_codes)],
        ["chance", f"{evaluation.chance:.4f}"],
    ]
    kept = {key: value for key, value in run.config.items() if key.rpartition(".")[2] not in PRIVATE}
    return [
        "## Training",
        markdown_table(["what", "value"], facts),
        f"*{choices(evaluation, context)}*",
        "Configuration of the run:",
        f"```yaml\n{yaml.safe_dump(kept, sort_keys=False)}```",
    ]
