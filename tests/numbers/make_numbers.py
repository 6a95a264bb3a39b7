#!/usr/bin/env python3
"""Numbers of 20 training steps that do not come from this program, for tests/plugins/test_numbers.cpp.

Run from the root of the source, with PyTorch and NumPy (Debian: python3-torch python3-numpy):

    python3 tests/numbers/make_numbers.py > tests/golden/training_numbers.txt

The file in the source was written by torch 1.13.0a0 (Debian's 1.13.1) and numpy 1.24.2. Models, gradients and
optimizers are PyTorch's, in f64. Random numbers and initial weights are written down here once more from their
definitions (core/base/philox.hpp, docs/interface.md), so that a seed alone gives them; nothing of the program is run.

Lines: case, step, then names and values: the loss and its terms, means over the rows, before the step's update.
`evaluate`: the same after the last step, with the noise EVALUATED_WITH; `norms`: of every trained tensor then.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

ROWS, VALUES, LATENT, CLASSES, STEPS, EVALUATED_WITH = 16, 12, 3, 3, 20, 7
torch.set_default_dtype(torch.float64)

# Random numbers.


def philox(seed, stream, step, blocks, first=0):
    """Philox4x32-10 of Salmon et al. 2011: counter (block, stream, step), key the seed -> words [blocks, 4]."""
    low = np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    c = [np.arange(first, first + blocks, dtype=np.uint64)] + [
        np.full(blocks, v & 0xFFFFFFFF, dtype=np.uint64) for v in (stream, step, step >> 32)]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [(b >> shift) ^ c[1] ^ np.uint64(k[0]), b & low, (a >> shift) ^ c[3] ^ np.uint64(k[1]), a & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, axis=1).astype(np.uint64)


def fnv1a(text):
    h = 14695981039346656037
    for byte in text.encode():
        h = ((h ^ byte) * 1099511628211) & (2**64 - 1)
    return (h ^ (h >> 32)) & 0xFFFFFFFF


def uniforms_of(words):
    return (np.floor(words.astype(np.float64) / 512) + 0.5) / 2**23


def uniforms(seed, name, n, step=0):
    return uniforms_of(philox(seed, fnv1a(name), step, (n + 3) // 4).reshape(-1)[:n])


def noise(seed, name, step, shape):
    """Box-Muller: each pair of words gives two normals."""
    n = math.prod(shape)
    u = uniforms_of(philox(seed, fnv1a(name), step, (n + 3) // 4))
    r, angle = np.sqrt(-2 * np.log(u[:, 0::2])), 2 * np.pi * u[:, 1::2]
    z = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=2)
    return torch.tensor(z.reshape(-1)[:n].reshape(shape))


def known_answers():
    """Random123's for Philox; "foobar" of FNV's authors is 0x85944171f73967e8 before folding."""
    assert philox(0, 0, 0, 1)[0].tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox(0x299F31D0A4093822, 0x85A308D3, 0x0370734413198A2E, 1, 0x243F6A88)[0].tolist() == [
        0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]
    assert fnv1a("foobar") == 0x85944171 ^ 0xF73967E8


# Weights.


class Weights:
    """Trained tensors by name, made when first asked for; they start as f32 values."""

    def __init__(self, seed):
        self.seed, self.all = seed, {}

    def make(self, name, values, shape):
        start = np.float32(values).astype(np.float64).reshape(shape)
        self.all[name] = torch.tensor(start, requires_grad=True)
        return self.all[name]

    def uniform(self, name, shape, low, high):
        if name in self.all:
            return self.all[name]
        return self.make(name, low + (high - low) * uniforms(self.seed, "init/" + name, math.prod(shape)), shape)

    def normal(self, name, shape, mean, deviation):
        """One normal of two uniform numbers, the cosine of Box-Muller."""
        if name in self.all:
            return self.all[name]
        u = uniforms(self.seed, "init/" + name, 2 * math.prod(shape)).reshape(-1, 2)
        return self.make(name, mean + deviation * np.sqrt(-2 * np.log(u[:, 0])) * np.cos(2 * np.pi * u[:, 1]), shape)

    def constant(self, name, value):
        return self.all[name] if name in self.all else self.make(name, [value], (1,))

    def linear(self, x, out, name, init="fan_in_uniform"):
        fan_in = x.shape[1]
        bound = {"fan_in_uniform": 1 / math.sqrt(fan_in), "he_uniform": math.sqrt(6 / fan_in),
                 "glorot_uniform": math.sqrt(6 / (fan_in + out))}[init]
        b = 1 / math.sqrt(fan_in) if init == "fan_in_uniform" else 0
        weight = self.uniform(name + ".weight", (fan_in, out), -bound, bound)
        return x @ weight + self.uniform(name + ".bias", (out,), -b, b)


ACTIVATIONS = {
    "relu": F.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "silu": F.silu, "elu": F.elu,
    "softplus": lambda x: stable_softplus(x), "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01)}


def stable_softplus(x):
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))


class Net:
    def __init__(self, role, width, activation, init):
        self.role, self.width, self.activation, self.init = role, width, ACTIVATIONS[activation], init

    def __call__(self, w, x):
        return self.activation(w.linear(x, self.width, self.role + ".hidden0", self.init))

    def raw(self, w, z):
        return w.linear(self(w, z), VALUES, self.role + ".output", self.init)


# Parts of models.


def gaussian_parameters(w, h):
    return w.linear(h, LATENT, "posterior.mean"), 10 * torch.tanh(w.linear(h, LATENT, "posterior.log_var") / 10)


def drawn(mu, log_var, at):
    return mu + torch.exp(log_var / 2) * noise(at.seed, at.purpose + "/posterior/0", at.step, mu.shape)


def log_normal(z, mu, log_var):
    return -0.5 * (math.log(2 * math.pi) + log_var + (z - mu) ** 2 / torch.exp(log_var)).sum(-1)


def kl_to_standard(mu, log_var):
    return 0.5 * (mu**2 + torch.exp(log_var) - 1 - log_var).sum(1)


def bernoulli(w, logits, x):
    return (logits.clamp(min=0) - logits * x + torch.log1p(torch.exp(-logits.abs()))).sum(1)


def gaussian_shared(w, mu, x, scale=0.5, floor=1e-3):
    lowest = 2 * math.log(floor)
    start = lowest + math.log(math.expm1(2 * math.log(scale) - lowest))
    log_var = lowest + stable_softplus(w.constant("likelihood.log_var", start) - lowest)
    return -torch.distributions.Normal(mu, torch.exp(log_var / 2)).log_prob(x).sum(1)


def mse(w, mu, x):
    return ((x - mu) ** 2).sum(1)


class At:
    """Where noise comes from, and how far training is."""

    def __init__(self, seed, purpose, step, epoch):
        self.seed, self.purpose, self.step, self.epoch = seed, purpose, step, epoch


# Models: (weights, x, classes, at) -> loss, terms, mean reconstruction. Each [rows].


def ae(encoder, decoder):
    def model(w, x, classes, at):
        raw = decoder.raw(w, w.linear(encoder(w, x), LATENT, "posterior.code"))
        return mse(w, raw, x), {"reconstruction": mse(w, raw, x)}, raw

    return model


def vae(encoder, decoder, nll=bernoulli, mean=torch.sigmoid, beta=1, warmup=0, components=0):
    def model(w, x, classes, at):
        mu, log_var = gaussian_parameters(w, encoder(w, x))
        z = drawn(mu, log_var, at)
        reconstruction = nll(w, decoder.raw(w, z), x)
        if components:
            u = w.normal("prior.pseudo_inputs", (components, VALUES), 0.5, 0.25).clamp(0, 1)
            each = log_normal(z[:, None, :], *(p[None, :, :] for p in gaussian_parameters(w, encoder(w, u))))
            kl = log_normal(z, mu, log_var) - torch.logsumexp(each, 1) + math.log(components)
        else:
            kl = kl_to_standard(mu, log_var)
        weight = beta * min(at.epoch / warmup, 1) if warmup else beta
        return reconstruction + weight * kl, {"reconstruction": reconstruction, "kl": kl}, mean(decoder.raw(w, mu))

    return model


def cvae(encoder, decoder):
    def model(w, x, classes, at):
        mu, log_var = gaussian_parameters(w, torch.cat([encoder(w, x), classes], 1))
        raw = lambda z: decoder.raw(w, torch.cat([z, classes], 1))
        reconstruction, kl = bernoulli(w, raw(drawn(mu, log_var, at)), x), kl_to_standard(mu, log_var)
        return reconstruction + kl, {"reconstruction": reconstruction, "kl": kl}, torch.sigmoid(raw(mu))

    return model


def factor(encoder, decoder, critic, gamma=10):
    def model(w, x, classes, at):
        mu, log_var = gaussian_parameters(w, encoder(w, x))
        z = drawn(mu, log_var, at)
        log_odds = lambda c: w.linear(critic(w, c), 1, "model.log_odds")[:, 0]
        reconstruction, kl = bernoulli(w, decoder.raw(w, z), x), kl_to_standard(mu, log_var)
        correlation, still = log_odds(z), z.detach()
        mixed = torch.stack([torch.roll(still[:, j], -(j + 1)) for j in range(LATENT)], 1)
        logits = torch.cat([log_odds(still), log_odds(mixed)])
        targets = torch.cat([torch.ones(len(z)), torch.zeros(len(z))])
        both = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        terms = {"reconstruction": reconstruction, "kl": kl, "total_correlation": correlation,
                 "critic_loss": 0.5 * (both[: len(z)] + both[len(z):])}
        return reconstruction + kl + gamma * correlation, terms, torch.sigmoid(decoder.raw(w, mu))

    return model


# Cases.


def nets(encoder="tanh", decoder="softplus", encoder_init="fan_in_uniform", decoder_init="he_uniform"):
    return Net("encoder", 14, encoder, encoder_init), Net("decoder", 10, decoder, decoder_init)


def adam(**more):
    return lambda all: torch.optim.Adam(all, **{"lr": 0.01, **more})


def adamw(**more):
    return lambda all: torch.optim.AdamW(all, **{"lr": 0.01, **more})


def sgd(**more):
    return lambda all: torch.optim.SGD(all, **more)


class Lion(torch.optim.Optimizer):
    """Chen et al. 2023, algorithm 2."""

    def __init__(self, all, lr, betas, weight_decay):
        super().__init__(all, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            first, second = group["betas"]
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                c = first * m + (1 - first) * p.grad
                p -= group["lr"] * (torch.sign(c) + group["weight_decay"] * p)
                m.mul_(second).add_((1 - second) * p.grad)


def of(kind, **more):
    return lambda all: kind(all, **more)


BIG_SEED = 0x9E3779B97F4A7C15
CASES = {
    "ae_mse": (ae(*nets("relu", "tanh", "fan_in_uniform", "glorot_uniform")), adam(), {}),
    "vae_bernoulli": (vae(*nets()), adam(), {}),
    "vae_gaussian": (vae(*nets("silu", "elu", "glorot_uniform", "fan_in_uniform"), nll=gaussian_shared,
                         mean=lambda mu: mu, beta=0.7, warmup=3), adam(), {"seed": BIG_SEED, "steps_per_epoch": 4}),
    "vae_vamp": (vae(*nets("gelu", "relu"), components=5), adam(), {}),
    "cvae": (cvae(*nets("leaky_relu", "sigmoid")), adam(), {}),
    "factor": (factor(*nets("relu", "tanh"), Net("critic", 8, "leaky_relu", "fan_in_uniform")), adam(), {}),
    "adam_decoupled": (vae(*nets()), adamw(weight_decay=0.5), {}),
    "adam_l2": (vae(*nets()), adam(weight_decay=0.5), {}),
    "adam_betas": (vae(*nets()), adam(betas=(0.5, 0.9), eps=1e-3), {}),
    "sgd": (vae(*nets()), sgd(lr=0.1), {}),
    "sgd_momentum": (vae(*nets()), sgd(lr=0.02, momentum=0.9), {}),
    "sgd_nesterov": (vae(*nets()), sgd(lr=0.02, momentum=0.9, nesterov=True), {}),
    "sgd_l2": (vae(*nets()), sgd(lr=0.1, weight_decay=0.5), {}),
    "clip_norm": (vae(*nets()), sgd(lr=0.5), {"max_norm": 0.4}),
    "clip_value": (vae(*nets()), sgd(lr=0.5), {"max_value": 0.02}),
    "adamw": (vae(*nets()), adamw(weight_decay=0.01), {}),
    "rmsprop": (vae(*nets()), of(torch.optim.RMSprop, lr=0.003, alpha=0.9, eps=1e-4), {}),
    "rmsprop_centered": (vae(*nets()), of(torch.optim.RMSprop, lr=0.003, alpha=0.9, eps=1e-2, momentum=0.5,
                                          weight_decay=0.1, centered=True), {}),
    "adagrad": (vae(*nets()), of(torch.optim.Adagrad, lr=0.05, weight_decay=0.1, initial_accumulator_value=0.01), {}),
    "lion": (vae(*nets()), of(Lion, lr=0.003, betas=(0.8, 0.95), weight_decay=0.2), {}),
}


def table():
    i, j = np.arange(ROWS)[:, None], np.arange(VALUES)[None, :]
    x = np.float32(0.5 + 0.45 * np.sin(0.7 * i + 1.3 * j + 0.11 * i * j))
    return torch.tensor(x.astype(np.float64)), F.one_hot(torch.arange(ROWS) % CLASSES, CLASSES).double()


def line(case, what, names):
    print(case, what, *(f"{name} {float(value):.17g}" for name, value in names.items()))


def means(loss, terms):
    return {"loss": loss.mean(), **{name: term.mean() for name, term in terms.items()}}


def play(case, model, optimizer, seed=11, steps_per_epoch=1, max_norm=None, max_value=None):
    w, (x, classes) = Weights(seed), table()
    model(w, x, classes, At(seed, "train", 1, 0))
    critic = [p for name, p in w.all.items() if name.startswith(("critic.", "model."))]
    others = [p for name, p in w.all.items() if not name.startswith(("critic.", "model."))]
    optimizer = optimizer(list(w.all.values()))
    for step in range(1, STEPS + 1):
        loss, terms, _ = model(w, x, classes, At(seed, "train", step, (step - 1) / steps_per_epoch))
        line(case, step, means(loss, terms))
        for objective, over in ((loss, others), (terms.get("critic_loss"), critic)):
            gradients = torch.autograd.grad(objective.mean(), over, retain_graph=True) if over else []
            norm = math.sqrt(sum(float((g**2).sum()) for g in gradients))
            for p, g in zip(over, gradients):
                p.grad = g * min(1, max_norm / norm) if max_norm else g
                if max_value:
                    p.grad = p.grad.clamp(-max_value, max_value)
        optimizer.step()
    with torch.no_grad():
        loss, terms, mean = model(w, x, classes, At(seed, "evaluate", EVALUATED_WITH, math.inf))
        line(case, "evaluate", {**means(loss, terms), "squared_error": mse(w, mean, x).mean()})
    line(case, "norms", {name: p.detach().norm() for name, p in w.all.items()})


if __name__ == "__main__":
    known_answers()
    print(f"# tests/numbers/make_numbers.py, torch {torch.__version__}, numpy {np.__version__}")
    for name, (model, optimizer, more) in CASES.items():
        play(name, model, optimizer, **more)
