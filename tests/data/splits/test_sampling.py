from __future__ import annotations

import numpy as np
import pytest

from vtsearch.data.splits.sampling import draw, draw_by_quotas, draw_by_sizes


def several(n=400, seed=0):
    columns = (np.random.default_rng(seed).random((n, 5)) < 0.3).astype(np.uint8)
    columns[np.arange(n), np.arange(n) % 5] = 1
    return columns


def walk(labels, queries, train, seed):
    """The published walk, image by image and label by label."""
    left = {column: [train, queries] for column in range(labels.shape[1])}
    role = {}
    for item in np.random.Generator(np.random.PCG64(seed)).permutation(len(labels)).tolist():
        for column in np.flatnonzero(labels[item]).tolist():
            if left[column][0] > 0:
                left[column][0] -= 1
                role[item] = "train"
            elif left[column][1] > 0:
                left[column][1] -= 1
                role[item] = "query"
            else:
                continue
            break
    return {part: sorted(item for item, its in role.items() if its == part) for part in ("query", "train")}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_quotas_are_filled_as_the_published_walk_fills_them(seed):
    labels = several()
    split = draw_by_quotas(labels, queries_per_class=6, train_per_class=20, database="rest+train", seed=seed)
    expected = walk(labels, 6, 20, seed)
    assert split.query.tolist() == expected["query"]
    assert split.train.tolist() == expected["train"]
    assert (len(split.query), len(split.train)) == (30, 100)
    assert split.database.tolist() == sorted(set(range(400)) - set(expected["query"]))


def test_quotas_take_class_numbers_too():
    numbers = np.arange(60) % 3
    split = draw_by_quotas(numbers, queries_per_class=2, train_per_class=5, database="rest")
    assert np.bincount(numbers[split.query]).tolist() == [2, 2, 2]
    assert np.bincount(numbers[split.train]).tolist() == [5, 5, 5]
    assert len(split.database) == 60 - 21


def test_quotas_that_leave_no_query_are_refused():
    with pytest.raises(ValueError, match="50 training and 1 query places per class leave no query"):
        draw_by_quotas(several(20), queries_per_class=1, train_per_class=50, database="rest")


def test_sizes_are_those_of_a_permutation():
    split = draw_by_sizes(50, queries=5, train=20, database="rest", seed=7)
    order = np.random.Generator(np.random.PCG64(7)).permutation(50)
    assert split.train.tolist() == sorted(order[:20].tolist())
    assert split.query.tolist() == sorted(order[20:25].tolist())
    assert split.database.tolist() == sorted(order[25:].tolist())
    assert len(draw_by_sizes(50, queries=5, train=20, database="rest+train").database) == 45
    assert draw_by_sizes(25, queries=5, train=20, database="train").database.tolist()


def test_too_few_images_for_the_sizes_are_refused():
    with pytest.raises(ValueError, match=r"set: 25 images, and 26 are needed \(5 query and 20 train\)"):
        draw_by_sizes(25, queries=5, train=20, database="rest", name="set")


def test_a_rule_is_chosen_by_its_name():
    labels = several()
    names = tuple("abcde")
    for rule in ("classes", "quotas", "sizes"):
        split = draw(rule, labels, names, queries=5, train=10, database="rest", seed=3)
        many = 1 if rule == "sizes" else 5
        assert (len(split.query), len(split.train)) == (5 * many, 10 * many)
        assert split == draw(rule, labels, names, queries=5, train=10, database="rest", seed=3)
        assert split != draw(rule, labels, names, queries=5, train=10, database="rest", seed=4)
    with pytest.raises(ValueError, match="class 'a' has"):
        draw("classes", labels, names, queries=5, train=1000, database="rest")
