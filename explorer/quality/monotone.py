"""Does the loss fall with N and D everywhere in a domain? A draw in which it rises has no sense."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from explorer.catalog.laws import Domain, Law
from explorer.quality.coefficients import Coefficients, prior
from explorer.quality.terms import loss
from explorer.units import FloatArray

# Points per axis, corners included. The capacity term falls faster with N than anything that could
# outweigh it, so a rise shows at the corners first; the points between are for laws of other forms.
_N_PARAMS, _N_TOKENS, _CONTEXT, _ASPECT = 9, 4, 3, 4
_STEP = 1e-4
_CANDIDATES = 61


def rises(coefficients: Coefficients, law: Law, domain: Domain) -> NDArray[np.bool_]:
    """Per draw, whether loss rises with N or with D at any point of the domain: shape (n_draws,)."""
    shapes = prior(law, "aspect", "aspect_range")["range"]
    n = _axis(domain.n_params, _N_PARAMS)[:, None, None, None]
    d = _axis(domain.n_tokens, _N_TOKENS)[:, None, None]
    c = _axis(domain.context_length, _CONTEXT)[:, None]
    aspect = _axis(shapes, _ASPECT)
    inside = (d / n >= domain.tokens_per_param[0]) & (d / n <= domain.tokens_per_param[1])

    def at(n_params: FloatArray, n_tokens: FloatArray, **shape: Any) -> FloatArray:
        return cast(FloatArray, loss(coefficients, n_params=n_params, n_tokens=n_tokens, **shape))

    # Steps into the domain, so that no point outside it can reject a draw.
    shape: dict[str, Any] = {"context_length": c, "aspect": aspect}
    inward = np.where(n < domain.n_params[1], 1 + _STEP, 1 - _STEP)
    with_n = (at(n * inward, d, **shape) - at(n, d, **shape)) * np.sign(inward - 1)
    # Context and aspect add to and multiply what D does, so one of each tells its direction.
    shape = {"context_length": law.reference_context, "aspect": None}
    inward = np.where(d < domain.n_tokens[1], 1 + _STEP, 1 - _STEP)
    with_d = (at(n, d * inward, **shape) - at(n, d, **shape)) * np.sign(inward - 1)
    rising = ((with_n > 0) | (with_d > 0)) & inside
    return cast(NDArray[np.bool_], rising.reshape(len(rising), -1).any(axis=1))


def highest_falling_nu(k: Coefficients, law: Law) -> float:
    """The highest nu up to the coefficients' own at which the loss falls throughout the law's domain.

    `k` holds single values. Their own nu where none does: such a law contradicts itself at any nu.
    """
    own = float(k.nu)
    if not rises(k.with_(nu=np.array([own])), law, law.domain)[0]:
        return own
    candidates = np.linspace(0.0, own, _CANDIDATES)
    falling = candidates[~rises(k.with_(nu=candidates), law, law.domain)]
    return float(falling[-1]) if len(falling) else own


def _axis(bounds: Any, n: int) -> FloatArray:
    low, high = (float(v) for v in bounds)
    return np.geomspace(low, high, n)
