from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from golden_losses import CASES, PRECISIONS, both_labels

from vtsearch.frameworks import discrete_descent
from vtsearch.frameworks.adsh import ADSH, ADSHOptions

ABSOLUTE = {"epochs_per_sample": 1, "classification_scale": "absolute"}


class Plain:
    """The papers' formulas in numpy, entry by entry where that is the clearest, with the whole of S."""

    def __init__(self, labels, sample, outputs, *weights):
        self.labels, self.sample, self.outputs = (np.array(part, dtype=float) for part in (labels, sample, outputs))
        self.sample = self.sample.astype(int)
        self.gamma, self.mu, self.nu = weights
        similar = np.array([[float(a @ b > 0) for b in self.labels] for a in self.labels[self.sample]])
        self.ratio = similar.sum() / (1 - similar).sum()
        self.similarity = np.where(similar == 1, 1.0, -self.ratio)

    def objective(self, codes, classifier):
        bits = codes.shape[1]
        return (
            ((self.outputs @ codes.T - bits * self.similarity) ** 2).sum()
            + self.gamma * ((codes[self.sample] - self.outputs) ** 2).sum()
            + self.mu * ((self.labels - codes @ classifier) ** 2).sum()
            + self.nu * (classifier**2).sum()
        )

    def classifier(self, codes):
        if not self.mu:
            return np.zeros((codes.shape[1], self.labels.shape[1]))
        gram = codes.T @ codes + self.nu / self.mu * np.eye(codes.shape[1])
        return np.linalg.solve(gram, codes.T @ self.labels)

    def sweep(self, codes, classifier):
        """Both values of each entry are tried, and the better one is kept, bit after bit."""
        codes = codes.copy()
        for bit, row in itertools.product(range(codes.shape[1]), range(len(codes))):
            tried = []
            for value in (-1.0, 1.0):
                codes[row, bit] = value
                tried.append(self.objective(codes, classifier))
            codes[row, bit] = 1.0 if tried[1] < tried[0] else -1.0
        return codes


def built(labels, sample, codes, dtype=torch.float64, **options):
    """A framework with these codes that takes this sample."""
    labels, codes = torch.as_tensor(labels), torch.as_tensor(codes)
    framework = ADSH(codes.shape[1], labels.shape[1], len(codes), ADSHOptions(sample=len(sample), **options)).to(dtype)
    framework.set_train_labels(labels)
    framework.codes.copy_(codes)
    framework.sample_positions = lambda _: torch.as_tensor(sample)
    return framework


def stepped(framework, outputs, epoch=0):
    """The loss and its gradient by the outputs when the network puts these out for the sample, in one batch."""
    outputs, sample = torch.as_tensor(outputs).to(framework.codes.dtype), framework.sample_positions(epoch)
    features = outputs.atanh().requires_grad_()
    framework.start_epoch(epoch)
    loss = framework(features, framework.labels[sample], sample)
    loss.backward()
    framework.end_epoch(epoch)
    return loss.item(), features.grad / (1 - outputs**2)


def golden(name, labels, dtype=torch.float64, tolerance=1e-10, **options):
    case = CASES[name, labels]
    state = case["state"]
    before, after = (state.get(f"V_{when}", state.get(f"B_{when}")) for when in ("before", "after"))
    framework = built(state["database_labels"], state["omega"], before, dtype, quantization=200, **ABSOLUTE, **options)
    loss, gradient = stepped(framework, torch.tensor(state["U"], dtype=torch.float64))
    plain = Plain(state["database_labels"], state["omega"], state["U"], 200.0, *framework.weights())
    np.testing.assert_array_equal(framework.codes, after)
    similarity = discrete_descent.soft_similarity(framework.labels[state["omega"]], framework.labels, framework.ratio)
    np.testing.assert_allclose(similarity, state["S_soft"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(plain.similarity, state["S_soft"], rtol=0, atol=1e-10)
    return case, framework, plain, loss, gradient


@pytest.mark.parametrize(("dtype", "tolerance"), PRECISIONS)
@pytest.mark.parametrize(
    ("name", "labels"), both_labels("ADSH_original_V0_zeros", "ADSH_original_V0_signs", "ADSH_treezzz")
)
def test_without_classification_loss_gradient_and_codes_are_the_published_ones(name, labels, dtype, tolerance):
    case, framework, plain, loss, gradient = golden(name, labels, dtype, tolerance, classification=0.0)
    assert loss == pytest.approx(case["steps"][0]["loss"], rel=tolerance)
    if "grad" in case["steps"][0]:
        np.testing.assert_allclose(gradient, case["steps"][0]["grad"], rtol=tolerance, atol=tolerance)
    after = plain.objective(framework.codes.numpy(), framework.classifier.numpy())
    assert after / (6 * 12) == pytest.approx(case["state"]["objective_after"], rel=1e-10)


@pytest.mark.parametrize(("name", "labels"), both_labels("ADSHT_author_with_classification"))
def test_classifier_and_codes_of_the_published_byte_code(name, labels):
    case, framework, plain, _, _ = golden(name, labels, classification=10.0, ridge=1.0, code_step="published")
    np.testing.assert_allclose(framework.classifier, case["state"]["W"], rtol=0, atol=1e-10)
    classifier = framework.classifier.numpy()
    for when, codes in (("before", np.array(case["state"]["B_before"])), ("after", framework.codes.numpy())):
        # what the authors report weighs the terms in another way than what their step minimizes
        plain.mu, plain.nu = 10.0 * 6, 1.0 * 6 * 12 / 8
        reported = plain.objective(codes, classifier) / (6 * 12)
        assert reported == pytest.approx(case["state"][f"objective_{when}"], rel=1e-10)


@pytest.mark.parametrize(("name", "labels"), both_labels("ADSH_classification_consistent"))
def test_the_exact_step_is_the_derived_one_and_the_objective_falls_with_each_bit(name, labels):
    case, framework, plain, _, _ = golden(name, labels, classification=50.0, ridge=1.0)
    np.testing.assert_allclose(framework.classifier, case["state"]["W"], rtol=0, atol=1e-10)
    codes, after, classifier = (
        np.array(case["state"]["V_before"]),
        framework.codes.numpy(),
        framework.classifier.numpy(),
    )
    path = [plain.objective(codes, classifier)]
    for bit in range(8):
        codes[:, bit] = after[:, bit]
        path.append(plain.objective(codes, classifier))
    assert path == pytest.approx(case["state"]["objective_path"], rel=1e-10)
    assert all(later < earlier for earlier, later in itertools.pairwise(path))


def test_all_published_cases_are_covered():
    assert len([name for name, _ in CASES if name.startswith("ADSH")]) == 10


def drawn(seed, n=14, m=6, bits=5, classes=3):
    random = np.random.default_rng(seed)
    labels = random.integers(0, 2, (n, classes))
    labels[0], labels[1] = [1, 0, 0], [0, 1, 0]  # a pair that shares none
    sample = np.sort(random.permutation(n)[:m])
    return labels, sample, np.tanh(random.standard_normal((m, bits))), random.choice([-1.0, 1.0], (n, bits))


@pytest.mark.parametrize("mu", [0.0, 2.0, 300.0])
@pytest.mark.parametrize("seed", range(5))
def test_a_step_is_that_of_a_search_over_every_entry(seed, mu):
    labels, sample, outputs, codes = drawn(seed)
    framework = built(labels, sample, codes, quantization=7.0, classification=mu, ridge=0.5, **ABSOLUTE)
    loss, gradient = stepped(framework, outputs)
    plain = Plain(labels, sample, outputs, 7.0, mu, 0.5)
    classifier = plain.classifier(codes)
    np.testing.assert_allclose(framework.classifier, classifier, rtol=0, atol=1e-10)
    np.testing.assert_array_equal(framework.codes, plain.sweep(codes, classifier))
    plain.mu = plain.nu = 0.0
    assert loss == pytest.approx(plain.objective(codes, classifier) / (len(sample) * len(codes)), rel=1e-12)
    wanted = (outputs @ codes.T - 5 * plain.similarity) @ codes - 7.0 * (codes[sample] - outputs)
    np.testing.assert_allclose(gradient, 2 * wanted / (len(sample) * len(codes)), rtol=0, atol=1e-12)


def test_the_classifier_is_the_least_squares_one():
    labels, _, _, codes = drawn(3)
    codes, labels = torch.tensor(codes), torch.tensor(labels, dtype=torch.float64)
    classifier = discrete_descent.least_squares_classifier(codes, labels, 0.5).requires_grad_()
    ((labels - codes @ classifier).square().sum() + 0.5 * classifier.square().sum()).backward()
    np.testing.assert_allclose(classifier.grad, 0, atol=1e-12)


def test_bits_that_are_alike_do_not_break_the_classifier():
    codes = torch.ones(100_000, 64)
    codes[::2] = -1
    labels = torch.stack([codes[:, 0] > 0, codes[:, 0] < 0], dim=1).float()
    classifier = discrete_descent.least_squares_classifier(codes, labels, 1e-4)
    assert torch.allclose(codes[:2] @ classifier, labels[:2] - 0.5, atol=1e-3)


def test_a_bit_that_nothing_pulls_stays_what_it_was():
    codes = torch.tensor([[1.0, -1.0, 0.0, 0.3, -0.3]])
    still = discrete_descent.coordinate_descent(codes, torch.zeros(1, 5), torch.zeros(5, 5))
    assert still.tolist() == [[1.0, -1.0, -1.0, 1.0, -1.0]]


def test_sums_over_blocks_are_those_over_the_whole(monkeypatch):
    labels, sample, outputs, _ = drawn(4)
    labels, outputs = torch.tensor(labels, dtype=torch.float64), torch.tensor(outputs)
    mine = labels[sample]
    ratio = discrete_descent.similarity_ratio(mine, labels)
    whole = discrete_descent.soft_similarity(mine, labels, ratio)
    assert whole.sum().item() == pytest.approx(0.0, abs=1e-12)
    monkeypatch.setattr(discrete_descent, "BLOCK", 20)
    assert torch.equal(discrete_descent.similarity_ratio(mine, labels), ratio)
    pulled = discrete_descent.pulled_by_similarity(outputs, mine, labels, ratio)
    np.testing.assert_allclose(pulled, whole.T @ outputs, rtol=0, atol=1e-12)


def test_a_database_where_all_share_a_label_has_a_similarity_too():
    everything = torch.ones(3, 1)
    assert discrete_descent.similarity_ratio(everything, everything).item() == 0.0


def test_samples_differ_are_kept_for_their_epochs_and_follow_from_the_seed():
    def samples(seed):
        framework = ADSH(4, 2, 50, ADSHOptions(sample=10, epochs_per_sample=3), seed)
        return [framework.sample_positions(epoch).tolist() for epoch in range(6)]

    first = samples(0)
    assert first[0] == first[1] == first[2] != first[3] == first[4]
    assert first == samples(0) != samples(1)
    assert all(row == sorted(set(row)) and len(row) == 10 for row in first)


def test_a_sample_is_at_most_the_database():
    assert ADSH(4, 2, 7).sample_positions(5).tolist() == list(range(7))


def test_codes_move_after_the_last_epoch_of_a_sample_alone():
    labels, sample, outputs, codes = drawn(5)
    framework = built(labels, sample, codes, epochs_per_sample=3)
    moved = []
    for epoch in range(6):
        before = framework.codes.clone()
        stepped(framework, outputs if epoch < 3 else -outputs, epoch)
        moved.append(not torch.equal(framework.codes, before))
    assert moved == [False, False, True, False, False, True]


def test_only_the_outputs_of_the_last_sample_are_known():
    labels, sample, outputs, codes = drawn(6)
    framework = built(labels, sample, codes, epochs_per_sample=1)
    stepped(framework, outputs)
    others = np.setdiff1d(np.arange(14), sample)[:6]
    framework.sample_positions = lambda _: torch.as_tensor(others)
    stepped(framework, outputs, epoch=1)
    assert framework.outputs[sample].abs().sum() == 0
    np.testing.assert_allclose(framework.outputs[others], outputs)


def test_relative_weights_grow_with_the_sample():
    assert ADSH(4, 2, 50, ADSHOptions(sample=10, classification=0.5, ridge=2.0)).weights() == (5.0, 20.0)
    assert ADSH(4, 2, 5, ADSHOptions(sample=10, classification=0.5, ridge=2.0)).weights() == (2.5, 10.0)
    assert ADSH(4, 2, 5, ADSHOptions.published()).weights() == (10.0, 1.0)


@pytest.mark.parametrize(("start", "values"), [("signs", {-1.0, 1.0}), ("zeros", {0.0})])
def test_codes_start_as_asked(start, values):
    assert set(ADSH(4, 2, 50, ADSHOptions(start=start)).database_codes().flatten().tolist()) == values


def test_normal_codes_start_differently_with_every_seed():
    codes = [ADSH(4, 2, 50, ADSHOptions(start="normal"), seed).codes for seed in (0, 0, 1)]
    assert torch.equal(codes[0], codes[1])
    assert not torch.equal(codes[0], codes[2])


def test_a_database_without_labels_is_refused():
    with pytest.raises(ValueError, match="labels: expected those of the database from set_train_labels, got none"):
        ADSH(4, 2, 5).start_epoch(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantization": -1}, "quantization: expected at least 0, got -1"),
        ({"classification": -1}, "classification: expected at least 0, got -1"),
        ({"ridge": 0}, "ridge: expected a number above 0, got 0"),
        ({"sample": 0}, "sample: expected at least 1, got 0"),
        ({"epochs_per_sample": 0}, "epochs_per_sample: expected at least 1, got 0"),
        ({"classification_scale": "big"}, "classification_scale: expected one of sample, absolute, got 'big'"),
        ({"start": "ones"}, "start: expected one of signs, zeros, normal, got 'ones'"),
        ({"code_step": "best"}, "code_step: expected one of exact, published, got 'best'"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(ValueError) as error:
        ADSHOptions(**changes)
    assert str(error.value) == message
