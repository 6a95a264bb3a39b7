"""Bars that are no step times: a whole process that draws one sample, and two threads beside a busy loop."""
import os
import statistics
import subprocess
import sys
import tempfile
import time

from comparing import machine


def sample_ms(runner, times=11):
    """Median of whole processes `sample RUN --count 1`, the run being a VAE of W1's size."""
    if not os.access(runner, os.X_OK):
        return {"reason": "there is no model-runner beside elbo-bench"}
    with tempfile.TemporaryDirectory() as folder:
        run, picture = os.path.join(folder, "run"), os.path.join(folder, "one.png")
        quiet = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        train = [runner, "train", "vae", "--data", "shapes", "--data.count", "512", "--data.test-count", "64", "--data.size",
                 "28", "--encoder.hidden", "400", "--decoder.hidden", "400", "--epochs", "1", "--out", run]
        made = subprocess.run(train, **quiet)
        if made.returncode:
            return {"reason": (made.stderr.strip().splitlines() or ["training ended without a word"])[0]}
        took = []
        for _ in range(times):
            began = time.perf_counter()
            done = subprocess.run([runner, "sample", run, "--count", "1", "--out", picture], **quiet)
            took.append(1e3 * (time.perf_counter() - began))
            if done.returncode:
                return {"reason": (done.stderr.strip().splitlines() or ["it ended without a word"])[0]}
    return {"median_ms": round(statistics.median(took), 1), "best_ms": round(min(took), 1)}


def beside_busy(program, seconds, rounds):
    """Step time of W1a with two threads beside a busy loop over that of one thread alone; elbo binds as it likes."""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        return {"reason": "there is one processor only"}
    words = [program, "--json", "--workload", "W1a", "--seconds", f"{seconds:g}", "--threads"]
    ratios = []
    for _ in range(rounds):
        alone = machine.run([*words, "1"], 1, bind=False)
        loop = subprocess.Popen([sys.executable, "-c", "while True: pass"], stdin=subprocess.DEVNULL,
                                preexec_fn=lambda: os.sched_setaffinity(0, {processors[-1]}))
        try:
            beside = machine.run([*words, "2"], 2, bind=False)
        finally:
            loop.kill()
            loop.wait()
        for m in (alone, beside):
            if "reason" in m:
                return {"reason": m["reason"]}
        ratios.append(beside["result"]["median_ms"] / alone["result"]["median_ms"])
    return {"ratio": round(statistics.median(ratios), 3), "ratios": [round(r, 3) for r in ratios]}
