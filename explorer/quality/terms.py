"""The loss and its separable terms, in nats per token.

    L = (E + (A/N^alpha + B/D^beta)^power + s·K(N)·shape(c) + window) · aspect factor

Every term takes what it depends on and nothing else, so that callers can compute it once per the
axes it depends on and broadcast. Coefficients with draws put them in front: with (n_draws,)
constants and arguments that broadcast to S, a term has shape (n_draws, *S). On open grids keep the
designs' number of axes in every argument ((1, D, L) beside (C, 1, 1)).
"""

from __future__ import annotations

from typing import cast

import numpy as np

from explorer.catalog.laws import priors
from explorer.quality.coefficients import Coefficients
from explorer.units import Num

# Xiong et al. 2023's amplitude is stated at this window and size (catalog/priors.json).
_AMPLITUDE_WINDOW = 2048.0
_AMPLITUDE_PARAMS = 7e9
# Reference size of the aspect optimum's drift (catalog/priors.json).
_ASPECT_PARAMS = 1e9


def capacity_term(coefficients: Coefficients, n_params: Num) -> Num:
    """A / N^alpha. N as the law counts it (`Law.n_counts`)."""
    k = coefficients.lead(np.ndim(n_params))
    return _exp_linear(k.log_A, -k.alpha, np.log(n_params))


def data_term(coefficients: Coefficients, n_tokens: Num) -> Num:
    """B / D^beta."""
    k = coefficients.lead(np.ndim(n_tokens))
    return _exp_linear(k.log_B, -k.beta, np.log(n_tokens))


def context_scale(coefficients: Coefficients, n_params: Num) -> Num:
    """s·K(N) = s·K7·(N/7e9)^-nu: what the context term is multiplied by."""
    k = coefficients.lead(np.ndim(n_params))
    return cast(Num, k.s * k.K7 * np.exp(-k.nu * np.log(np.divide(n_params, _AMPLITUDE_PARAMS))))


def context_shape(coefficients: Coefficients, context_length: Num) -> Num:
    """(c/2048)^-b less its value at the law's own window: zero there, falling with c."""
    k = coefficients.lead(np.ndim(context_length))
    at_reference = np.exp(-k.b * np.log(k.reference_context / _AMPLITUDE_WINDOW))
    return cast(Num, np.exp(-k.b * np.log(np.divide(context_length, _AMPLITUDE_WINDOW))) - at_reference)


def recovery(coefficients: Coefficients, extension_tokens: Num) -> Num:
    """Share r in [0, 1] of the gain beyond the short window that an extension of so many tokens recovers.

    T / (T + T_half): it rises with the extension's tokens (`recovery_tokens` is T_half; its prior
    and source are in catalog/priors.json).
    """
    k = coefficients.lead(np.ndim(extension_tokens))
    if not np.any(k.recovery_tokens):
        return 1.0
    return cast(Num, np.divide(extension_tokens, extension_tokens + k.recovery_tokens))


def context_term(
    coefficients: Coefficients,
    n_params: Num,
    context_length: Num,
    *,
    n_tokens: Num = np.inf,
    staged_from: Num = 0,
    staged_share: Num = 0,
) -> Num:
    """s·K(N)·shape(c); staged: the short window's shape and the recovered part r of what lies beyond.

    `staged_from` 0 (or not below c) is the constant schedule; `n_tokens` is needed for a staged one.
    """
    ndim = _ndim(n_params, context_length, n_tokens, staged_from, staged_share)
    k = coefficients.lead(ndim)
    shape = context_shape(k, context_length)
    staged = _staged(context_length, staged_from)
    if np.any(staged):
        short = context_shape(k, np.where(staged, staged_from, context_length))
        r = recovery(k, np.multiply(staged_share, n_tokens))
        shape = short + np.where(staged, r, 1.0) * (shape - short)
    return context_scale(k, n_params) * shape


def window_term(
    coefficients: Coefficients,
    context_length: Num,
    *,
    staged_from: Num = 0,
    staged_share: Num = 0,
) -> Num:
    """delta · sum of share · ln(max(c, reference) / reference) over the schedule's stages."""
    k = coefficients.lead(_ndim(context_length, staged_from, staged_share))
    folds = _folds(context_length, k.reference_context)
    staged = _staged(context_length, staged_from)
    if np.any(staged):
        short = _folds(np.where(staged, staged_from, context_length), k.reference_context)
        folds = short + np.where(staged, staged_share, 1.0) * (folds - short)
    return k.delta * folds


def aspect_factor(coefficients: Coefficients, aspect: Num | None, n_params: Num) -> Num:
    """exp(kappa · ln²(aspect / best aspect(N))), at least 1; `aspect` is d_model / n_layers.

    None leaves the factor out.
    """
    if aspect is None or not np.any(coefficients.kappa):
        return 1.0
    k = coefficients.lead(_ndim(aspect, n_params))
    return cast(Num, np.exp(k.kappa * np.square(np.log(aspect) - best_log_aspect(k, n_params))))


def best_log_aspect(coefficients: Coefficients, n_params: Num) -> Num:
    """Log of the ratio d_model / n_layers at which the aspect factor is 1; it may drift with the size."""
    k = coefficients.lead(_ndim(n_params))
    best = k.log_aspect + k.aspect_drift * np.log(np.divide(n_params, _ASPECT_PARAMS))
    if np.any(k.levine):
        best = best + k.levine * (levine_log_aspect(n_params) - best)
    return cast(Num, best)


def levine_log_aspect(n_params: Num) -> Num:
    """Log of d/L on Levine et al. 2020's line d = exp(a + b·L) at the size N = 12·L·d² (eq. 12)."""
    a, b = priors()["aspect"]["levine"]["value"]
    # With y = 2·b·L the size is y·exp(y) = q: Newton's step for y + ln y = ln q converges quadratically.
    log_q = np.log(np.divide(n_params, 12.0)) + np.log(2 * b) - 2 * a
    y = np.logaddexp(0.0, log_q)
    for _ in range(6):
        y = y / (1 + y) * (1 + log_q - np.log(y))
    n_layers = y / (2 * b)
    return cast(Num, a + b * n_layers - np.log(n_layers))


def combine(
    coefficients: Coefficients,
    capacity: Num,
    data: Num,
    context: Num = 0.0,
    window: Num = 0.0,
    factor: Num = 1.0,
) -> Num:
    """The loss from its terms; shapes broadcast, draws leading."""
    k = coefficients.lead(max(np.ndim(capacity), np.ndim(data), np.ndim(context)) - _draw_axes(coefficients))
    base = capacity + data
    if np.any(k.power != 1.0):
        base = np.power(base, k.power)
    total = _add(_add(_add(base, k.E), context), window)
    if isinstance(total, np.ndarray) and np.broadcast_shapes(total.shape, np.shape(factor)) == total.shape:
        total *= factor  # in place: at draws x designs a temporary costs as much as the arithmetic
        return total
    return total * factor


def loss(
    coefficients: Coefficients,
    *,
    n_params: Num,
    n_tokens: Num,
    context_length: Num,
    aspect: Num | None,
    staged_from: Num = 0,
    staged_share: Num = 0,
) -> Num:
    """Mean loss over a window of `context_length` tokens, nats per token.

    `n_params` as the law counts them, `aspect` = d_model / n_layers (None: no aspect factor).
    Scalars give a scalar; draws a leading axis: (n_draws, *broadcast shape of the arguments).
    """
    staging = {"staged_from": staged_from, "staged_share": staged_share}
    arguments = (n_params, n_tokens, context_length, 0.0 if aspect is None else aspect, *staging.values())
    k = coefficients.lead(_ndim(*arguments))
    return combine(
        k,
        capacity_term(k, n_params),
        data_term(k, n_tokens),
        context_term(k, n_params, context_length, n_tokens=n_tokens, **staging),
        window_term(k, context_length, **staging),
        aspect_factor(k, aspect, n_params),
    )


def _exp_linear(offset: Num, slope: Num, log_x: Num) -> Num:
    """exp(offset + slope · log_x): one exp per element and draw, the log taken once per design."""
    exponent = _add(slope * log_x, offset)
    if isinstance(exponent, np.ndarray):
        return np.exp(exponent, out=exponent)
    return float(np.exp(exponent))


def _add(total: Num, part: Num) -> Num:
    """total + part, in place where `total` (an array made by the caller) already has the sum's shape."""
    if isinstance(total, np.ndarray) and np.broadcast_shapes(total.shape, np.shape(part)) == total.shape:
        total += part
        return total
    return total + part


def _ndim(*values: Num) -> int:
    return max(np.ndim(v) for v in values)


def _draw_axes(coefficients: Coefficients) -> int:
    return 0 if coefficients.n_draws is None else 1


def _staged(context_length: Num, staged_from: Num) -> Num:
    """Where a schedule has two stages; a short window not below c is the constant schedule."""
    if not np.any(staged_from):
        return False
    return cast(Num, (np.asarray(staged_from) > 0) & (np.asarray(staged_from) < context_length))


def _folds(context_length: Num, reference: float) -> Num:
    return cast(Num, np.log(np.maximum(context_length, reference) / reference))
