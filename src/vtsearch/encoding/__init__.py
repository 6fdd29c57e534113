"""From images to codes: the Encoder, its arithmetic, and indexes of images. Knows models and data, no loss."""

from __future__ import annotations

from vtsearch.encoding.encoder import Encoder
from vtsearch.encoding.precision import Arithmetic, Precision
from vtsearch.encoding.shard import encode_shard
from vtsearch.encoding.share import encode_share
from vtsearch.encoding.update import update_index

__all__ = ["Arithmetic", "Encoder", "Precision", "encode_shard", "encode_share", "update_index"]
