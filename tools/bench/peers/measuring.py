"""What the peers' scripts share: words of the command line, workloads, the clock, and the line of JSON at the end.

It is that of elbo-bench: whole steps on eight batches that lie in memory, after warm-up; the process's peak memory, and
the time from its start to the end of the first step. Needs only Python's standard library.
"""
import argparse
import json
import os
import statistics
import time

# id: net, batch (elbo's are in tools/bench/workload.cpp)
WORKLOADS = {
    "W1a": ("mlp_vae", 128), "W1b": ("mlp_vae", 1024), "W2a": ("deep_mlp_vae", 128), "W2b": ("deep_mlp_vae", 1024),
    "W3": ("conv_vae", 128), "W4": ("deep_conv_vae", 64), "W5": ("draw", 100), "W6a": ("sentence_vae", 64),
    "W6b": ("sentence_vae_10k", 64), "W7": ("mult_vae", 500),
    "W8": ("residual_vae", 64)}
SHAPES = {"mlp_vae": (28, 28, 1), "deep_mlp_vae": (28, 28, 1), "conv_vae": (28, 28, 1), "deep_conv_vae": (64, 64, 3),
          "residual_vae": (32, 32, 3), "draw": (28, 28, 1)}  # height, width, channels
TOKENS = {"sentence_vae": (30, 100), "sentence_vae_10k": (30, 10000)}  # places of a row, tokens there are
ENTRIES = {"mult_vae": (20108, 73)}  # values of a row, and how many of them are 1; given by their numbers
BATCHES = 8


def words(about):
    """The flags that every peer takes."""
    a = argparse.ArgumentParser(description=about)
    a.add_argument("--workload", choices=WORKLOADS, default="W1a")
    a.add_argument("--batch", help="rows; with --inference several, 1,128")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--seconds", type=float, default=5)
    a.add_argument("--steps", type=int, default=0, help="measure exactly so many instead")
    a.add_argument("--warm-up", type=int, default=50)
    a.add_argument("--inference", action="store_true")
    return a


def seconds_since_start():
    with open("/proc/self/stat") as f:
        ticks = int(f.read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def peak_mib():
    with open("/proc/self/status") as f:
        kib = next(line.split()[1] for line in f if line.startswith("VmHWM"))
    return round(int(kib) / 1024, 1)


def times(o, step, at_least=3):
    """Seconds of each step: --steps of them, or as many as fit into --seconds."""
    n, end = 0, time.perf_counter() + o.seconds
    while n < o.warm_up and time.perf_counter() < end:
        step(n)
        n += 1
    out, end = [], time.perf_counter() + o.seconds
    while len(out) < o.steps if o.steps else time.perf_counter() < end or len(out) < at_least:
        began = time.perf_counter()
        step(n)
        out.append(time.perf_counter() - began)
        n += 1
    return out


def summary(took, rows):
    took = sorted(took)
    median = statistics.median(took)
    return {"steps": len(took), "median_ms": round(1e3 * median, 3),
            "p90_ms": round(1e3 * took[round(0.9 * (len(took) - 1))], 3), "best_ms": round(1e3 * took[0], 3),
            "rows_per_s": round(rows / median)}


def report(program, variant, o, peer_of):
    """Measures and prints. peer_of(net, rows) gives an object with `parameters`, step(n) -> loss per row,
    reconstruct(n) and encode(n)."""
    net, own = WORKLOADS[o.workload]
    j = {"program": program, "variant": variant, "threads": o.threads, "workload": net, "id": o.workload,
         "dtype": "bf16" if getattr(o, "bf16", False) else "f32"}
    if o.inference:
        j |= {"mode": "inference", "inference": [inference(o, peer_of, net, int(b)) for b in (o.batch or "1,128").split(",")]}
    else:
        j |= training(o, peer_of(net, int(o.batch or own)), int(o.batch or own))
    print(json.dumps(j | {"rss_mib": peak_mib()}))


def training(o, peer, rows):
    losses = [peer.step(0)]
    first = seconds_since_start()
    took = times(o, lambda n: losses.append(peer.step(n + 1)))
    return {"mode": "train", "batch": rows, **summary(took, rows), "parameters": peer.parameters,
            "first_loss": round(losses[0], 3), "loss": round(losses[-1], 3), "first_step_ms": round(1e3 * first)}


def inference(o, peer_of, net, rows):
    peer = peer_of(net, rows)
    peer.reconstruct(0)
    first = seconds_since_start()
    one = {"batch": rows, "first_ms": round(1e3 * first), **summary(times(o, peer.reconstruct), rows)}
    return one | {"encode_ms": round(1e3 * statistics.median(times(o, peer.encode)), 3)}
