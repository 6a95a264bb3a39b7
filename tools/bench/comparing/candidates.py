"""Who is compared: elbo-bench, and the peers that each Python interpreter can run."""
import os
import subprocess

IMAGE_NETS = ("W3", "W4", "W8")
JAX_NETS = ("W1a", "W1b", "W2a", "W2b", "W3", "W4", "W8")  # that peers/jax_nets.py has
PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
# peer: script, its words, only for image nets, counted among the f32 peers
VARIANTS = {
    "eager": ("torch", [], False, True),
    "channels-last": ("torch", ["--channels-last"], True, True),
    "compile": ("torch", ["--compile"], False, True),
    "compile-channels-last": ("torch", ["--compile", "--channels-last"], True, True),
    "max-autotune": ("torch", ["--compile", "max-autotune"], False, True),
    "bf16": ("torch", ["--bf16"], False, False),
    "jax": ("jax", [], False, True),
}
DEFAULT = "eager,channels-last,compile,compile-channels-last,jax"
_VERSION = {
    "torch": "import torch; print(torch.__version__.split('+')[0])",
    "jax": "import jax; print(jax.__version__)",
}


class Candidate:
    def __init__(self, name, words, environment=None, only=None, f32=True, modes=("train", "inference")):
        self.name, self.words, self.environment, self.only, self.f32 = name, words, environment or {}, only, f32
        self.modes = modes

    def takes(self, workload, mode):
        return mode in self.modes and (self.only is None or workload in self.only)


def elbo(program):
    # Its own waiting and binding would do as well; OMP_PROC_BIND is what its peers get.
    return Candidate("elbo", [program, "--json"], {"OMP_PROC_BIND": "true"})


def elbo_bf16(program):
    """Training alone is done in bf16."""
    return Candidate("elbo bf16", [program, "--json", "--precision", "bf16"], {"OMP_PROC_BIND": "true"}, f32=False,
                     modes=("train",))


def peers(pythons, wanted, preload=None):
    """The peers that can be run, and of the others why not: [{"candidate", "reason"}]. With a library to preload, PyTorch
    runs with it too (one that makes MKL take another maker's processor for Intel's)."""
    found, missing = [], []
    for number, python in enumerate(pythons, 1):
        versions = {}
        for library in sorted({VARIANTS[v][0] for v in wanted}):
            versions[library], why = version_of(python, library)
            if why:
                missing.append({"candidate": f"{library}, interpreter {number}", "reason": why})
        for variant in wanted:
            library, words, images, f32 = VARIANTS[variant]
            if not versions[library]:
                continue
            name = f"{library} {versions[library]}" + ("" if library == "jax" else f" {variant}")
            if any(c.name == name for c in found):
                name += f" ({number})"
            script = os.path.join(PEERS, f"{library}_peer.py")
            for also in [None, preload] if preload and library == "torch" else [None]:
                environment = {"OMP_PROC_BIND": "true"} | ({"LD_PRELOAD": also} if also else {})
                found.append(Candidate(name + (" preloaded" if also else ""), [python, script, *words], environment,
                                       JAX_NETS if library == "jax" else IMAGE_NETS if images else None, f32))
    return found, missing


def version_of(python, library):
    try:
        p = subprocess.run([python, "-c", _VERSION[library]], capture_output=True, text=True, timeout=300,
                           env=os.environ | {"JAX_PLATFORMS": "cpu"})
    except OSError as e:
        return None, e.strerror
    except subprocess.TimeoutExpired:
        return None, "its import took more than 300 s"
    if p.returncode == 0:
        return p.stdout.strip().splitlines()[-1], None
    return None, (p.stderr.strip().splitlines() or ["it ended without a word"])[-1]
