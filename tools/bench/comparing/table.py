"""The tables that a comparison's JSON says: Markdown, for docs/performance.md and the terminal."""
import statistics

from comparing import bars


def step_ms(m):
    """The median time of a measurement; of inference that of its last batch."""
    r = m["result"]
    return r["inference"][-1]["median_ms"] if r["mode"] == "inference" else r["median_ms"]


class Comparison:
    """Questions to the JSON."""

    def __init__(self, result):
        self.result = result
        self.done = [m for m in result["measurements"] if "result" in m]
        self.f32 = {c["name"] for c in result["candidates"] if c["f32"]}
        self.names = [c["name"] for c in result["candidates"]]

    def of(self, workload, threads, mode, candidate):
        return [m for m in self.done if m["workload"] == workload and m["threads"] == threads and m["mode"] == mode
                and m["candidate"] == candidate]

    def over_rounds(self, workload, threads, mode, candidate, value, how=statistics.median):
        """How value(result) is over the rounds; None without any."""
        found = [value(m["result"]) for m in self.of(workload, threads, mode, candidate)]
        return how(found) if found else None

    def cases(self, mode):
        """(workload, threads), as they were measured."""
        return list(dict.fromkeys((m["workload"], m["threads"]) for m in self.result["measurements"] if m["mode"] == mode))

    def best_peer(self, workload, threads, mode, value):
        times = {n: self.over_rounds(workload, threads, mode, n, value) for n in self.names if n != "elbo" and n in self.f32}
        times = {n: t for n, t in times.items() if t is not None}
        return min(times, key=times.get) if times else None

    def ratio(self, workload, threads, mode, value):
        """Best peer's time over ours: the median and the range over the rounds; None where one of them is missing."""
        best = self.best_peer(workload, threads, mode, value)
        ours = self.over_rounds(workload, threads, mode, "elbo", value)
        if best is None or ours is None:
            return None
        peers = {m["round"]: value(m["result"]) for m in self.of(workload, threads, mode, best)}
        each = [peers[m["round"]] / value(m["result"]) for m in self.of(workload, threads, mode, "elbo") if m["round"] in peers]
        middle = self.over_rounds(workload, threads, mode, best, value) / ours
        return {"peer": best, "ratio": middle, "low": min(each, default=middle), "high": max(each, default=middle)}

    def limit(self, workload, threads, key="gflops"):
        found = [m["result"][key] for m in self.result["limits"]
                 if m["workload"] == workload and m["threads"] == threads and "result" in m]
        return max(found, default=None)


MEDIAN = lambda r: r["median_ms"]


def batch_median(rows):
    return lambda r: next(i["median_ms"] for i in r["inference"] if i["batch"] == rows)


def judged(value, bar, at_least=True, digits=2):
    """The value and its bar; bold where it is missed."""
    if value is None:
        return "–"
    text = f"{value:.{digits}f}"
    if bar is None:
        return text
    reached = value >= bar if at_least else value <= bar
    text += f" ({'≥' if at_least else '≤'} {bar:.{digits}f})"
    return text if reached else f"**{text}**"


def ms(value):
    return "–" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def rows_of(head, rows):
    line = lambda cells: "| " + " | ".join(str(c) for c in cells) + " |\n"
    return line(head) + line(["---"] * len(head)) + "".join(map(line, rows)) + "\n"


def times_table(c):
    names = [n for n in c.names if any(m["mode"] == "train" and m["candidate"] == n for m in c.done)]
    rows = []
    for w, t in c.cases("train"):
        cells = [ms(c.over_rounds(w, t, "train", n, MEDIAN)) for n in names]
        if names and names[0] == "elbo":
            cells.insert(1, ms(c.over_rounds(w, t, "train", "elbo", lambda r: r["p90_ms"])))
            cells.insert(2, ms(c.over_rounds(w, t, "train", "elbo", lambda r: r["best_ms"], min)))
        rows.append([w, t, *cells])
    head = ["", "threads", *names]
    if names and names[0] == "elbo":
        head[3:3] = ["90 %", "best"]
    return "Training step [ms], median over the rounds of each process's median:\n\n" + rows_of(head, rows)


def bars_table(c):
    rows = []
    for w, t in c.cases("train"):
        r = c.ratio(w, t, "train", MEDIAN)
        ratio = "–"
        if r:
            ratio = f"{judged(r['ratio'], bars.RATIO.get(t, {}).get(w))}, {r['low']:.2f}–{r['high']:.2f}"
        limit, ours = c.limit(w, t), c.over_rounds(w, t, "train", "elbo", lambda r: r["gflops"])
        share = judged(ours / limit if limit and ours else None, bars.LIMIT_SHARE.get(t, {}).get(w))
        rows.append([w, t, ratio, r["peer"] if r else "–", share, scaling(c, w, t), memory(c, w, t),
                     judged(c.over_rounds(w, t, "train", "elbo", lambda r: r["first_step_ms"]), bars.FIRST_STEP_MS, False, 0),
                     allocations(c, w, t)])
    head = ["", "threads", "best peer / ours, range of rounds", "best peer", "share of the limit", "2 threads over 1",
            "peak memory / PyTorch's", "first step [ms]", "allocations per step, ours + oneDNN's"]
    return "Bars in brackets; bold where one is missed:\n\n" + rows_of(head, rows)


def scaling(c, workload, threads):
    if threads != 2:
        return ""
    one, two = (c.over_rounds(workload, t, "train", "elbo", MEDIAN) for t in (1, 2))
    return judged(one / two if one and two else None, bars.TWO_OVER_ONE.get(workload))


def memory(c, workload, threads):
    """Over that of the leanest way of the first PyTorch that was given; and over another version's that is leaner."""
    ours, versions = c.over_rounds(workload, threads, "train", "elbo", lambda r: r["rss_mib"]), {}
    for n in c.names:
        peak = c.over_rounds(workload, threads, "train", n, lambda r: r["rss_mib"])
        if n.startswith("torch ") and n in c.f32 and peak is not None:
            version = n.split()[1]
            versions[version] = min(peak, versions.get(version, peak))
    if not versions or ours is None:
        return "–"
    first, leanest = next(iter(versions)), min(versions, key=versions.get)
    text = judged(ours / versions[first], bars.MEMORY.get(workload), False)
    return text if leanest == first else f"{text}; {ours / versions[leanest]:.2f} of {leanest}'s"


def allocations(c, workload, threads):
    """Ours, which has the bar, and oneDNN's."""
    most = lambda key: c.over_rounds(workload, threads, "train", "elbo", lambda r: r[key], max)
    ours, library = most("allocations_per_step"), most("dnnl_allocations_per_step")
    return "–" if ours is None else f"{judged(ours, bars.ALLOCATIONS, False, 0)} + {library:.0f}"


def inference_table(c):
    rows = []
    for w, t in c.cases("inference"):
        batches = c.over_rounds(w, t, "inference", "elbo", lambda r: [i["batch"] for i in r["inference"]], lambda all: all[0])
        for b in batches or []:
            value = batch_median(b)
            r = c.ratio(w, t, "inference", value)
            encode = lambda result: next(i["encode_ms"] for i in result["inference"] if i["batch"] == b)
            rows.append([w, t, b, ms(c.over_rounds(w, t, "inference", "elbo", value)),
                         ms(c.over_rounds(w, t, "inference", "elbo", encode)),
                         *([ms(c.over_rounds(w, t, "inference", r["peer"], value)), r["peer"],
                            f"{r['ratio']:.2f}, {r['low']:.2f}–{r['high']:.2f}"] if r else ["–"] * 3)])
    head = ["", "threads", "batch", "elbo", "its codes alone", "best peer", "which", "best peer / ours"]
    return "Reconstruction [ms]:\n\n" + rows_of(head, rows)


def about(result):
    m, s = result["machine"], result["settings"]
    programs = list(dict.fromkeys(x["result"]["program"] for x in result["measurements"] if "result" in x))
    busy = [x["others"] + x["steal"] for x in result["measurements"] + result["limits"]]
    still = sum(x["disturbed"] for x in result["measurements"] + result["limits"] if "disturbed" in x)
    out = f"{result['date']}. {m['processor']}; {m['processors']} processors, {m['memory_gib']} GiB; {m['system']}, Linux {m['kernel']}.\n"
    out += "; ".join(programs) + ".\n"
    measured = f"{s['steps']} steps" if s["steps"] else f"{s['seconds']:g} s"
    out += f"{s['rounds']} rounds of fresh processes in turn, {measured} each. "
    out += f"Load average {m['load_before']:.2f} before and {m.get('load_after', m['load_before']):.2f} after"
    if busy:
        out += (f"; besides the measured process {statistics.median(busy):.2f} processors were busy or stolen in the median "
                f"measurement, {max(busy):.2f} in the worst; {still} of {len(busy)} stayed disturbed (above {s['disturbed']:g}) after "
                f"{s['repeats']} repeats")
    return out + ".\n\n"


def limits_text(c):
    rows = []
    for t in sorted({m["threads"] for m in c.result["limits"] if "result" in m}):
        best = lambda key: max(m["result"][key] for m in c.result["limits"] if m["threads"] == t and "result" in m)
        rows.append([t, f"{best('gflops'):.0f}", f"{best('triad_8mb_gb_s'):.0f}", f"{best('triad_256mb_gb_s'):.0f}"])
    return "The machine's limits:\n\n" + rows_of(["threads", "product [GFLOP/s]", "triad, 8 MB [GB/s]", "256 MB [GB/s]"], rows) if rows else ""


def extras_text(result):
    x, out = result["extras"], []
    if "median_ms" in x.get("sample", {}):
        out.append(f"- a whole process `sample RUN --count 1`: {judged(x['sample']['median_ms'], bars.SAMPLE_MS, False, 0)} ms")
    if "ratio" in x.get("beside_busy", {}):
        r = judged(x["beside_busy"]["ratio"], bars.BESIDE_BUSY, False)
        out.append(f"- W1a on two threads beside a busy loop on one of two processors, over one thread alone: {r}")
    out += [f"- {name.replace('_', ' ')}: not measured, {found['reason']}" for name, found in x.items() if "reason" in found]
    return "\n".join(out) + "\n\n" if out else ""


def faster_peers(c):
    out = []
    for mode in ("train", "inference"):
        for w, t in c.cases(mode):
            for rows in [None] if mode == "train" else c.over_rounds(
                    w, t, mode, "elbo", lambda r: [i["batch"] for i in r["inference"]], lambda all: all[0]) or []:
                r = c.ratio(w, t, mode, MEDIAN if rows is None else batch_median(rows))
                if r and r["ratio"] < 1:
                    what = "training" if rows is None else f"reconstruction of {rows}"
                    out.append(f"- {w}, {what}, {t} thread{'s' if t > 1 else ''}: {r['peer']} takes {r['ratio']:.2f} of our time")
    if len(c.names) == 1:
        return ""
    return "Where a peer is faster:\n\n" + ("\n".join(out) if out else "- nowhere") + "\n\n"


def not_measured(c):
    result, out = c.result, [f"- {m['candidate']}: {m['reason']}" for m in c.result["missing"]]
    failed = {}
    for m in result["measurements"] + [l | {"candidate": "limits", "mode": "limit"} for l in result["limits"]]:
        if "reason" in m:
            failed.setdefault((m["candidate"], m["reason"]), []).append(f"{m['workload']} ({m['mode']}, {m['threads']})")
    out += [f"- {who}: {why}: {', '.join(where)}" for (who, why), where in failed.items()]
    few = {}
    for mode in ("train", "inference"):
        for w, t in c.cases(mode):
            for n in c.names:
                if len(c.of(w, t, mode, n)) == 1 < result["settings"]["rounds"]:
                    few.setdefault(n, []).append(f"{w} ({mode}, {t})")
    out += [f"- {n}, one round only, being {result['settings']['hopeless']:g} times slower than the best: {', '.join(w)}" for n, w in few.items()]
    return "Not measured, or less often:\n\n" + "\n".join(out) + "\n\n" if out else ""


def markdown(result):
    c = Comparison(result)
    text = about(result)
    if c.cases("train"):
        text += times_table(c) + bars_table(c)
    if c.cases("inference"):
        text += inference_table(c)
    return text + extras_text(result) + limits_text(c) + faster_peers(c) + not_measured(c)
