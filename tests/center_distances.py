"""Distances between class centers, for tests of their constructions."""

from __future__ import annotations


def minimum_distance(centers):
    """The smallest Hamming distance between two rows of -1 and +1; the number of bits if there is only one row."""
    bits = centers.shape[1]
    products = centers.double() @ centers.double().T
    products.fill_diagonal_(-bits)
    return int((bits - products.max()) / 2)
