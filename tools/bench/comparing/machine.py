"""The machine: what it is, how busy it is besides us, and fresh processes bound to some of its processors."""
import json
import os
import platform
import resource
import subprocess
import time


def facts_and_flags():
    with open("/proc/cpuinfo") as f:
        lines = dict(line.split(":", 1) for line in f.read().split("\n\n")[0].splitlines() if ":" in line)
    facts = {k.strip(): v.strip() for k, v in lines.items()}
    return facts, facts.get("flags", facts.get("Features", "")).split()


def has_bf16():
    return "avx512_bf16" in facts_and_flags()[1]


def processor():
    facts, flags = facts_and_flags()
    known = [f for f in ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve") if f in flags]
    name = facts.get("model name", platform.machine())
    family = f" (family {facts['cpu family']}, model {facts['model']})" if "model" in facts and "cpu family" in facts else ""
    return f"{name}{family}: {' '.join(known)}"


def memory_gib():
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)


def describe():
    return {"processor": processor(), "processors": len(os.sched_getaffinity(0)), "memory_gib": memory_gib(),
            "kernel": platform.release().split("-")[0], "system": system_name(), "load_before": os.getloadavg()[0]}


def system_name():
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError, AttributeError):
        return platform.system()


def processor_seconds():
    """Seconds all processors have been busy, and that the host has taken away, since the machine started."""
    with open("/proc/stat") as f:
        user, nice, system, _, _, irq, soft, steal = (int(t) / os.sysconf("SC_CLK_TCK") for t in f.readline().split()[1:9])
    return user + nice + system + irq + soft, steal


def bound_to(threads):
    """The last processors: the first one serves most interrupts."""
    return sorted(os.sched_getaffinity(0))[-threads:]


def run(words, threads, environment=None, patience=900, bind=True):
    """Runs a process that prints a line of JSON. Gives {"result" or "reason", "load", "others", "steal", "seconds"};
    others and steal in processors."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "KMP_", "MKL_NUM"))}
    env |= {"PYTHONDONTWRITEBYTECODE": "1"} | (environment or {})
    load, (busy, steal), own, began = os.getloadavg()[0], processor_seconds(), own_seconds(), time.monotonic()
    to = set(bound_to(threads)) if bind else set(os.sched_getaffinity(0))
    child = subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True, preexec_fn=lambda: os.sched_setaffinity(0, to))
    try:
        out, err = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
        err += f"\nstopped after {patience:g} s"
    took = max(time.monotonic() - began, 1e-3)
    busy_after, steal_after = processor_seconds()
    others = max(busy_after - busy - (own_seconds() - own), 0) / took
    found = {"load": round(load, 2), "others": round(others, 3), "steal": round((steal_after - steal) / took, 3),
             "seconds": round(took, 2)}
    return found | outcome(child.returncode, out, err)


def own_seconds():
    """Of processes that have ended and were waited for, and of this one."""
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def outcome(code, out, err):
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    if code == 0 and out.strip():
        try:
            return {"result": json.loads(out.strip().splitlines()[-1])}
        except ValueError:
            lines.append("no JSON came out")
    return {"reason": (lines or [f"ended with {code} and said nothing"])[-1][:200]}
