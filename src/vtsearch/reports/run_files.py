"""Names of the files of a run that its report reads; training writes them."""

from __future__ import annotations

CONFIG = "config.yaml"
ENVIRONMENT = "env.json"
FRAMEWORK = "framework.py"
SPLIT = "split.json"
METRICS = "metrics.jsonl"
BEST_SCORES = "best.json"
CODES = "codes"
RESULT = "result.json"
