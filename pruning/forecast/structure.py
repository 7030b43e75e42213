"""What makes the process cheap: time and units part, and units are diagonal plus rank one.

Measurements y_t[a] of A units at n times have the covariance S = K (x) W + noise I, with K [n, n]
over times and W = w w^T + diag(kappa) over units. With K = V diag(l) V^T the rotated measurements
V^T y are independent of each other, and the i-th has the covariance
S_i = diag(D_i) + l_i w w^T,  D_i = l_i kappa + noise,
whose inverse and determinant are one line each (Woodbury). All is O(n^3 + n^2 A).

Kept true: it is exact, as tests see against dense matrices, and nothing of [A, A] or [n A, n A] is
ever made: memory grows with the measurements, n A. `Coregionalized` calls it, in double precision
and with one thread.

Of gpytorch only modules, kernels and constraints are used. Its exact processes switch to iterative
solves from 801 points on (``max_cholesky_size``), and those are random and far too unsure; its
masks for missing targets leave them out of the mean but not of the variance, so measurements are
complete here. Autograd through the eigenvectors was no way either: see `NegativeLogLikelihood`.
A second kernel over time (Q = 2) would end the Kronecker structure, and all of this with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Solved:
    """S^-1 y and what else is needed of S; everything in the rotated frame.

    rotation: V, [n, n]. values: l, [n]. inverse: 1 / D, [n, A]. scaled: w / D, [n, A].
    strength: w^T D^-1 w, [n]. capacity: 1 + l strength, [n]. solution: S_i^-1 (V^T y)_i, [n, A].
    misfit: y^T S^-1 y. logdet: log |S|.
    """

    rotation: Tensor
    values: Tensor
    inverse: Tensor
    scaled: Tensor
    strength: Tensor
    capacity: Tensor
    solution: Tensor
    misfit: Tensor
    logdet: Tensor


def solve(time: Tensor, w: Tensor, kappa: Tensor, noise: Tensor, measured: Tensor) -> Solved:
    """From K [n, n], w [A], kappa [A], noise [1] and the measurements [n, A]."""
    values, rotation = torch.linalg.eigh(time)
    values = values.clamp_min(0)  # rounding leaves the smallest of a smooth kernel below zero
    rotated = rotation.mT @ measured
    diagonal = torch.outer(values, kappa) + noise
    inverse = diagonal.reciprocal()
    scaled = inverse * w
    strength = scaled @ w
    capacity = 1 + values * strength
    common = values * (scaled * rotated).sum(1) / capacity
    solution = rotated * inverse - common[:, None] * scaled
    misfit = (rotated * solution).sum()
    logdet = diagonal.log().sum() + capacity.log().sum()
    return Solved(rotation, values, inverse, scaled, strength, capacity, solution, misfit, logdet)


class NegativeLogLikelihood(torch.autograd.Function):
    """-log N(y; 0, S), exactly, with its gradient in closed form.

    The gradient by K is written with S^-1 and not through the eigenvectors, whose derivatives do
    not exist where two eigenvalues are equal, as the smallest of a smooth kernel nearly are.
    """

    @staticmethod
    def forward(
        ctx: Any, time: Tensor, w: Tensor, kappa: Tensor, noise: Tensor, measured: Tensor
    ) -> Tensor:
        """The arguments of ``solve``; a number."""
        found = solve(time, w, kappa, noise, measured)
        ctx.save_for_backward(*_gradients(found, w, kappa))
        constant = measured.numel() * math.log(2 * math.pi)
        return 0.5 * (found.misfit + found.logdet + constant)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        """By each argument of ``forward``; none by the measurements."""
        return *(outer[0] * gradient for gradient in ctx.saved_tensors), None


def _gradients(found: Solved, w: Tensor, kappa: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """By K, w, kappa and noise: half the trace of (S^-1 - a a^T) dS, with a = S^-1 y."""
    shrink = found.values / found.capacity
    diagonal = found.inverse - shrink[:, None] * found.scaled.square()  # of S_i^-1, [n, A]
    projected = found.solution @ w
    excess = diagonal - found.solution.square()
    by_w = shrink @ found.scaled - (found.values * projected) @ found.solution
    traces = diagonal @ kappa + found.strength / found.capacity  # of S_i^-1 W, [n]
    seen = (found.solution * kappa) @ found.solution.mT + torch.outer(projected, projected)
    by_time = 0.5 * found.rotation @ (torch.diag(traces) - seen) @ found.rotation.mT
    return by_time, by_w, 0.5 * found.values @ excess, 0.5 * excess.sum().reshape(1)


def posterior(
    found: Solved, w: Tensor, kappa: Tensor, cross: Tensor, prior: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the units' noise-free values at one time T: mean [A], factor [n + 1, A], own [A].

    cross: k(t, T), [n]. prior: k(T, T). The covariance is factor^T factor + diag(own): given the
    curve g that all units share (n + 1 Gaussian numbers, independent of each other but for g(T)),
    the units no longer depend on each other. No small eigenvalue is divided by but in the share of
    g(T) that g(t) explains, where cross^2 / l stays below k(T, T).
    """
    along = found.rotation.mT @ cross
    mean = w * (along @ (found.solution @ w)) + kappa * (along @ found.solution)
    own = kappa * prior - kappa.square() * (along.square() @ found.inverse)
    # with a dozen measurements the smallest are exactly zero: 0 / 0 below
    values = found.values.clamp_min(1e-15 * float(found.values.max()))
    width = (values / (1 + values * found.strength)).sqrt()
    shared = torch.outer(along * width / values, w)
    private = (along * width)[:, None] * (found.scaled * kappa)
    # a curve that never moved is explained whole, and by rounding a little more
    unexplained = (prior - (along.square() / values).sum()).clamp_min(0).sqrt()
    factor = torch.cat([shared - private, (w * unexplained).reshape(1, -1)])
    return mean, factor, own.clamp_min(0)
