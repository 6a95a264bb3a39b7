"""What elbo is held to, per workload. Ratios are the best f32 peer's step time over ours."""

RATIO = {1: {"W1a": 1.45, "W1b": 1.2, "W2a": 1.35, "W2b": 1.2, "W3": 1.8, "W4": 1.4, "W5": 1.5, "W6a": 1.5,
             "W6b": 1.2, "W8": 1.1},
         2: {"W1a": 1.6, "W1b": 1.35, "W2a": 1.5, "W2b": 1.3, "W3": 1.8, "W4": 1.4, "W8": 1.1}}
# Of what the machine's best product does, at one thread.
LIMIT_SHARE = {1: {"W1a": 0.85, "W1b": 0.93, "W2a": 0.88, "W2b": 0.93, "W3": 0.65, "W4": 0.60, "W8": 0.75}}
# Two threads over one, on a quiet machine.
TWO_OVER_ONE = {"W1a": 1.85, "W1b": 1.9, "W2a": 1.85, "W2b": 1.9, "W3": 1.8, "W4": 1.8, "W8": 1.9}
# Peak memory over PyTorch's (its leanest way).
MEMORY = {"W1a": 0.1, "W1b": 0.1, "W2a": 0.1, "W2b": 0.1, "W3": 0.1, "W4": 1 / 3, "W8": 1 / 3}
FIRST_STEP_MS = 300
ALLOCATIONS = 0
SAMPLE_MS = 60  # whole process: model-runner sample RUN --count 1
BESIDE_BUSY = 1.15  # two threads beside a busy loop over one thread alone, step times
