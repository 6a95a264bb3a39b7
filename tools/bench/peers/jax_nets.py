"""The workloads in JAX: a layer is a pair of functions, make(key, shape) -> (parameters, state, shape of the result)
and use(parameters, state, x, training) -> (result, state after). Images are [B, H, W, C]."""
import math

import jax
import jax.numpy as jnp
from jax import lax, random

LAYOUT = ("NHWC", "HWIO", "NHWC")


def uniform(key, shape, fan_in):
    return random.uniform(key, shape, minval=-(fan_in**-0.5), maxval=fan_in**-0.5)


def plain(f, shape_of=lambda s: s):
    """A layer without parameters."""
    return (lambda key, shape: ({}, {}, shape_of(shape))), (lambda p, s, x, training: (f(x), s))


def flatten():
    return plain(lambda x: x.reshape(x.shape[0], -1), lambda s: (math.prod(s),))


def image(shape):
    return plain(lambda x: x.reshape(x.shape[0], *shape), lambda s: shape)


relu, leaky, tanh = plain(jax.nn.relu), plain(lambda x: jax.nn.leaky_relu(x, 0.01)), plain(jnp.tanh)


def dense(n):
    def make(key, shape):
        return {"w": uniform(key, (shape[0], n), shape[0]), "b": jnp.zeros(n)}, {}, (n,)

    return make, lambda p, s, x, training: (x @ p["w"] + p["b"], s)


def conv(n, size, stride):
    pad = ((size // 2, size // 2),) * 2

    def make(key, shape):
        h, w, c = shape
        p = {"w": uniform(key, (size, size, c, n), size * size * c), "b": jnp.zeros(n)}
        return p, {}, (-(-h // stride), -(-w // stride), n)

    def use(p, s, x, training):
        return lax.conv_general_dilated(x, p["w"], (stride, stride), pad, dimension_numbers=LAYOUT) + p["b"], s

    return make, use


def conv_up(n, size):
    """Transposed, doubles the image."""

    def make(key, shape):
        h, w, c = shape
        return {"w": uniform(key, (size, size, c, n), size * size * n), "b": jnp.zeros(n)}, {}, (2 * h, 2 * w, n)

    def use(p, s, x, training):
        return lax.conv_transpose(x, p["w"], (2, 2), "SAME", dimension_numbers=LAYOUT) + p["b"], s

    return make, use


def batch_norm():
    def make(key, shape):
        c = shape[-1]
        return {"scale": jnp.ones(c), "shift": jnp.zeros(c)}, {"mean": jnp.zeros(c), "var": jnp.ones(c)}, shape

    def use(p, s, x, training):
        mean, var = s["mean"], s["var"]
        if training:
            mean = x.mean((0, 1, 2))
            var = jnp.square(x - mean).mean((0, 1, 2))
            n = x.size // x.shape[-1]
            s = {"mean": 0.9 * s["mean"] + 0.1 * mean, "var": 0.9 * s["var"] + 0.1 * var * n / (n - 1)}
        return (x - mean) * (lax.rsqrt(var + 1e-5) * p["scale"]) + p["shift"], s

    return make, use


def serial(*layers):
    def make(key, shape):
        ps, ss = [], []
        for (of, _), k in zip(layers, random.split(key, len(layers))):
            p, s, shape = of(k, shape)
            ps.append(p), ss.append(s)
        return ps, ss, shape

    def use(ps, ss, x, training):
        after = []
        for (_, f), p, s in zip(layers, ps, ss):
            x, s = f(p, s, x, training)
            after.append(s)
        return x, after

    return make, use


def block(width):
    make, inner = serial(conv(width, 3, 1), batch_norm(), relu, conv(width, 3, 1), batch_norm())

    def use(p, s, x, training):
        y, s = inner(p, s, x, training)
        return jax.nn.relu(x + y), s

    return make, use


def mlp(widths):
    return [layer for w in widths for layer in (dense(w), relu)]


def bernoulli(raw, x):
    return jnp.sum(jnp.maximum(raw, 0) - raw * x + jnp.log1p(jnp.exp(-jnp.abs(raw))))


def net(name):
    """Encoder, decoder, latents, nll(raw, x) summed, and what a reconstruction is of raw."""
    if name in ("mlp_vae", "deep_mlp_vae"):
        hidden, latent = ((400,), 20) if name == "mlp_vae" else ((512, 512), 32)
        back = [*mlp(reversed(hidden)), dense(784)]
        return serial(flatten(), *mlp(hidden)), serial(*back), latent, bernoulli, jax.nn.sigmoid
    if name == "conv_vae":
        down = [conv(32, 3, 2), relu, conv(64, 3, 2), relu, flatten()]
        up = [dense(3136), relu, image((7, 7, 64)), conv_up(32, 4), relu, conv_up(1, 4)]
        return serial(*down), serial(*up), 32, bernoulli, jax.nn.sigmoid
    if name == "deep_conv_vae":
        down = [layer for w in (32, 64, 128, 256, 512) for layer in (conv(w, 3, 2), batch_norm(), leaky)]
        up = [layer for w in (256, 128, 64, 32, 32) for layer in (conv_up(w, 3), batch_norm(), leaky)]
        back = [dense(2048), image((2, 2, 512)), *up, conv(3, 3, 1), tanh]
        return serial(*down, flatten()), serial(*back), 128, lambda r, x: jnp.sum(jnp.square(r - x)), lambda r: r
    stage = lambda w: [block(w), block(w)]
    down = [conv(64, 3, 1), *stage(64), conv(128, 3, 2), *stage(128), conv(256, 3, 2), *stage(256), flatten()]
    up = [dense(16384), image((8, 8, 256)), *stage(256), conv_up(128, 4), *stage(128), conv_up(64, 4), *stage(64)]
    return (serial(*down), serial(*up, conv(3, 3, 1)), 128, lambda r, x: 0.5 * jnp.sum(jnp.square(r - x)), lambda r: r)
