from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from vtsearch.data.loading.augmentation import DRAWS, Augmentation
from vtsearch.data.loading.torch_dataset import ImageDataset, whole_batch
from vtsearch.data.sources.digits import DigitsSource
from vtsearch.tensors.preprocessing import Preprocessing

AUGMENTS = ["none", "flip", "flip+crop", "flip+resized_crop", "flip+rand", "resized_crop:0.5+trivial+erasing"]


def augmented(images, preprocessing, text, draws):
    """Both parts of the augmentation of a batch."""
    augmentation = Augmentation.parsed(text)
    return augmentation.apply(augmentation.resize(images, preprocessing), preprocessing, draws)


class ItemByItem:
    """The same images without the batched way in."""

    def __init__(self, source):
        self.labels, self.classes, self.load, self.id = source.labels, source.classes, source.load, source.id

    def __len__(self):
        return len(self.labels)


def build(augment="none", source=None, **options):
    source = source or DigitsSource()
    return ImageDataset(source, np.arange(100, 140), Preprocessing(16), augment=augment, **options)


@pytest.mark.parametrize("augment", AUGMENTS)
def test_batches_and_single_items_have_the_same_pixels(augment):
    data = build(augment)
    batch = data.__getitems__([3, 17, 0])
    for place, row in enumerate([3, 17, 0]):
        item = data[row]
        assert torch.equal(item.images, batch.images[place])
        assert (item.labels, item.positions) == (batch.labels[place], row)


@pytest.mark.parametrize("augment", AUGMENTS)
def test_sources_with_and_without_a_cache_have_the_same_pixels(augment):
    cached, plain = build(augment), build(augment, source=ItemByItem(DigitsSource()))
    assert torch.equal(cached.__getitems__(range(40)).images, plain.__getitems__(range(40)).images)


def test_items_are_pixels_labels_and_rows():
    batch = build().__getitems__([5, 6])
    assert batch.images.shape == (2, 3, 16, 16)
    assert (batch.images.dtype, batch.labels.dtype, batch.positions.dtype) == (torch.uint8, torch.int64, torch.int64)
    assert batch.labels.tolist() == DigitsSource().labels[105:107].tolist()
    assert batch.positions.tolist() == [5, 6]


def test_a_repeated_row_is_the_same_image_with_other_random_choices():
    plain, augmented = build(), build("flip+crop")
    rows = list(range(40))
    repeated = [row + 40 for row in rows]
    for left, right in zip(plain.__getitems__(rows), plain.__getitems__(repeated), strict=True):
        assert torch.equal(left, right)
    drawn = [augmented.__getitems__(each).images for each in (rows, repeated, [row + 80 for row in rows])]
    assert len({tuple(each.flatten().tolist()) for each in drawn}) == 3
    assert torch.equal(augmented.__getitems__([3, 47, 80]).images, torch.stack([drawn[0][3], drawn[1][7], drawn[2][0]]))


def test_label_columns_come_as_floats():
    source = DigitsSource()
    source.labels = np.eye(10, dtype=np.uint8)[source.labels]
    assert build(source=source)[0].labels.dtype == torch.float32


def test_an_epoch_draws_the_same_crops_after_a_resume():
    first, second = build("flip+crop", seed=4), build("flip+crop", seed=4)
    first.set_epoch(1)
    first.__getitems__(range(40))
    first.set_epoch(2)
    second.set_epoch(2)
    assert torch.equal(first.__getitems__(range(40)).images, second.__getitems__(range(40)).images)


@pytest.mark.parametrize("augment", AUGMENTS[1:])
def test_epochs_and_seeds_draw_differently(augment):
    data = build(augment)
    before = data.__getitems__(range(40)).images
    data.set_epoch(1)
    assert not torch.equal(data.__getitems__(range(40)).images, before)
    assert not torch.equal(build(augment, seed=1).__getitems__(range(40)).images, before)


def test_views_of_an_image_have_random_choices_of_their_own():
    data, single = build("flip+crop", seed=4, views=2), build("flip+crop", seed=4)
    for each in (data, single):
        each.set_epoch(3)
    batch, expected = data.__getitems__(range(40)), single.__getitems__(range(40))
    assert torch.equal(batch.images[:40], expected.images)
    assert not torch.equal(batch.images[40:], expected.images)
    assert torch.equal(batch.labels, expected.labels.repeat(2))
    assert torch.equal(batch.positions, expected.positions.repeat(2))
    assert torch.equal(data[7].images, expected.images[7])


def test_views_are_the_same_after_a_resume_and_in_any_batch():
    first, second = build("flip+crop", seed=4, views=2), build("flip+crop", seed=4, views=2)
    first.__getitems__(range(40))
    for each in (first, second):
        each.set_epoch(2)
    whole, part = first.__getitems__(range(40)), second.__getitems__([5, 3])
    assert torch.equal(part.images, whole.images[[5, 3, 45, 43]])
    first.set_epoch(1)
    assert not torch.equal(first.__getitems__(range(40)).images[40:], whole.images[40:])


def test_about_half_of_the_images_are_mirrored():
    plain, flipped = (build(augment).__getitems__(range(40)).images for augment in ("none", "flip"))
    same = (plain == flipped).flatten(1).all(1)
    mirrored = (plain.flip(-1) == flipped).flatten(1).all(1)
    assert (same | mirrored).all()
    assert 8 <= int(mirrored.sum()) <= 32


@pytest.mark.parametrize(
    ("augment", "least", "median", "farthest"),
    [("flip+resized_crop", 0.08, 0.54, 60), ("resized_crop:0.4+flip", 0.4, 0.7, 40)],
)
def test_a_resized_crop_shows_a_part_of_the_image(augment, least, median, farthest):
    """Of an image whose pixels are their places, a crop's corners tell which part it is."""
    preprocessing = Preprocessing(64, interpolation="bilinear")
    across, down = torch.meshgrid(torch.arange(120), torch.arange(120), indexing="xy")
    image = torch.stack([2 * across, 2 * down, across]).to(torch.uint8)
    draws = torch.rand(400, DRAWS, generator=torch.Generator().manual_seed(0))
    draws[:, 0] = 1.0  # none is mirrored
    crops = augmented(image.expand(400, -1, -1, -1), preprocessing, augment, draws).float()
    wide, tall = (crops[:, 0, 32, 63] - crops[:, 0, 32, 0]) / 2, (crops[:, 1, 63, 32] - crops[:, 1, 0, 32]) / 2
    area, shape = wide * tall / 120**2, wide / tall
    assert area.min() == pytest.approx(least, abs=0.02)
    assert area.median().item() == pytest.approx(median, abs=0.08)
    assert shape.quantile(0.02).item() == pytest.approx(3 / 4, abs=0.04)
    assert shape.quantile(0.98).item() == pytest.approx(4 / 3, abs=0.06)
    left = crops[:, 0, 32, 0] / 2
    assert left.min() < 3
    assert left.max() > farthest


def test_a_loader_gets_whole_batches():
    loader = DataLoader(build(), batch_size=16, collate_fn=whole_batch)
    assert [len(batch.positions) for batch in loader] == [16, 16, 8]
    assert torch.cat([batch.positions for batch in loader]).tolist() == list(range(40))


def test_workers_see_the_epoch():
    data = build("flip")
    loader = DataLoader(data, batch_size=40, num_workers=1, persistent_workers=True, collate_fn=whole_batch)
    for epoch in range(2):
        data.set_epoch(epoch)
        (batch,) = loader
        assert torch.equal(batch.images, data.__getitems__(range(40)).images)


@pytest.mark.parametrize("text", ["mirror", "flip+", "", "flip+flip", "crop+resized_crop", "rand+trivial", "none+flip"])
def test_what_is_no_augmentation_lists_the_parts(text):
    with pytest.raises(ValueError, match=r"augment: expected none, or joined by \+ any of flip, one of crop and"):
        build(text)


@pytest.mark.parametrize("area", ["", "0", "1", "1.5", "-0.1", "nan", "half", "8%"])
def test_a_crop_keeps_a_share_of_the_image(area):
    message = f"augment: expected a share of the image above 0 and below 1 after 'resized_crop:', got '{area}'"
    with pytest.raises(ValueError, match=f"^{message}$"):
        build(f"flip+resized_crop:{area}")


@pytest.mark.parametrize("text", ["crop:0.2", "crop+resized_crop:0.2", "resized_crop+resized_crop:0.2"])
def test_one_resized_crop_has_an_area(text):
    with pytest.raises(ValueError, match=r"^augment: expected none, or joined by"):
        build(text)


@pytest.mark.parametrize("text", ["rand", "trivial", "erasing"])
def test_an_images_distortions_depend_on_its_own_draws_alone(text):
    """Not on the batch, nor on torch's generator, which they leave as it was."""
    images = torch.randint(0, 256, (8, 3, 40, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    draws = torch.rand(8, DRAWS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    state = torch.get_rng_state()
    together = augmented(images, Preprocessing(40), text, draws)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(5)
    assert torch.equal(augmented(images[3:4], Preprocessing(40), text, draws[3:4]), together[3:4])
    assert not torch.equal(together, images)


def test_what_is_erased_has_the_mean_color():
    images = torch.zeros(200, 3, 40, 40, dtype=torch.uint8)
    draws = torch.rand(200, DRAWS, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    changed = augmented(images, Preprocessing(40, mean=(0.2, 0.4, 0.6)), "erasing", draws)
    values = changed.flatten(2).unique(dim=2).flatten(1).unique()
    assert values.tolist() == [0, 51, 102, 153]
    erased = (changed != 0).flatten(1).any(dim=1).double().mean()
    assert 0.15 < erased < 0.35


def test_positions_outside_the_source_are_refused():
    with pytest.raises(ValueError, match="positions: expected 0 to 1796, got 3 to 1797"):
        ImageDataset(DigitsSource(), np.array([3, 1797]), Preprocessing(16))


def test_the_length_is_known_and_kept():
    assert len(build()) == 40
    with pytest.raises(IndexError):
        build()[40]
