"""Forecasts: against dense matrices, against the last value seen, and at the edges."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from pruning.forecast.gaussian import Forecast
from pruning.forecast.hyperparameters import begin, fitted, restore
from pruning.forecast.keeping import worth_keeping
from pruning.forecast.kernel import FreezeThaw
from pruning.forecast.kinds import Kind, fit, forecast
from pruning.forecast.model import Coregionalized
from pruning.forecast.scale import Standardize
from pruning.forecast.structure import NegativeLogLikelihood

Floats = npt.NDArray[np.float64]

KINDS: tuple[Kind, ...] = get_args(Kind)
SIZES = [(1, 1), (1, 4), (2, 3), (4, 1), (5, 6), (12, 3)]


def a_model(measurements: int, units: int, seed: int, process: Any = "lmc") -> Coregionalized:
    """Random measurements at random times, random hyperparameters."""
    draw = np.random.default_rng([measurements, units, seed])
    times = np.sort(draw.random(measurements))
    model = Coregionalized(
        torch.tensor(times), torch.tensor(draw.normal(size=(measurements, units))), process
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.tensor(draw.normal(size=parameter.shape)))
    return model


def over_time(model: Coregionalized, one: Floats, other: Floats) -> Floats:
    """The time kernel of a model, written out."""
    alpha, beta, asymptote = (
        part.item() for part in (model.kernel.alpha, model.kernel.beta, model.kernel.asymptote)
    )
    return np.asarray((beta / (one[:, None] + other[None, :] + beta)) ** alpha + asymptote)


def dense(model: Coregionalized, at: float) -> tuple[float, Floats, Floats]:
    """-log likelihood, posterior mean and covariance by matrices of all measurements."""
    w, kappa, noise = (part.detach().numpy() for part in (model.w, model.kappa, model.noise))
    between = np.outer(w, w) + np.diag(kappa)
    times, then = model.times[:, 0].numpy(), np.array([at])
    measured = model.measured.numpy().reshape(-1)
    all_of_it = np.kron(over_time(model, times, times), between) + noise * np.eye(len(measured))
    cross = np.kron(over_time(model, then, times), between)
    before = np.kron(over_time(model, then, then), between)
    loss = 0.5 * (
        measured @ np.linalg.solve(all_of_it, measured)
        + np.linalg.slogdet(all_of_it)[1]
        + len(measured) * np.log(2 * np.pi)
    )
    mean = cross @ np.linalg.solve(all_of_it, measured)
    return float(loss), mean, before - cross @ np.linalg.solve(all_of_it, cross.T)


def made_by_the_model(seed: int, units: int = 40, seen: int = 8) -> tuple[Floats, Floats, Floats]:
    """Noisy freeze-thaw curves that share a part: times, what is measured, how they end."""
    draw = np.random.default_rng(seed)
    times = np.append(np.arange(1, seen + 1) / 20, 1.0)
    time = 0.5 + 0.2 / (times[:, None] + times[None, :] + 0.2)
    root = np.linalg.cholesky(time + 1e-10 * np.eye(len(times)))
    shared = np.outer(root @ draw.normal(size=len(times)), draw.normal(size=units))
    curves = 0.6 * shared + 0.8 * root @ draw.normal(size=(len(times), units))
    measured = curves[:-1] + 0.4 * draw.normal(size=(seen, units))
    return times[:-1], 3e-4 * (5 + measured), 3e-4 * (5 + curves[-1])


def rank_correlation(one: Floats, other: Floats) -> float:
    """Spearman's, of values without ties."""
    places = (values.argsort().argsort() for values in (one, other))
    return float(np.corrcoef(*places)[0, 1])


@pytest.mark.parametrize("process", ["lmc", "independent"])
@pytest.mark.parametrize(("measurements", "units"), SIZES)
def test_likelihood_and_posterior_are_those_of_dense_matrices(
    measurements: int, units: int, process: str
) -> None:
    for seed in range(4):
        model = a_model(measurements, units, seed, process)
        loss, mean, covariance = dense(model, 1.0)
        assert model.negative_log_likelihood().item() == pytest.approx(loss, rel=1e-9)
        with torch.no_grad():
            found = Forecast(*(part.numpy() for part in model.at(1.0)))
        np.testing.assert_allclose(found.mean, mean, rtol=0, atol=1e-7)
        written_out = found.factor.T @ found.factor + np.diag(found.own)
        np.testing.assert_allclose(written_out, covariance, rtol=0, atol=1e-7)
        np.testing.assert_allclose(found.deviation, np.sqrt(np.diag(covariance)), atol=1e-6)


@pytest.mark.parametrize(("measurements", "units"), SIZES)
def test_gradient_of_the_likelihood(measurements: int, units: int) -> None:
    """Also where the smallest eigenvalues of twelve times are equal but for rounding errors."""
    model = a_model(measurements, units, 0)

    def loss(alpha: Tensor, beta: Tensor, asymptote: Tensor, *rest: Tensor) -> Tensor:
        total = model.times + model.times.mT
        time = (-alpha.exp() * torch.log1p(total / beta.exp())).exp() + asymptote.exp()
        w, kappa, noise = rest
        found: Tensor = NegativeLogLikelihood.apply(
            time, w, kappa.exp(), noise.exp(), model.measured
        )
        return found

    kernel = model.kernel
    hyperparameters = (
        kernel.raw_alpha,
        kernel.raw_beta,
        kernel.raw_asymptote,
        model.w,
        model.raw_kappa,
        model.raw_noise,
    )
    assert torch.autograd.gradcheck(loss, hyperparameters)


def test_the_kernel_is_one_of_gpytorch() -> None:
    kernel = FreezeThaw()
    times = torch.tensor([[0.1], [0.4], [0.9]], dtype=torch.float64)
    by_hand = 1 / (times + times.mT + 1) + 1  # alpha = beta = asymptote = 1
    torch.testing.assert_close(kernel(times).to_dense(), by_hand)
    torch.testing.assert_close(kernel(times, diag=True), by_hand.diagonal())
    assert kernel(times, times[:1]).shape == (3, 1)


def test_samples_have_the_mean_and_the_covariance_of_the_posterior() -> None:
    model = a_model(4, 5, 1)
    _, mean, covariance = dense(model, 1.0)
    with torch.no_grad():
        found = Forecast(*(part.numpy() for part in model.at(1.0)))
    count = 100_000
    drawn = found.samples(count, np.random.default_rng(0))
    assert drawn.shape == (count, 5)
    error = np.sqrt(np.diag(covariance) / count)
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * error).all()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert (np.abs(np.cov(drawn.T) - covariance) < 5 * np.sqrt(2 / count) * scale).all()


def test_the_hyperparameters_are_better_than_those_around_them() -> None:
    times, measured, _ = made_by_the_model(0)
    values = torch.tensor((measured - measured.mean()) / measured.std())
    model = Coregionalized(torch.tensor(times), values)

    def loss() -> float:
        return (model.negative_log_likelihood() + model.negative_log_prior()).item()

    begin(model)
    first = loss()
    found = fitted(model)
    best = loss()
    assert best < first - 10
    for seed in range(20):
        draw = torch.Generator().manual_seed(seed)
        noise = {n: torch.randn(v.shape, generator=draw) for n, v in found.items()}
        restore(model, {name: value + 0.3 * noise[name] for name, value in found.items()})
        assert loss() > best


@pytest.mark.parametrize("standardize", get_args(Standardize))
@pytest.mark.parametrize("kind", ["lmc", "independent"])
def test_curves_made_by_the_model_are_forecast_better_than_by_the_last_value(
    kind: Kind, standardize: Standardize
) -> None:
    order: dict[str, list[float]] = {kind: [], "last": []}
    error: dict[str, list[float]] = {kind: [], "last": []}
    misses = []
    for seed in range(12):
        times, measured, end = made_by_the_model(seed)
        for name in (kind, "last"):
            found = forecast(times, measured, 1.0, name, standardize)
            order[name].append(rank_correlation(found.mean, end))
            error[name].append(float(np.square(found.mean - end).mean()))
            if name == kind:
                misses.append(np.square((found.mean - end) / found.deviation).mean())
    assert np.mean(order[kind]) > np.mean(order["last"]) + 0.05
    assert np.mean(error[kind]) < 0.7 * np.mean(error["last"])
    assert 0.5 < np.mean(misses) < 3  # the deviations are about right


def test_what_is_shared_helps() -> None:
    """Few measurements, a strong common part: the joint process forecasts the values better."""
    error: dict[str, list[float]] = {"lmc": [], "independent": []}
    for seed in range(8):
        draw = np.random.default_rng(seed)
        times = np.arange(1, 7) / 12
        weights = draw.normal(size=30)
        curve = np.exp(-4 * np.append(times, 1.0))
        curves = np.outer(curve, weights) + 0.02 * draw.normal(size=30)
        measured = curves[:-1] + 0.1 * draw.normal(size=(6, 30))
        for kind in ("lmc", "independent"):
            found = forecast(times, measured, 1.0, kind, "layer")
            error[kind].append(float(np.square(found.mean - curves[-1]).mean()))
    assert np.mean(error["lmc"]) < np.mean(error["independent"])


EDGES: dict[str, Floats] = {
    "one measurement": np.random.default_rng(0).random((1, 7)),
    "two measurements": np.random.default_rng(0).random((2, 7)),
    "one unit": np.random.default_rng(0).random((5, 1)),
    "one of each": np.array([[0.3]]),
    "two units": np.random.default_rng(0).random((5, 2)),
    "all equal": np.full((5, 7), 0.1),
    "all zero": np.zeros((5, 7)),
    "equal in the last": np.vstack([np.random.default_rng(0).random((4, 7)), np.full(7, 0.1)]),
    "equal in the first": np.vstack([np.full(7, 0.1), np.random.default_rng(0).random((4, 7))]),
    "constant in time": np.tile(np.arange(7.0), (5, 1)),
    "wide": 10 ** np.random.default_rng(0).uniform(-8, 0, (5, 7)),
    "one far away": np.eye(1, 7) * 1e30 + np.random.default_rng(0).random((5, 7)),
    "tiny differences": 1 + 1e-8 * np.random.default_rng(0).random((5, 7)),
    "negative": np.random.default_rng(0).normal(size=(5, 7)),
    "tiny": 1e-30 * np.random.default_rng(0).random((5, 7)),
}


@pytest.mark.parametrize("standardize", get_args(Standardize))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EDGES)
def test_edges(name: str, kind: Kind, standardize: Standardize) -> None:
    values = EDGES[name]
    times = np.arange(1, len(values) + 1) / 10
    found = forecast(times, values, 1.0, kind, standardize)
    drawn = found.samples(50, np.random.default_rng(0))
    assert drawn.shape == (50, values.shape[1])
    assert all(np.isfinite(part).all() for part in (found.mean, found.deviation, drawn))
    assert (found.own >= 0).all()
    if name.startswith("all"):
        np.testing.assert_allclose(found.mean, values[-1])
        assert (found.deviation < 1e-15).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_measurement_is_ranked_as_it_is(kind: Kind) -> None:
    values = np.random.default_rng(0).lognormal(size=(1, 50))
    found = forecast(np.array([0.1]), values, 1.0, kind)
    assert rank_correlation(found.mean, values[0]) > 0.99
    assert (found.deviation > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_unit_of_saliency_does_not_matter(kind: Kind) -> None:
    times, measured, _ = made_by_the_model(0)
    one, other = (forecast(times, scale * measured, kind=kind) for scale in (1.0, 1e-6))
    np.testing.assert_allclose(one.mean, 1e6 * other.mean, rtol=1e-4)
    np.testing.assert_allclose(one.deviation, 1e6 * other.deviation, rtol=1e-3)


def test_a_common_fall_is_no_news_to_each_record_for_itself() -> None:
    """Gradients that vanish together leave the forecast order as it was."""
    times, measured, _ = made_by_the_model(0)
    falling = measured * np.exp(-20 * times)[:, None]
    one, other = forecast(times, measured), forecast(times, falling)
    np.testing.assert_allclose(one.mean, other.mean / np.exp(-20 * times[-1]), rtol=1e-6)


def test_last_and_line_by_hand() -> None:
    times = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    values = np.stack([np.array([9.0, 3, 4, 5, 6, 7]), np.array([9.0, 1, 2, 1, 2, 1])], axis=1)
    last = forecast(times, values, 1.0, "last")
    np.testing.assert_allclose(last.mean, [7, 1])
    steps = (36 + 1 + 1 + 1 + 1 + 64 + 1 + 1 + 1 + 1) / 10  # squared, per 0.1
    np.testing.assert_allclose(last.deviation, np.sqrt(steps / 0.1 * 0.4))
    line = forecast(times, values, 1.0, "line")
    np.testing.assert_allclose(line.mean, [11, 1.4])
    np.testing.assert_allclose(forecast(times[:1], values[:1], 1.0, "line").mean, [9, 9])
    np.testing.assert_allclose(forecast(times[1:3], values[1:3], 0.4, "line").mean, [5, 3])


@pytest.mark.parametrize(
    ("times", "values", "kind", "message"),
    [
        ([0.1, 0.2], [[1.0, np.nan], [1.0, 2.0]], "lmc", "finite times and values; 1 values"),
        ([0.1, 0.2], [[1.0, np.inf], [-np.inf, 2.0]], "last", "2 values are not"),
        ([0.1, np.nan], [[1.0], [2.0]], "lmc", "finite"),
        ([0.1], [[1.0], [2.0]], "lmc", r"not \[1\] and \[2, 1\]"),
        ([0.1, 0.2], [1.0, 2.0], "lmc", r"not \[2\] and \[2\]"),
        ([], np.zeros((0, 3)), "lmc", r"not \[0\] and \[0, 3\]"),
        ([0.1], np.zeros((1, 0)), "line", r"not \[1\] and \[1, 0\]"),
        ([0.2, 0.1], [[1.0], [2.0]], "lmc", "rise"),
        ([0.1, 0.1], [[1.0], [2.0]], "line", "rise"),
        ([-0.1, 0.1], [[1.0], [2.0]], "lmc", "below 0"),
        ([0.1], [[1.0]], "next", r"unknown forecast 'next' \(allowed: lmc, independent, last"),
    ],
)
def test_refused(times: Any, values: Any, kind: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        forecast(np.asarray(times), np.asarray(values), 1.0, kind)
    with pytest.raises(ValueError, match=message):
        fit(np.asarray(times), np.asarray(values), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_pure(kind: Kind) -> None:
    """The same bits, whatever the global random states and the number of threads."""
    times, measured, _ = made_by_the_model(0, units=300)
    before = measured.copy()

    def made() -> list[bytes]:
        found = forecast(times, measured, kind=kind)
        drawn = found.samples(100, np.random.default_rng(3))
        return [part.tobytes() for part in (found.mean, found.factor, found.own, drawn)]

    first = made()
    torch.manual_seed(5)
    np.random.seed(5)
    states = torch.get_rng_state(), np.random.get_state()[1].tolist()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert made() == first
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    with torch.no_grad():
        assert made() == first
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.random.get_state()[1].tolist() == states[1]
    assert (measured == before).all()


@pytest.mark.parametrize("kind", KINDS)
def test_known_hyperparameters_are_not_sought_again(kind: Kind) -> None:
    times, measured, _ = made_by_the_model(0)
    known = fit(times, measured, kind)
    one, other = (forecast(times, measured, kind=kind, known=k) for k in (None, known))
    assert one.mean.tobytes() == other.mean.tobytes()
    assert one.own.tobytes() == other.own.tobytes()
    assert sum(value.numel() for value in known.values()) <= 2 * measured.shape[1] + 4


def test_a_layer_of_two_thousand_units() -> None:
    draw = np.random.default_rng(0)
    values = draw.lognormal(size=2048) * np.exp(0.3 * draw.normal(size=(20, 2048)))
    found = forecast(np.arange(1, 21) / 90, values)
    assert found.factor.shape == (21, 2048)
    assert rank_correlation(found.mean, values.mean(axis=0)) > 0.9


def literally(samples: Floats, means: Floats, top: npt.NDArray[np.bool_], cost: float) -> Any:
    """The greedy step as it is written down."""
    kept, budget = top.copy(), int(top.sum())
    for unit in sorted(np.flatnonzero(~top), key=lambda unit: -means[unit]):
        thresholds = np.sort(samples[kept], axis=0)[-budget]
        if np.maximum(0, samples[unit] - thresholds).mean() >= cost:
            kept[unit] = True
    return kept


def a_choice(seed: int) -> tuple[Floats, Floats, npt.NDArray[np.bool_]]:
    """Samples of some units that depend on each other, their means, and the top of them."""
    draw = np.random.default_rng(seed)
    units, count = int(draw.integers(2, 40)), int(draw.integers(1, 60))
    means = draw.lognormal(sigma=draw.choice([0.1, 1.0]), size=units)
    common = draw.normal(size=count) * draw.normal(size=(units, 1))
    samples = means[:, None] + 0.5 * (common + draw.normal(size=(units, count)))
    if seed % 3 == 0:
        samples = np.round(samples, 1)  # ties
    top = np.zeros(units, dtype=bool)
    top[np.argsort(-means)[: draw.integers(1, units)]] = True
    if seed % 4 == 0:
        top = draw.permutation(top)  # floors put low units among the top
    return samples, means, top


def test_the_greedy_step_is_the_literal_one() -> None:
    walked = 0
    for seed in range(300):
        samples, means, top = a_choice(seed)
        for cost in (0.0, 0.01, 0.05, 0.1, 0.3, 1.0):
            kept = worth_keeping(samples, means, top, cost)
            assert kept.tolist() == literally(samples, means, top, cost).tolist()
            assert kept[top].all()
            walked += 0 < int(kept.sum() - top.sum()) < int((~top).sum())
    assert walked > 200


def test_the_greedy_step_keeps_all_for_nothing_and_fewer_the_more_it_costs() -> None:
    for seed in range(100):
        samples, means, top = a_choice(seed)
        counts = [
            int(worth_keeping(samples, means, top, cost).sum())
            for cost in (0.0, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 1e3)
        ]
        assert counts == sorted(counts, reverse=True)
        assert counts[0] == len(means)
        assert counts[-1] == top.sum()
