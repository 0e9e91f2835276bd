"""The engine's compiled peer: the published Purchase-100 network as an expert writes it in JAX.

Many steps are one compiled scan, on records that stay bytes until a step makes floats of its batch.
With DP, clipping is written by hand from the norms of inputs and derivatives, as the engine has it,
Poisson samples are padded to one size, and noise comes from XLA's own generator of random bits.
"""

import os
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from baselines import Steps
from mico.challenge.recipe import TrainingOptions
from mico.networks.mlp import HIDDEN

STEPS = 40  # of one call
# One thread for each process, as the engine has it. XLA reads them when it starts.
FLAGS = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def steps(
    features: np.ndarray, labels: np.ndarray, classes: int, options: TrainingOptions
) -> Steps:
    """Train without end, and yield how many records each call of the compiled scan trained on.

    Arguments as for `compiled`.
    """
    scan, carry = compiled(features, labels, classes, options)
    import jax

    (n, _), batch = features.shape, options.batch_size
    rng = np.random.default_rng(0)
    start = 0
    while True:
        if options.clipping_norm is None:
            given = _in_order(start, n, batch)
        else:
            given = _poisson(rng, n, batch)
            given["key"] = jax.random.split(jax.random.key(int(rng.integers(2**31))), STEPS)
        carry = jax.block_until_ready(scan(carry, given))
        start += STEPS * batch
        yield STEPS * batch


def compiled(
    features: np.ndarray, labels: np.ndarray, classes: int, options: TrainingOptions
) -> tuple[Callable[[Any, Any], Any], Any]:
    """Many steps in one call, and what it carries at first: weights, moments and the step's number.

    Args:
        features: bits (n, d) uint8; labels: (n,).
        options: Adam with a constant learning rate; with DP, flat clipping.

    Returns:
        a function of what it carries and of what is given to each step: the batch's `rows`
        (steps, B), and with DP `valid` (steps, B), 0 for padding, and a `key` for the noise.
    """
    os.environ.setdefault("XLA_FLAGS", FLAGS)
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_default_prng_impl", "unsafe_rbg")
    d, batch = features.shape[1], options.batch_size
    clipping_norm, noise = options.clipping_norm or 0.0, options.noise_multiplier or 0.0
    x_all, y_all = jnp.asarray(features), jnp.asarray(labels, jnp.int32)

    def layers(p: Any, x: Any) -> tuple[Any, Any]:
        hidden = jnp.tanh(x @ p["w1"] + p["b1"])
        return hidden, hidden @ p["w2"] + p["b2"]

    def plain_gradient(p: Any, given: Any) -> Any:
        x, y = x_all[given["rows"]].astype(jnp.float32), y_all[given["rows"]]

        def loss(p: Any) -> Any:
            logits = jax.nn.log_softmax(layers(p, x)[1])
            return -jnp.take_along_axis(logits, y[:, None], 1).mean()

        return jax.grad(loss)(p)

    def private_gradient(p: Any, given: Any) -> Any:
        x, y = x_all[given["rows"]].astype(jnp.float32), y_all[given["rows"]]
        hidden, logits = layers(p, x)
        delta2 = jax.nn.softmax(logits) - jax.nn.one_hot(y, classes)
        delta1 = (delta2 @ p["w2"].T) * (1 - hidden * hidden)
        squares = ((x * x).sum(1) + 1) * (delta1 * delta1).sum(1)
        squares += ((hidden * hidden).sum(1) + 1) * (delta2 * delta2).sum(1)
        scale = given["valid"] * jnp.minimum(1, clipping_norm / jnp.sqrt(squares)) / batch
        delta1, delta2 = delta1 * scale[:, None], delta2 * scale[:, None]
        biases = {"b1": delta1.sum(0), "b2": delta2.sum(0)}
        sums = {**biases, "w1": x.T @ delta1, "w2": hidden.T @ delta2}
        keys = jax.random.split(given["key"], len(sums))
        return {
            name: value + noise * clipping_norm / batch * jax.random.normal(key, value.shape)
            for key, (name, value) in zip(keys, sums.items(), strict=True)
        }

    def step(carry: Any, given: Any) -> tuple[Any, None]:
        p, mean, square, count = carry
        gradient = (private_gradient if clipping_norm else plain_gradient)(p, given)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradient)
        of_mean, of_square = 1 - 0.9**count, 1 - 0.999**count
        rate = options.learning_rate
        p = jax.tree.map(
            lambda w, m, v: w - rate * (m / of_mean) / (jnp.sqrt(v / of_square) + 1e-8),
            *(p, mean, square),
        )
        return (p, mean, square, count + 1), None

    @partial(jax.jit, donate_argnums=0)
    def scan(carry: Any, given: Any) -> Any:
        return jax.lax.scan(step, carry, given)[0]

    rng = np.random.default_rng(0)
    p = {
        "b1": jnp.zeros(HIDDEN),
        "b2": jnp.zeros(classes),
        "w1": jnp.asarray(rng.uniform(-1, 1, (d, HIDDEN)) / d**0.5, jnp.float32),
        "w2": jnp.asarray(rng.uniform(-1, 1, (HIDDEN, classes)) / HIDDEN**0.5, jnp.float32),
    }
    moments = [jax.tree.map(jnp.zeros_like, p) for _ in range(2)]
    return scan, (p, *moments, jnp.float32(1))


def _in_order(start: int, n: int, batch: int) -> dict[str, Any]:
    """Rows (STEPS, B) one after the other."""
    return {"rows": (np.arange(start, start + STEPS * batch) % n).reshape(STEPS, batch)}


def _poisson(rng: np.random.Generator, n: int, batch: int) -> dict[str, Any]:
    """Rows (STEPS, P) of Poisson samples, padded or cut to four deviations above their mean.

    They are drawn with replacement, which costs as much and is simpler.
    """
    padded = int(batch + 4 * batch**0.5)
    sizes = np.minimum(rng.binomial(n, batch / n, STEPS), padded)
    valid = np.arange(padded) < sizes[:, None]
    return {"rows": rng.integers(0, n, (STEPS, padded)), "valid": valid.astype(np.float32)}
