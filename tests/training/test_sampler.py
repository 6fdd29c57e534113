from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from vtsearch.data.loading.loader import worker_count
from vtsearch.errors import VtsearchError
from vtsearch.training.sampler import EpochSampler, derived_seed, rows_of_classes, windows


def rows(batches, epoch=0, first=0):
    batches.epoch, batches.first = epoch, first
    return list(batches)


def test_an_epoch_has_every_row_once():
    batches = EpochSampler(23, 5, seed=0)
    assert len(batches) == 5
    assert sorted(row for batch in rows(batches) for row in batch) == list(range(23))


def test_epochs_and_seeds_have_orders_of_their_own():
    first = rows(EpochSampler(50, 50, seed=0))
    assert rows(EpochSampler(50, 50, seed=0), epoch=1) != first
    assert rows(EpochSampler(50, 50, seed=1)) != first


def test_an_epoch_visits_the_rows_that_it_is_told():
    batches = EpochSampler(23, 5, seed=0, visited=lambda epoch: torch.arange(epoch, 23, 2) if epoch else None)
    assert [(batches.size(epoch), batches.batches_of(batches.size(epoch))) for epoch in (0, 1, 13)] == [
        (23, 5),
        (11, 3),
        (5, 1),
    ]
    assert sorted(row for batch in rows(batches, epoch=1) for row in batch) == list(range(1, 23, 2))
    assert len(batches) == 3
    assert rows(batches, epoch=1, first=2) == rows(batches, epoch=1)[2:]
    assert rows(batches) == rows(EpochSampler(23, 5, seed=0))


@pytest.mark.parametrize("first", range(6))
def test_the_rest_of_an_epoch_does_not_depend_on_where_it_is_taken_up(first):
    whole = rows(EpochSampler(23, 5, seed=3), epoch=2)
    assert rows(EpochSampler(23, 5, seed=3), epoch=2, first=first) == whole[first:]


def test_processes_share_an_epoch_without_repeats_and_take_equally_many_steps():
    shares = [rows(EpochSampler(23, 4, seed=0, process=process, processes=3)) for process in range(3)]
    assert [len(share) for share in shares] == [2, 2, 2]
    taken = [row for share in shares for batch in share for row in batch]
    assert len(taken) == len(set(taken)) == 21


@pytest.mark.parametrize(("begun_by", "size"), [(1, 12), (2, 6), (4, 3), (12, 1)])
@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_another_number_of_processes_takes_over_the_steps_of_a_run(begun_by, size, processes):
    begun = [EpochSampler(54, size, seed=0, process=each, processes=begun_by) for each in range(begun_by)]
    others = [EpochSampler(54, size, seed=0, process=each, processes=processes) for each in range(processes)]
    for other in others:
        other.take_over(begun_by, epochs=2)
        assert other.batches_of(54) == begun[0].batches_of(54)
    for before, after in zip(steps(begun), steps(others), strict=True):
        assert after <= before
        assert len(before) - len(after) == len(before) % processes


def steps(samplers):
    """The rows that all processes take in each step, from the third."""
    shares = [rows(sampler, epoch=1, first=2) for sampler in samplers]
    return [set(itertools.chain(*step)) for step in zip(*shares, strict=True)]


@pytest.mark.parametrize(("processes", "all_rows"), [(5, 60), (6, 62)])
def test_steps_that_cannot_be_divided_are_refused(processes, all_rows):
    sampler = EpochSampler(all_rows, 6, seed=0, processes=processes)  # the last step of 62 has two rows
    with pytest.raises(VtsearchError, match=rf"started with 2, .* 12 images a step .*, got {processes}$"):
        sampler.take_over(2, epochs=1)


LABELS = torch.tensor([0] * 70 + [1] * 20 + [3] * 10)
"""Three classes of different sizes, and one without images."""


def balanced(**options):
    return EpochSampler(100, 12, classes=rows_of_classes(LABELS), **options)


def test_each_class_has_an_equal_share_of_a_balanced_epoch():
    drawn = [np.concatenate(rows(balanced(seed=seed), epoch)) for seed in (0, 1) for epoch in (0, 1)]
    for order in drawn:
        assert len(order) == 100
        counts = torch.bincount(LABELS[order % 100]).tolist()
        assert counts[2] == 0
        assert {counts[0], counts[1], counts[3]} == {33, 34}
        for first in range(0, 90, 30):  # evenly from the beginning to the end
            assert min(torch.bincount(LABELS[order[first : first + 30] % 100])[[0, 1, 3]].tolist()) >= 9
    assert len({tuple(order) for order in drawn}) == 4


def test_images_of_a_class_come_again_after_all_others():
    order = np.concatenate(rows(balanced(seed=0)))
    assert len(set(order.tolist())) == 100  # a repeat has a number of its own
    for label, size in ((0, 70), (1, 20), (3, 10)):
        drawn = order[(LABELS[order % 100] == label).numpy()]
        np.testing.assert_array_equal(drawn // 100, np.arange(len(drawn)) // size)
        for turn in range(0, len(drawn), size):
            assert len(set(drawn[turn : turn + size] % 100)) == len(drawn[turn : turn + size])


def test_processes_share_a_balanced_epoch_which_is_taken_up_anywhere():
    whole = rows(balanced(seed=3), epoch=2)
    halves = [
        rows(EpochSampler(100, 6, seed=3, process=p, processes=2, classes=balanced(seed=3).classes), 2) for p in (0, 1)
    ]
    for step, *parts in zip(whole, *halves, strict=True):
        assert sorted(step) == sorted([*parts[0], *parts[1]])
    assert rows(balanced(seed=3), epoch=2, first=4) == whole[4:]


def test_an_image_with_several_labels_is_one_of_each_class():
    labels = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert [rows.tolist() for rows in rows_of_classes(labels)] == [[0, 1], [0]]
    order = np.concatenate(rows(EpochSampler(3, 3, seed=0, classes=rows_of_classes(labels))))
    assert set((order % 3).tolist()) <= {0, 1}
    assert len(set(order.tolist())) == 3


def test_a_window_is_some_batches_and_no_more_are_read_for_it():
    left = iter(range(7))
    found = windows(left, 3)
    assert next(found) == [0, 1, 2]
    assert next(left) == 3
    assert list(found) == [[4, 5, 6]]
    assert list(windows(range(7), 3))[-1] == [6]


def test_derived_seeds_differ_in_every_word():
    assert len({derived_seed(0, 1, 2), derived_seed(1, 1, 2), derived_seed(0, 2, 2), derived_seed(0, 1, 3)}) == 4


def test_a_cpu_loads_for_itself_unless_asked():
    assert worker_count(torch.device("cpu"), None) == 0
    assert worker_count(torch.device("cpu"), 3) == 3
    assert 1 <= worker_count(torch.device("cuda"), None) <= 8
