"""From turns to a table. Every round has a turn of each proxy: ratios are taken within a round, then their median."""

from collections.abc import Mapping, Sequence
from statistics import median

from tests.bench.load import Turn

Results = Mapping[str, Sequence[Turn]]


def summary(results: Results, peer: str) -> dict[str, dict[str, float]]:
    """Medians by proxy; `x` is the CPU for a request as a part of the peer's in the same round."""
    return {
        name: {
            "cpu_us": median(turn.cpu_us for turn in turns),
            "best_cpu_us": min(turn.cpu_us for turn in turns),
            "x": median(turn.cpu_us / other.cpu_us for turn, other in zip(turns, results[peer], strict=True)),
            "requests_per_second": median(turn.requests_per_second for turn in turns),
            "requests_per_second_and_core": median(1e6 / turn.cpu_us for turn in turns),
            "busy": median(turn.busy for turn in turns),
            "p50_us": median(turn.p50_us for turn in turns),
            "p99_us": median(turn.p99_us for turn in turns),
        }
        for name, turns in results.items()
    }


def table(results: Results, peer: str) -> str:
    """A Markdown table of the summary."""
    lines = [
        f"| proxy | CPU us/request | best | x {peer} | requests/s and core | requests/s | busy | p50 ms | p99 ms |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in summary(results, peer).items():
        lines.append(
            f"| {name} | **{row['cpu_us']:.1f}** | {row['best_cpu_us']:.1f} | **{row['x']:.2f}** "
            f"| {row['requests_per_second_and_core']:,.0f} | {row['requests_per_second']:,.0f} | {row['busy']:.2f} "
            f"| {row['p50_us'] / 1e3:.2f} | {row['p99_us'] / 1e3:.2f} |"
        )
    return "\n".join(lines)
