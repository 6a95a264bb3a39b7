#!/usr/bin/env python3
"""JAX's side of the benchmark: the workloads of elbo-bench, the whole step (forward, backward, Adam) in one jit with
donated buffers. Prints one line of JSON (measuring.py). XLA takes as many threads as the process may use processors:
run it under `taskset -c 0` for one.

    jax_peer.py --workload W3 --threads 1 [--inference]
"""
import math
import os

import measuring

a = measuring.words(__doc__)
o = a.parse_args()
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if o.threads == 1:
    os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
if len(os.sched_getaffinity(0)) != o.threads:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: o.threads])

import functools

import jax
import jax.numpy as jnp
from jax import random
from jax_nets import dense, net


def objective(parts, rows):
    """(parameters, state, x, key) -> negative elbo per row, state after; and the mean code's reconstruction."""
    (_, encode), (_, decode), (_, head), nll, seen = parts

    def loss(p, s, x, key):
        h, s_in = encode(p["encoder"], s["encoder"], x, True)
        mean, log_var = head(p["mean"], {}, h, True)[0], head(p["log_var"], {}, h, True)[0]
        raw, s_out = decode(p["decoder"], s["decoder"], mean + jnp.exp(0.5 * log_var) * random.normal(key, mean.shape), True)
        kl = -0.5 * jnp.sum(1 + log_var - mean**2 - jnp.exp(log_var))
        return (nll(raw.reshape(rows, -1), x.reshape(rows, -1)) + kl) / rows, {"encoder": s_in, "decoder": s_out}

    def code(p, s, x):
        return head(p["mean"], {}, encode(p["encoder"], s["encoder"], x, False)[0], False)[0]

    def reconstruct(p, s, x):
        return seen(decode(p["decoder"], s["decoder"], code(p, s, x), False)[0])

    return loss, code, reconstruct


@functools.partial(jax.jit, static_argnums=0, donate_argnums=(1, 2, 3, 4))
def train_step(loss, p, m, v, s, x, n):
    (value, s), g = jax.value_and_grad(loss, has_aux=True)(p, s, x, random.fold_in(random.PRNGKey(0), n))
    t = n.astype(jnp.float32) + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
    rate, root = 1e-3 / (1 - 0.9**t), (1 - 0.999**t) ** -0.5
    p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + 1e-8), p, m, v)
    return p, m, v, s, value


class Peer:
    def __init__(self, name, rows):
        encoder, decoder, latent, nll, seen = net(name)
        head = dense(latent)
        keys = random.split(random.PRNGKey(1), 5)
        p_in, s_in, features = encoder[0](keys[0], measuring.SHAPES[name])
        p_out, s_out, _ = decoder[0](keys[1], (latent,))
        self.p = {"encoder": p_in, "decoder": p_out, "mean": head[0](keys[2], features)[0],
                  "log_var": head[0](keys[3], features)[0]}
        self.s = {"encoder": s_in, "decoder": s_out}
        self.m, self.v = jax.tree.map(jnp.zeros_like, self.p), jax.tree.map(jnp.zeros_like, self.p)
        self.parameters = sum(a.size for a in jax.tree.leaves(self.p))
        shape = measuring.SHAPES[name]
        # XLA is slow on images of one channel, which a dense net need not see.
        shape = (math.prod(shape),) if name.endswith("mlp_vae") else shape
        x = random.uniform(keys[4], (measuring.BATCHES, rows) + shape)
        self.x = [x[i] for i in range(measuring.BATCHES)]
        self.loss, code, reconstruct = objective((encoder, decoder, head, nll, seen), rows)
        self.code, self.seen = jax.jit(code), jax.jit(reconstruct)

    def step(self, n):
        x = self.x[n % measuring.BATCHES]
        self.p, self.m, self.v, self.s, value = train_step(self.loss, self.p, self.m, self.v, self.s, x, jnp.int32(n))
        return float(value)

    def reconstruct(self, n):
        self.seen(self.p, self.s, self.x[n % measuring.BATCHES]).block_until_ready()

    def encode(self, n):
        self.code(self.p, self.s, self.x[n % measuring.BATCHES]).block_until_ready()


measuring.report(f"JAX {jax.__version__}", "jit", o, Peer)
