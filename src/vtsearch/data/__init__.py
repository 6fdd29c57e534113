"""Images, labels and splits into queries, training set and database. Independent of models and metrics."""

from __future__ import annotations

from vtsearch.data.open import (
    draw_dataset,
    open_dataset,
    open_folder,
    open_image_folder,
    open_image_list,
    open_lists,
    open_manifest,
)
from vtsearch.data.protocols import PROTOCOLS, RetrievalData, RetrievalProtocol, get_protocol
from vtsearch.data.selection import ImageSelection, select_images, select_source
from vtsearch.data.sources.image_source import ImageItems, ImageSource
from vtsearch.data.sources.stamp import Stamp
from vtsearch.data.splits.split import Split, load_split, save_split

__all__ = [
    "PROTOCOLS",
    "ImageItems",
    "ImageSelection",
    "ImageSource",
    "RetrievalData",
    "RetrievalProtocol",
    "Split",
    "Stamp",
    "draw_dataset",
    "get_protocol",
    "load_split",
    "open_dataset",
    "open_folder",
    "open_image_folder",
    "open_image_list",
    "open_lists",
    "open_manifest",
    "save_split",
    "select_images",
    "select_source",
]
