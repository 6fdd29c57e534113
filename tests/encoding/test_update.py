"""An index follows its images: what an update leaves is what encoding them all anew would make."""

from __future__ import annotations

import os
import random
import shutil

import numpy as np
import pytest
from PIL import Image

from vtsearch.cli import main
from vtsearch.data.selection import select_images
from vtsearch.data.skipped import skipped_images
from vtsearch.encoding import Encoder
from vtsearch.encoding.chunked_encoding import NoProgress, SavePolicy
from vtsearch.encoding.shard import encode_shard
from vtsearch.encoding.update import IndexUpdate, update_index
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.models import save_model


class Counting(Encoder):
    """Counts the images that are encoded."""

    def __init__(self, model):
        super().__init__(model)
        self.images = 0

    def batches(self, source, positions):
        for batch in super().batches(source, positions):
            self.images += len(batch.rows)
            yield batch


@pytest.fixture
def encoder(tiny_model):
    return Counting(tiny_model)


@pytest.fixture
def index(encoder, photos, tmp_path):
    encode_shard(encoder, select_images([str(photos)]), tmp_path / "index")
    encoder.images = 0
    return tmp_path / "index"


def update(encoder, photos, index, **options):
    return update_index(encoder, select_images([str(photos)]), index, **options)


def content(folder):
    """Id -> code, class name and metadata."""
    with Index.open(folder) as index:
        index.verify()
        labels, classes, metadata = index.labels(), index.classes, index.metadata()
        names = [None] * len(index) if labels is None else [classes[label] if classes else label for label in labels]
        rows = [{name: values[i] for name, values in metadata.items()} for i in range(len(index))]
        return dict(zip(index.ids(), zip(index.codes().tolist(), names, rows, strict=True), strict=True))


def anew(encoder, photos, folder):
    """The content of an index that is made of the images as they are now."""
    shutil.rmtree(folder, ignore_errors=True)
    encode_shard(encoder, select_images([str(photos)]), folder)
    return content(folder)


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (21, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def test_a_copy_beside_a_file_that_is_not_named_again_is_no_new_name_of_it(encoder, tmp_path):
    picture(tmp_path / "a.png", 1)
    encode_shard(encoder, select_images([str(tmp_path / "a.png")]), tmp_path / "index")
    shutil.copy(tmp_path / "a.png", tmp_path / "b.png")
    done = update_index(encoder, select_images([str(tmp_path / "b.png")]), tmp_path / "index")
    assert done == IndexUpdate(1, 0, 0, 0, 0, 0)
    assert len(Index.open(tmp_path / "index")) == 2


def test_an_index_knows_the_files_of_its_images(encoder, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2024:05:06 07:08:09"
    Image.new("RGB", (30, 20)).save(photos / "turned.jpg", exif=exif)
    Image.new("RGB", (5, 7)).save(photos / "plain.png")
    os.utime(photos / "plain.png", ns=(0, 1_700_000_000_123_456_789))
    found = {name: metadata for name, (_, _, metadata) in anew(encoder, photos, tmp_path / "index").items()}
    turned, plain = found["turned.jpg"], found["plain.png"]
    assert (turned["width"], turned["height"], turned["taken"]) == (20, 30, "2024-05-06 07:08:09")
    assert (plain["width"], plain["height"], plain["taken"]) == (5, 7, None)
    assert plain["modified"] == "2023-11-14 22:13:20.123456789"
    assert plain["bytes"] == (photos / "plain.png").stat().st_size
    assert len(plain["content"]) == 64
    with Index.open(tmp_path / "index") as index:
        mask = index.where("taken > '2024' AND width < height")
        assert mask.tolist() == [name == "turned.jpg" for name in index.ids()]


def test_nothing_is_encoded_where_nothing_changed(encoder, photos, index):
    with Index.open(index) as before:
        segments = before.segments
    assert update(encoder, photos, index) == (0, 0, 0, 0, 50, 0)
    assert encoder.images == 0
    with Index.open(index) as after:
        assert after.segments == segments


def test_an_index_follows_its_images(encoder, photos, index, tmp_path):
    for number in range(5):
        picture(photos / f"new{number}.png", 100 + number)
        picture(photos / f"{number:02}.png", 200 + number)  # changed
        (photos / f"{10 + number}.png").rename(photos / f"renamed {number}.png")
        (photos / f"{20 + number}.png").unlink()
        os.utime(photos / f"{30 + number}.png", ns=(0, 10**18 + number))
    assert update(encoder, photos, index) == IndexUpdate(5, 10, 5, 5, 30, 0)
    assert encoder.images == 10
    assert content(index) == anew(encoder, photos, tmp_path / "anew")


def test_names_that_trade_places_are_encoded_again(encoder, photos, index, tmp_path):
    os.rename(photos / "00.png", photos / "kept")  # noqa: PTH104
    os.rename(photos / "07.png", photos / "00.png")  # noqa: PTH104 (of the same height, so perhaps of the same size)
    os.rename(photos / "kept", photos / "07.png")  # noqa: PTH104
    update(encoder, photos, index)
    assert content(index) == anew(encoder, photos, tmp_path / "anew")


def test_one_image_becomes_several(encoder, photos, index, tmp_path):
    for number in range(3):
        shutil.copy(photos / "05.png", photos / f"copy {number}.png")
    (photos / "05.png").unlink()
    assert update(encoder, photos, index) == IndexUpdate(0, 0, 3, 0, 49, 0)
    assert encoder.images == 0
    assert content(index) == anew(encoder, photos, tmp_path / "anew")


def test_missing_images_are_kept_when_asked(encoder, photos, index):
    (photos / "05.png").unlink()
    assert update(encoder, photos, index, keep_missing=True) == IndexUpdate(0, 0, 0, 0, 49, 0)
    assert "05.png" in content(index)
    assert update(encoder, photos, index).removed == 1
    assert "05.png" not in content(index)


def test_images_that_cannot_be_read_are_listed_and_tried_again(encoder, photos, index, tmp_path):
    before = content(index)
    (photos / "broken.png").write_bytes(b"no picture")
    (photos / "05.png").write_bytes((photos / "05.png").read_bytes()[:300])
    assert update(encoder, photos, index) == IndexUpdate(0, 0, 0, 0, 49, 2)
    assert content(index)["05.png"] == before["05.png"]
    with Index.open(index) as opened:
        assert [name for name, _ in skipped_images(opened)] == ["05.png", "broken.png"]
    picture(photos / "broken.png", 1)
    picture(photos / "05.png", 2)
    assert update(encoder, photos, index) == IndexUpdate(1, 1, 0, 0, 49, 0)
    with Index.open(index) as opened:
        assert skipped_images(opened) == []
    assert content(index) == anew(encoder, photos, tmp_path / "anew")


def test_strict_stops_at_the_first_image_that_cannot_be_read(encoder, photos, index):
    (photos / "broken.png").write_bytes(b"no picture")
    (photos / "05.png").unlink()
    with pytest.raises(VtsearchError, match=r"images: .*broken\.png"):
        update(encoder, photos, index, strict=True)
    assert "05.png" in content(index)


@pytest.mark.parametrize("stop_after", [1, 2, 4])
def test_an_update_that_is_stopped_goes_on(encoder, photos, index, tmp_path, stop_after):
    class Stopping(NoProgress):
        left = stop_after

        def advance(self, images, seconds):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    for number in range(40):
        picture(photos / f"{number:02}.png", 300 + number)
    few = Counting(encoder.model)
    few._loaded = 8
    with pytest.raises(KeyboardInterrupt):
        update(few, photos, index, save=SavePolicy(images=16), progress=Stopping())
    assert few.images == 8 * stop_after
    done = update(encoder, photos, index)
    assert done.changed == 40 - 8 * stop_after
    assert content(index) == anew(encoder, photos, tmp_path / "anew")


@pytest.fixture
def classes(tmp_path):
    """A folder with a subfolder of images for each class."""
    for number in range(20):
        picture(tmp_path / "classes" / ("cat" if number % 2 else "dog") / f"{number}.png", number)
    return tmp_path / "classes"


def test_images_change_their_class_and_classes_come(encoder, classes, tmp_path):
    index = tmp_path / "index"
    encode_shard(encoder, select_images([str(classes)]), index)
    encoder.images = 0
    (classes / "dog/4.png").rename(classes / "cat/4.png")
    picture(classes / "bird/1.png", 99)  # before the others in the order of the classes
    assert update(encoder, classes, index) == IndexUpdate(1, 0, 1, 0, 19, 0)
    assert encoder.images == 1
    with Index.open(index) as opened:
        assert opened.classes == ("cat", "dog", "bird")
    assert content(index) == anew(encoder, classes, tmp_path / "anew")


def test_labels_of_a_table_change(encoder, photos, tmp_path):
    table, index = tmp_path / "table.csv", tmp_path / "index"
    rows = [f"{number:02}.png,{'cat' if number % 2 else 'dog'}" for number in range(50)]
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    options = {"data": str(photos)}
    encode_shard(encoder, select_images([str(table)], **options), index)
    encoder.images = 0
    rows[3], rows[8] = "03.png,dog", "08.png,bird"
    del rows[20]
    table.write_text("\n".join(["path,label", *rows]) + "\n")
    done = update_index(encoder, select_images([str(table)], **options), index)
    assert (done, encoder.images) == (IndexUpdate(0, 2, 0, 1, 47, 0), 0)
    found = content(index)
    assert (found["03.png"][1], found["08.png"][1], found["05.png"][1]) == ("dog", "bird", "cat")
    assert "20.png" not in found


def test_metadata_of_the_user_stay(encoder, photos, index):
    with Index.open(index) as opened:
        ids, metadata = opened.ids(), opened.metadata()
        opened.upsert(opened.codes(), ids, metadata={**metadata, "stars": [int(name[:2]) for name in ids]})
    picture(photos / "03.png", 7)
    (photos / "04.png").rename(photos / "renamed.png")
    picture(photos / "new.png", 8)
    assert update(encoder, photos, index) == IndexUpdate(1, 1, 1, 0, 48, 0)
    stars = {name: metadata["stars"] for name, (_, _, metadata) in content(index).items()}
    assert (stars["03.png"], stars["renamed.png"], stars["new.png"], stars["49.png"]) == (3, 4, None, 49)


def test_other_images_and_another_model_are_refused(encoder, photos, index, tmp_path):
    shutil.copytree(photos, tmp_path / "others")
    with pytest.raises(ValueError, match=r"output: .* is of other images .*; choose another folder, or --overwrite it"):
        update(encoder, tmp_path / "others", index)
    with Index.create(tmp_path / "foreign", 12) as foreign:
        foreign.add(np.zeros((1, 2), np.uint8))
        about = Index.open(index).description
        foreign.describe(about)
    with pytest.raises(VtsearchError, match="do not belong together"):
        update(encoder, photos, tmp_path / "foreign")


def test_named_files_come_to_those_that_are_there(encoder, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    index = tmp_path / "index"
    encode_shard(encoder, select_images(["00.png", "01.png"]), index)
    assert update_index(encoder, select_images(["02.png"]), index) == IndexUpdate(1, 0, 0, 0, 0, 0)
    assert list(content(index)) == ["00.png", "01.png", "02.png"]
    (photos / "00.png").unlink()
    assert update_index(encoder, select_images(["01.png"]), index).removed == 1


@pytest.mark.slow
def test_any_changes_are_followed(encoder, photos, index, tmp_path):
    chance = random.Random(0)
    for step in range(30):
        for number in range(chance.randrange(8)):
            names = sorted(path for path in photos.iterdir() if path.suffix == ".png")
            path = chance.choice(names)
            kind = chance.choice(["new", "change", "rename", "delete", "copy", "touch", "swap"])
            if kind == "new":
                picture(photos / f"{step}-{number}.png", 1000 * step + number)
            elif kind == "change":
                picture(path, 2000 * step + number)
            elif kind == "rename":
                path.rename(photos / f"r{step}-{number}.png")
            elif kind == "delete":
                path.unlink()
            elif kind == "copy":
                shutil.copy(path, photos / f"c{step}-{number}.png")
            elif kind == "touch":
                os.utime(path)
            else:
                other = chance.choice(names)
                path.rename(photos / "swap")
                if other.exists():
                    other.rename(path)
                (photos / "swap").rename(other)
        update(encoder, photos, index)
        assert content(index) == anew(encoder, photos, tmp_path / "anew")


def test_the_command_updates_and_watches(tiny_model, photos, tmp_path, capsys, monkeypatch):
    save_model(tiny_model, tmp_path / "model")
    words = ["encode", str(photos), "--model", str(tmp_path / "model"), "--output", str(tmp_path / "index")]
    assert main(words) == 0
    picture(photos / "new.png", 1)
    capsys.readouterr()
    assert main(words) == 0
    numbers = "1 added, 0 changed, 0 renamed, 0 removed, 50 unchanged"
    assert capsys.readouterr().out == f"{tmp_path / 'index'}: {numbers}\n"
    rounds = iter([list, (photos / "05.png").unlink, list])

    def sleep(_seconds):
        step = next(rounds, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr("vtsearch.cli.encode.pause", sleep)
    assert main([*words, "--watch", "5", "--workers", "0"]) == 130
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("0 added, 0 changed, 0 renamed, 0 removed, 51 unchanged")
    assert second.endswith("0 added, 0 changed, 0 renamed, 1 removed, 50 unchanged")
    assert main([*words, "--watch", "0"]) == 2
    assert "watch: expected seconds above 0 and up to 86,400, got 0.0" in capsys.readouterr().err
