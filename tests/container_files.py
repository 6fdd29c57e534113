"""Tar and Parquet files with images, for the tests."""

from __future__ import annotations

import io
import json
import tarfile

import numpy as np
from PIL import Image


def encoded(number, kind="png"):
    """The file of a picture of 24 x 20 pixels, another one for each number."""
    pixels = np.random.default_rng(number).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def write_tar(path, members, **options):
    """A tar of members, name -> bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, options.pop("mode", "w"), **options) as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def sample(number, label=None, kind="png"):
    """The members of a sample of a webdataset."""
    members = {f"{number:04}.{kind}": encoded(number, kind)}
    return members if label is None else {**members, f"{number:04}.cls": str(label).encode()}


def write_parquet(path, images, labels=None, *, names=None, form="struct", rows=4, **columns):
    """A Parquet file with a column ``img`` of encoded images (None for a missing one), in groups of a few rows."""
    import pyarrow as pa
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    stored = {"binary": pa.array(images, pa.binary()), "large": pa.array(images, pa.large_binary())}.get(form)
    if stored is None:
        kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        stored = pa.array([{"bytes": image, "path": f"{row}.png"} for row, image in enumerate(images)], kind)
    table = pa.table({"img": stored, **({} if labels is None else {"label": labels}), **columns})
    if names is not None:
        features = {"img": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    parquet.write_table(table, path, row_group_size=rows)
    return path
