#!/usr/bin/env python3
"""PyTorch's side of the benchmark: the workloads of elbo-bench with the same objective, Adam (fused where PyTorch has
it), denormals flushed. Prints one line of JSON (measuring.py). Run it with OMP_PROC_BIND=true.

    torch_peer.py --workload W3 --threads 2 [--compile [MODE]] [--channels-last] [--bf16] [--inference]
"""
import measuring
import torch
from torch_nets import NETS


def blas():
    about = torch.__config__.show()
    for name, mark in (("MKL", "Math Kernel Library"), ("OpenBLAS", "BLAS_INFO=open"), ("BLAS", "BLAS_INFO=")):
        if mark in about:
            return name
    return "no BLAS"


def adam(parameters):
    try:
        return torch.optim.Adam(parameters, 1e-3, fused=True)  # on a CPU from PyTorch 2.4 on
    except (RuntimeError, TypeError):
        return torch.optim.Adam(parameters, 1e-3)


class Peer:
    def __init__(self, o, net, rows):
        self.o, self.rows = o, rows
        self.net, x = NETS[net](), self.data(net, measuring.BATCHES * rows)
        if o.channels_last:
            self.net, x = self.net.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
        self.x = [x[i * rows : (i + 1) * rows] for i in range(measuring.BATCHES)]
        self.parameters = sum(p.numel() for p in self.net.parameters())
        self.optimizer = adam(list(self.net.parameters()))
        if o.inference:
            self.net.eval()
        ready = (lambda f: torch.compile(f, mode=o.compile, dynamic=False)) if o.compile else lambda f: f
        self.objective = ready(self.net.loss)
        if o.inference:
            self.seen, self.code = ready(self.net.reconstruct), ready(self.net.code)

    @staticmethod
    def data(net, rows):
        if net in measuring.TOKENS:
            places, tokens = measuring.TOKENS[net]
            return torch.randint(2, tokens, (rows, places))
        height, width, channels = measuring.SHAPES[net]
        return torch.rand(rows, channels, height, width)

    @staticmethod
    def data(net, n):
        if net in measuring.ENTRIES:
            values, entries = measuring.ENTRIES[net]
            return torch.stack([torch.randperm(values)[:entries] for _ in range(n)])
        height, width, channels = measuring.SHAPES[net]
        return torch.rand(n, channels, height, width)

    def autocast(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.o.bf16)

    def step(self, n):
        self.optimizer.zero_grad()
        with self.autocast():
            loss = self.objective(self.x[n % measuring.BATCHES]) / self.rows
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def reconstruct(self, n):
        with torch.inference_mode(), self.autocast():
            self.seen(self.x[n % measuring.BATCHES])

    def encode(self, n):
        with torch.inference_mode(), self.autocast():
            self.code(self.x[n % measuring.BATCHES])


def main():
    a = measuring.words(__doc__)
    a.add_argument("--compile", nargs="?", const="default", help="torch.compile, and its mode (max-autotune, ...)")
    a.add_argument("--channels-last", action="store_true")
    a.add_argument("--bf16", action="store_true", help="autocast")
    o = a.parse_args()
    if o.compile and not hasattr(torch, "compile"):
        raise SystemExit(f"PyTorch {torch.__version__} has no torch.compile")
    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    torch.set_flush_denormal(True)
    compiled = {None: "eager", "default": "compile"}.get(o.compile, f"compile {o.compile}")
    variant = " ".join([compiled] + ["channels-last"] * o.channels_last + ["bf16"] * o.bf16)
    measuring.report(f"PyTorch {torch.__version__}, {blas()}", variant, o, lambda net, rows: Peer(o, net, rows))


if __name__ == "__main__":
    main()
