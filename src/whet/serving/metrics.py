"""Counters and histograms in the text format of Prometheus, version 0.0.4."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Sequence

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Histogram:
    """Counts of observations up to each bound, with their number and sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, name: str) -> list[str]:
        found, total = [], 0
        for bound, count in zip((*map(_number, self._bounds), "+Inf"), self._counts):
            total += count
            found.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*found, f"{name}_sum {self._sum:.9g}", f"{name}_count {total}"]


class Metrics:
    """What a server counts. gauges: the current values of further figures, by name and help."""

    def __init__(self, gauges: dict[tuple[str, str], Callable[[], float]]) -> None:
        self._gauges = gauges
        self.requests: Counter[tuple[str, int]] = Counter()
        self.samples: Counter[str] = Counter()
        self.seconds, self.batches = Histogram(_SECONDS), Histogram(_SIZES)

    def text(self) -> str:
        lines = ["# HELP whet_requests_total Requests by route and status.", "# TYPE whet_requests_total counter"]
        for (route, status), count in sorted(self.requests.items()):
            lines.append(f'whet_requests_total{{route="{route}",status="{status}"}} {count}')
        lines += ["# HELP whet_samples_total Samples by outcome.", "# TYPE whet_samples_total counter"]
        lines += [f'whet_samples_total{{outcome="{name}"}} {count}' for name, count in sorted(self.samples.items())]
        for name, about, histogram in (
            ("whet_request_seconds", "Duration of requests for predictions.", self.seconds),
            ("whet_batch_size", "Samples computed at once.", self.batches),
        ):
            lines += [f"# HELP {name} {about}", f"# TYPE {name} histogram", *histogram.lines(name)]
        for (name, about), value in self._gauges.items():
            lines += [f"# HELP {name} {about}", f"# TYPE {name} gauge", f"{name} {_number(value())}"]
        return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:.9g}"
