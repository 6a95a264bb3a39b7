#!/usr/bin/env python3
"""Values and gradients of ops that do not come from this program, for tests/ops/test_parity.cpp.

Run from the root of the source, with PyTorch (Debian: python3-torch):

    python3 tests/numbers/make_op_numbers.py > tests/golden/op_numbers.txt

The file in the source was written by torch 2.15.0, in f64; 1.13 (Debian) gives the same numbers. A case is a line of CASES here and one
of the same name in the test: sizes of operands, and the function. Operand k holds 1.5 sin(0.7 + 1.9 k + 1.3 i); the
gradients are those of the sum of cos(0.3 + 0.9 i) y_i.

Lines: case, then `operand` and its size, `y` and the values of the result, or `g` and the gradient of the next operand.
"""

import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


BAGS = torch.tensor([[3, 2, 1], [0, 1, 2]])  # rows of a table that are summed


def channels_first(x):
    return x.permute(0, 3, 1, 2)


def channels_last(x):
    return x.permute(0, 2, 3, 1)


def weights(w):
    """[KH, KW, in, out] -> [out, in, KH, KW]"""
    return w.permute(3, 2, 0, 1)


def conv2d(x, w, stride=1, pads=(0, 0, 0, 0), dilation=1, groups=1):
    top, bottom, left, right = pads
    x = F.pad(channels_first(x), (left, right, top, bottom))
    return channels_last(F.conv2d(x, weights(w), stride=stride, dilation=dilation, groups=groups))


def conv_transpose2d(x, w, **more):
    return channels_last(F.conv_transpose2d(channels_first(x), weights(w), **more))


def max_pool_pick(x, a, window, stride):
    y, at = F.max_pool2d(channels_first(x), window, stride, return_indices=True)
    picked = channels_first(a).flatten(2).gather(2, at.flatten(2))
    return channels_last(picked.reshape(y.shape))


def lstm(x, state, w_in, w_state, bias):
    h = state.shape[1] // 2
    return torch.cat(torch.lstm_cell(x, (state[:, :h], state[:, h:]), w_in.T, w_state.T, bias, 0 * bias), 1)


def lstm_step(gates, state, w_state):
    return lstm(gates, state, torch.eye(gates.shape[1]), w_state, torch.zeros(gates.shape[1]))


def gru_step(gates, h, w_state, bias):
    n = gates.shape[1]
    return torch.gru_cell(gates, h, torch.eye(n), w_state.T, torch.zeros(n), bias)


def positive(x):
    return x.abs() + 0.3


def definite(a):
    n = a.shape[-1]
    return a @ a.transpose(-1, -2) / n + 0.5 * torch.eye(n)


def factor(a):
    """Lower triangular, with a diagonal away from 0."""
    return torch.tril(a, -1) + torch.diag_embed(positive(torch.diagonal(a, dim1=-2, dim2=-1)))


X = (2, 5)
CASES = {
    # Arithmetic.
    "add": ([(2, 3), (3,)], lambda a, b: a + b),
    "sub": ([(2, 1), (3,)], lambda a, b: a - b),
    "mul": ([(2, 3), (2, 1)], lambda a, b: a * b),
    "div": ([(2, 3), (3,)], lambda a, b: a / positive(b)),
    "mul_or_zero": ([X, X], lambda a, b: a * b),
    "div_or_zero": ([X, X], lambda a, b: a / positive(b)),
    "neg": ([X], lambda x: -x),
    "max": ([X, X], torch.maximum),
    "min": ([X, X], torch.minimum),
    "pow": ([X, X], lambda a, b: positive(a) ** b),
    "greater": ([X, X], lambda a, b: (a > b) * 1.0),
    "equal": ([X], lambda x: (torch.floor(x) == 0) * 1.0),
    "where": ([X, X, X], lambda c, a, b: torch.where(c > 0, a, b)),
    "abs": ([X], torch.abs),
    "sign": ([X], torch.sign),
    "floor": ([X], torch.floor),
    "exp": ([X], torch.exp),
    "expm1": ([X], torch.expm1),
    "log": ([X], lambda x: torch.log(positive(x))),
    "log1p": ([X], lambda x: torch.log1p(positive(x))),
    "sqrt": ([X], lambda x: torch.sqrt(positive(x))),
    "rsqrt": ([X], lambda x: torch.rsqrt(positive(x))),
    "square": ([X], torch.square),
    "reciprocal": ([X], lambda x: torch.reciprocal(positive(x))),
    "sin": ([X], torch.sin),
    "cos": ([X], torch.cos),
    "tanh": ([X], torch.tanh),
    "erf": ([X], torch.erf),
    "lgamma": ([X], lambda x: torch.lgamma(positive(x))),
    "digamma": ([X], lambda x: torch.digamma(positive(x))),
    "polygamma": ([X], lambda x: torch.polygamma(2, positive(x))),
    "sigmoid": ([X], torch.sigmoid),
    "softplus": ([X], F.softplus),
    "relu": ([X], F.relu),
    "leaky_relu": ([X], lambda x: F.leaky_relu(x, 0.1)),
    "elu": ([X], lambda x: F.elu(x, 0.7)),
    "gelu": ([X], lambda x: F.gelu(x, approximate="tanh")),
    "silu": ([X], F.silu),
    "log_sigmoid": ([X], F.logsigmoid),
    "bernoulli_nll": ([X, X], lambda l, x: F.binary_cross_entropy_with_logits(l, x, reduction="none")),
    "sigmoid_minus": ([X, X], lambda l, x: torch.sigmoid(l) - x),
    "stop_gradient": ([X], lambda x: x * x.detach()),
    # Reductions.
    "sum": ([(2, 3, 4)], lambda x: x.sum((0, 2))),
    "mean": ([(2, 3, 4)], lambda x: x.mean((1,), keepdim=True)),
    "variance": ([(2, 3, 4)], lambda x: x.var((0, 2), unbiased=False)),
    "max_over": ([(2, 3, 4)], lambda x: x.amax((1, 2))),
    "prod": ([(3, 4)], lambda x: x.prod(0)),
    "log_sum_exp": ([(2, 3, 4)], lambda x: torch.logsumexp(x, (0, 2))),
    "softmax": ([(3, 4)], lambda x: torch.softmax(x, 0)),
    "log_softmax": ([(3, 4)], lambda x: torch.log_softmax(x, 1)),
    "argmax": ([(3, 4)], lambda x: torch.argmax(x, 1)),
    "cumsum": ([(3, 4)], lambda x: torch.cumsum(x, 0)),
    "cumsum_reverse": ([(3, 4)], lambda x: x.flip(1).cumsum(1).flip(1)),
    "argsort": ([(3, 4)], lambda x: torch.argsort(x, 1)),
    "sort": ([(3, 4)], lambda x: torch.sort(x, 0, descending=True)[0]),
    "take_along": ([(3, 4)], lambda x: torch.take_along_dim(x, torch.argsort(x, 1), 1)),
    # Shapes.
    "reshape": ([(2, 6)], lambda x: x.reshape(3, 4) ** 2),
    "transpose": ([(2, 3, 4)], lambda x: x.permute(1, 2, 0)),
    "broadcast_to": ([(3, 1)], lambda x: x.expand(2, 3, 2)),
    "slice": ([(3, 5)], lambda x: x[:, 1:4]),
    "pad": ([(2, 3)], lambda x: F.pad(x, (1, 2))),
    "concat": ([(2, 3), (2, 2)], lambda a, b: torch.cat([a, b], 1)),
    "stack": ([(2, 3), (2, 3)], lambda a, b: torch.stack([a, b], -1)),
    "tile": ([(2, 3)], lambda x: x.repeat(2, 3)),
    "flip": ([(2, 3)], lambda x: x.flip(1)),
    "gather": ([(4, 3)], lambda t: t[torch.tensor([3, 2, 1, 0, 1])]),
    "scatter_add": ([(3, 2)], lambda v: torch.zeros(4, 2).index_add(0, torch.tensor([1, 0, 1]), v)),
    "bag_sum": ([(4, 3), (2, 3)], lambda t, w: (t[BAGS] * w[..., None]).sum(1)),
    "bag_rows": ([(2, 3), (2, 2)], lambda w, g: torch.zeros(4, 2).index_add(
        0, BAGS.flatten(), (w[..., None] * g[:, None]).reshape(6, 2))),
    "bag_weights": ([(4, 3), (2, 3)], lambda t, g: (t[BAGS] * g[:, None]).sum(-1)),
    # Products and small matrices.
    "matmul": ([(2, 3), (3, 4)], torch.matmul),
    "matmul_rows": ([(2, 3, 4), (4, 2)], torch.matmul),
    "matmul_batches": ([(2, 3, 4), (2, 4, 2)], torch.matmul),
    "matmul_spread": ([(2, 1, 2, 3), (3, 4, 3)], lambda a, b: a @ b.transpose(-1, -2)),
    "matmul_turned": ([(3, 2), (2, 3, 4)], lambda a, b: a.T @ b),
    "cholesky": ([(2, 3, 3)], lambda a: torch.linalg.cholesky(definite(a))),
    "triangular_solve": ([(3, 3), (2, 3, 2)], lambda l, b: torch.linalg.solve_triangular(factor(l), b, upper=False)),
    "triangular_solve_transposed": (
        [(2, 3, 3), (2, 3, 2)],
        lambda l, b: torch.linalg.solve_triangular(factor(l).transpose(-1, -2), b, upper=True)),
    "log_det": ([(2, 3, 3)], lambda a: torch.logdet(definite(a))),
    # Images.
    "conv2d": ([(1, 4, 5, 2), (3, 2, 2, 3)], lambda x, w: conv2d(x, w, (2, 1), (1, 0, 0, 1))),
    "conv2d_dilated": ([(1, 6, 5, 2), (2, 3, 2, 2)], lambda x, w: conv2d(x, w, 1, (1, 1, 2, 0), (3, 2))),
    "conv2d_groups": ([(2, 3, 3, 4), (2, 2, 2, 6)], lambda x, w: conv2d(x, w, groups=2)),
    "conv2d_depthwise": ([(1, 4, 4, 3), (3, 3, 1, 3)], lambda x, w: conv2d(x, w, 1, (1, 1, 1, 1), groups=3)),
    "conv_transpose2d": ([(1, 3, 2, 2), (3, 3, 3, 2)], lambda x, w: conv_transpose2d(x, w, stride=2, padding=1,
                                                                                      output_padding=1)),
    "conv_transpose2d_groups": ([(1, 2, 3, 4), (2, 2, 1, 4)],
                                lambda x, w: conv_transpose2d(x, w, stride=(2, 1), groups=2, dilation=(1, 2),
                                                              output_padding=(1, 0))),
    "conv1d": ([(2, 6, 2), (3, 2, 3)],
               lambda x, w: F.conv1d(x.transpose(1, 2), w.permute(2, 1, 0), stride=2, padding=2,
                                     dilation=2).transpose(1, 2)),
    "max_pool2d": ([(1, 4, 5, 2)], lambda x: channels_last(F.max_pool2d(channels_first(x), (2, 3), (2, 1)))),
    "max_pool2d_pick": ([(1, 4, 4, 2), (1, 4, 4, 2)], lambda x, a: max_pool_pick(x, a, 2, 2)),
    "avg_pool2d": ([(1, 4, 6, 2)], lambda x: channels_last(F.avg_pool2d(channels_first(x), (2, 3)))),
    "avg_pool2d_overlapping": ([(1, 4, 5, 2)],
                               lambda x: channels_last(F.avg_pool2d(channels_first(x), (2, 3), (1, 2)))),
    "global_avg_pool": ([(2, 2, 3, 2)], lambda x: x.mean((1, 2))),
    "global_max_pool": ([(2, 2, 3, 2)], lambda x: x.amax((1, 2))),
    "upsample_nearest": ([(1, 2, 3, 2)],
                         lambda x: channels_last(F.interpolate(channels_first(x), scale_factor=2, mode="nearest"))),
    "upsample_bilinear": ([(1, 3, 2, 2)], lambda x: channels_last(F.interpolate(
        channels_first(x), size=(5, 4), mode="bilinear", align_corners=False))),
    "downsample_bilinear": ([(1, 5, 4, 1)], lambda x: channels_last(F.interpolate(
        channels_first(x), size=(2, 3), mode="bilinear", align_corners=False))),
    "pixel_shuffle": ([(1, 2, 2, 8)], lambda x: channels_last(F.pixel_shuffle(
        channels_first(x.reshape(1, 2, 2, 4, 2).transpose(3, 4).reshape(1, 2, 2, 8)), 2))),
    # Normalisation and recurrence.
    "batch_norm": ([(3, 4), (4,), (4,), (4,), (4,)],
                   lambda x, m, v, s, b: (x - m) / torch.sqrt(positive(v) + 1e-3) * s + b),
    "layer_norm": ([(2, 3, 4), (4,), (4,)], lambda x, s, b: F.layer_norm(x, (4,), s, b, 1e-3)),
    "group_norm": ([(2, 2, 3, 4), (4,), (4,)],
                   lambda x, s, b: channels_last(F.group_norm(channels_first(x), 2, s, b, 1e-3))),
    "instance_norm": ([(2, 3, 2, 2), (2,), (2,)],
                      lambda x, s, b: channels_last(F.instance_norm(channels_first(x), weight=s, bias=b, eps=1e-3))),
    "lstm_cell": ([(2, 3), (2, 4), (3, 8), (2, 8), (8,)], lstm),
    "lstm_step": ([(2, 8), (2, 4), (2, 8)], lstm_step),
    "gru_step": ([(2, 12), (2, 4), (4, 12), (12,)], gru_step),
}


def operand(k, size):
    n = math.prod(size)
    return torch.tensor([1.5 * math.sin(0.7 + 1.9 * k + 1.3 * i) for i in range(n)]).reshape(size).requires_grad_()


def line(case, what, values):
    print(case, what, *(f"{v:.12g}" for v in values))


def play(case, sizes, function):
    x = [operand(k, size) for k, size in enumerate(sizes)]
    y = function(*x)
    w = torch.tensor([math.cos(0.3 + 0.9 * i) for i in range(y.numel())])
    scalar = (y.reshape(-1) * w).sum() + sum(0 * v.sum() for v in x)  # what is not read has the gradient 0
    gradients = torch.autograd.grad(scalar, x)
    for size in sizes:
        line(case, "operand", size)
    line(case, "y", y.reshape(-1).tolist())
    for g in gradients:
        line(case, "g", g.reshape(-1).tolist())


if __name__ == "__main__":
    print(f"# tests/numbers/make_op_numbers.py, torch {torch.__version__}")
    for name, (sizes, function) in CASES.items():
        play(name, sizes, function)
