"""A decoder-only transformer in NumPy: forward, backward by hand, AdamW; and a stopwatch around one step.

The block is the one that budgets mean by default: RMSNorm before each half, rotary positions, grouped
key-value heads, SwiGLU, no biases, embedding and head apart. Everything the backward pass needs is kept.
Run as a program it measures one design and prints what it found as JSON:

    python studies/numpy_transformer.py '{"context_length": 256, "d_model": 128, "n_layers": 2, "n_heads": 4,
        "n_kv_heads": 4, "d_head": 32, "d_ff": 384, "vocab_size": 512, "micro_batch": 1, "global_batch": 8}'
"""

from __future__ import annotations

import json
import sys
import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Weights = dict[str, Array]

EPS = 1e-6
ROPE_BASE = 10_000.0
MIN_SECONDS = 0.4
"""Micro-batches are repeated until they took so long together."""
MOST_MICRO_BATCHES = 8


def init(design: Mapping[str, float], seed: int = 0, dtype: type = np.float32) -> Weights:
    """Random weights of a design (the columns of a trials table name its sizes)."""
    rng = np.random.default_rng(seed)
    d, f, vocab = (int(design[k]) for k in ("d_model", "d_ff", "vocab_size"))
    q = int(design["n_heads"]) * int(design["d_head"])
    kv = int(design["n_kv_heads"]) * int(design["d_head"])

    def matrix(rows: int, columns: int) -> Array:
        return (rng.standard_normal((rows, columns)) / np.sqrt(rows)).astype(dtype)

    weights = {"embedding": matrix(vocab, d), "norm": np.ones(d, dtype), "head": matrix(d, vocab)}
    for k in range(int(design["n_layers"])):
        weights |= {
            f"{k}.attention_norm": np.ones(d, dtype), f"{k}.q": matrix(d, q), f"{k}.k": matrix(d, kv),
            f"{k}.v": matrix(d, kv), f"{k}.out": matrix(q, d), f"{k}.ffn_norm": np.ones(d, dtype),
            f"{k}.gate": matrix(d, f), f"{k}.up": matrix(d, f), f"{k}.down": matrix(f, d),
        }  # fmt: skip
    return weights


# --- parts: each returns its output and what its backward pass needs ---------------------------------------


def norm(x: Array, weight: Array) -> tuple[Array, tuple[Array, Array]]:
    """RMSNorm (Zhang & Sennrich 2019, arXiv:1910.07467, equation 4) over the last axis."""
    scale = 1 / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPS)
    unit = x * scale
    return unit * weight, (unit, scale)


def norm_backward(dy: Array, weight: Array, kept: tuple[Array, Array]) -> tuple[Array, Array]:
    """Gradients of the input and the weight."""
    unit, scale = kept
    dweight = np.einsum("nd,nd->d", dy, unit)
    dunit = dy * weight
    dunit -= unit * np.mean(dunit * unit, axis=-1, keepdims=True)
    dunit *= scale
    return dunit, dweight


def rotation(length: int, d_head: int, dtype: Any) -> tuple[Array, Array]:
    """Cosines and sines (length, d_head / 2) of rotary positions (Su 2021, arXiv:2104.09864, section 3.2)."""
    rates = ROPE_BASE ** (-np.arange(0, d_head, 2) / d_head)
    angle = np.arange(length)[:, None] * rates
    return np.cos(angle).astype(dtype), np.sin(angle).astype(dtype)


def rotate(x: Array, cos: Array, sin: Array) -> Array:
    """Pairs (x[i], x[i + half]) turned by their positions' angles; with −sin, turned back."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


def attention(q: Array, k: Array, v: Array) -> tuple[Array, Array]:
    """Causal attention of q (b, kv, g, c, e) on k, v (b, kv, 1, c, e); keeps the probabilities."""
    c, e = q.shape[-2:]
    scores = q @ np.swapaxes(k, -1, -2)
    scores *= e**-0.5
    scores[..., np.triu(np.ones((c, c), dtype=bool), 1)] = -np.inf
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores @ v, scores


def attention_backward(
    dy: Array, q: Array, k: Array, v: Array, probabilities: Array
) -> tuple[Array, Array, Array]:
    """Gradients of q, k and v."""
    dv = (np.swapaxes(probabilities, -1, -2) @ dy).sum(axis=2, keepdims=True)
    dscores = dy @ np.swapaxes(v, -1, -2)
    dscores -= np.einsum("...ij,...ij->...i", dscores, probabilities)[..., None]
    dscores *= probabilities
    dscores *= q.shape[-1] ** -0.5
    return dscores @ k, (np.swapaxes(dscores, -1, -2) @ q).sum(axis=2, keepdims=True), dv


def loss_and_gradients(
    weights: Weights, design: Mapping[str, float], tokens: NDArray[np.int64]
) -> tuple[float, Weights]:
    """Mean cross-entropy (nats per token) of predicting each next token of `tokens` (b, c + 1), and the
    gradient of every weight."""
    inputs, targets = tokens[:, :-1], tokens[:, 1:].reshape(-1)
    b, c = inputs.shape
    n, e = b * c, int(design["d_head"])
    kv, groups = int(design["n_kv_heads"]), int(design["n_heads"]) // int(design["n_kv_heads"])
    cos, sin = rotation(c, e, weights["embedding"].dtype)

    def split(x: Array, g: int) -> Array:
        return x.reshape(b, c, kv, g, e).transpose(0, 2, 3, 1, 4)

    def join(x: Array) -> Array:
        return x.transpose(0, 3, 1, 2, 4).reshape(n, -1)

    x = weights["embedding"][inputs.reshape(-1)]
    kept: list[tuple[Any, ...]] = []
    for layer in range(int(design["n_layers"])):
        w = {name: weights[f"{layer}.{name}"] for name in _NAMES}
        y, first = norm(x, w["attention_norm"])
        q = rotate(split(y @ w["q"], groups), cos, sin)
        k = rotate(split(y @ w["k"], 1), cos, sin)
        v = split(y @ w["v"], 1)
        mixed, probabilities = attention(q, k, v)
        mixed = join(mixed)
        x = x + mixed @ w["out"]
        z, second = norm(x, w["ffn_norm"])
        gate, up = z @ w["gate"], z @ w["up"]
        switch = 1 / (1 + np.exp(-gate))
        inner = gate * switch * up
        x = x + inner @ w["down"]
        kept.append((y, first, q, k, v, probabilities, mixed, z, second, gate, up, switch, inner))
    last, final = norm(x, weights["norm"])
    logits = last @ weights["head"]
    logits -= logits.max(axis=-1, keepdims=True)
    rows = np.arange(n)
    right = logits[rows, targets]
    np.exp(logits, out=logits)
    total = logits.sum(axis=-1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - right))

    # From here on `logits` is their gradient: softmax less the target, over the tokens.
    logits /= total
    logits[rows, targets] -= 1
    logits /= n
    found: Weights = {"head": last.T @ logits}
    dx, found["norm"] = norm_backward(logits @ weights["head"].T, weights["norm"], final)
    del logits, last, final
    for layer in reversed(range(int(design["n_layers"]))):
        w = {name: weights[f"{layer}.{name}"] for name in _NAMES}
        y, first, q, k, v, probabilities, mixed, z, second, gate, up, switch, inner = kept.pop()
        found[f"{layer}.down"] = inner.T @ dx
        dinner = dx @ w["down"].T
        dup = dinner * gate * switch
        dgate = dinner * up * switch * (1 + gate * (1 - switch))
        found[f"{layer}.gate"], found[f"{layer}.up"] = z.T @ dgate, z.T @ dup
        dz = dgate @ w["gate"].T + dup @ w["up"].T
        dres, found[f"{layer}.ffn_norm"] = norm_backward(dz, w["ffn_norm"], second)
        dx = dx + dres
        found[f"{layer}.out"] = mixed.T @ dx
        dq, dk, dv = attention_backward(split(dx @ w["out"].T, groups), q, k, v, probabilities)
        flat = [join(rotate(dq, cos, -sin)), join(rotate(dk, cos, -sin)), join(dv)]
        dy = 0
        for name, gradient in zip(("q", "k", "v"), flat, strict=True):
            found[f"{layer}.{name}"] = y.T @ gradient
            dy = dy + gradient @ w[name].T
        dres, found[f"{layer}.attention_norm"] = norm_backward(dy, w["attention_norm"], first)
        dx = dx + dres
    found["embedding"] = np.zeros_like(weights["embedding"])
    np.add.at(found["embedding"], inputs.reshape(-1), dx)
    return loss, found


_NAMES = ("attention_norm", "q", "k", "v", "out", "ffn_norm", "gate", "up", "down")


def adamw(weights: Weights, gradients: Weights, state: dict[str, tuple[Array, Array]], step: int) -> None:
    """One AdamW step in place (Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2)."""
    rate, b1, b2, decay = 3e-4, 0.9, 0.95, 0.1
    for name, weight in weights.items():
        mean, square = state.setdefault(name, (np.zeros_like(weight), np.zeros_like(weight)))
        gradient = gradients[name]
        mean += (1 - b1) * (gradient - mean)
        square += (1 - b2) * (gradient * gradient - square)
        change = mean / (1 - b1**step)
        change /= np.sqrt(square / (1 - b2**step)) + 1e-8
        change += decay * weight
        weight -= rate * change


# --- the stopwatch ---------------------------------------------------------------------------------------


def measure(design: Mapping[str, float], seed: int = 0) -> dict[str, float]:
    """`step_seconds` of one global batch and `peak_allocated_bytes` of arrays, measured on one core.

    Times are CPU seconds, which other programs on the machine disturb least. A step is as many
    micro-batches as the plan says, of which enough to time are run, and one optimizer step.
    """
    micro, c = int(design["micro_batch"]), int(design["context_length"])
    n_micro = max(1, round(float(design["global_batch"]) / micro))
    rng = np.random.default_rng(seed)

    def batch() -> NDArray[np.int64]:
        return rng.integers(0, int(design["vocab_size"]), (micro, c + 1))

    tracemalloc.start()
    weights = init(design, seed)
    state: dict[str, tuple[Array, Array]] = {}
    _, gradients = loss_and_gradients(weights, design, batch())
    adamw(weights, gradients, state, 1)
    # The second step holds everything that later ones do: the optimizer's states are there.
    tracemalloc.reset_peak()
    if n_micro == 1:
        del gradients
        _, gradients = loss_and_gradients(weights, design, batch())
    else:
        _accumulate(gradients, loss_and_gradients(weights, design, batch())[1])
    adamw(weights, gradients, state, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    began, done = time.process_time(), 0
    while done < min(n_micro, MOST_MICRO_BATCHES) and (not done or time.process_time() - began < MIN_SECONDS):
        _, fresh = loss_and_gradients(weights, design, batch())
        if n_micro > 1:
            _accumulate(gradients, fresh)
        done += 1
    passes = (time.process_time() - began) / done
    began = time.process_time()
    adamw(weights, gradients, state, 3)
    return {
        "step_seconds": n_micro * passes + time.process_time() - began,
        "peak_allocated_bytes": float(peak),
    }


def _accumulate(total: Weights, fresh: Weights) -> None:
    for name, gradient in fresh.items():
        total[name] += gradient


def peaks(size: int = 2048, elements: int = 1 << 26) -> dict[str, float]:
    """What one core reaches at best: FLOP/s of a large fp32 product, bytes/s of a large copy."""
    a = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
    b = np.zeros(elements, dtype=np.float32)
    products, copies = [], []
    for _ in range(4):
        began = time.process_time()
        a @ a
        products.append(time.process_time() - began)
        began = time.process_time()
        b.copy()
        copies.append(time.process_time() - began)
    return {"flops": 2.0 * size**3 / min(products), "bytes_per_second": 2.0 * b.nbytes / min(copies)}


if __name__ == "__main__":
    print(json.dumps(peaks() if sys.argv[1] == "peaks" else measure(json.loads(sys.argv[1]))))
