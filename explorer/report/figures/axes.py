"""Axes that all charts share: doublings in tokens, bytes in GiB, losses in nats."""

from __future__ import annotations

from typing import Any

import altair as alt

from explorer.catalog.metrics import METRICS, Metric

TOKENS = "datum.value >= 1024 ? format(datum.value / 1024, '~r') + 'k' : format(datum.value, '~r')"
POWERS_OF_TWO = [2**k for k in range(0, 25)]
PAGE_COLUMNS = {
    "peak_device_bytes": ("memory_gib", "GiB per GPU"),
    "kv_cache_bytes": ("kv_gib", "GiB"),
    "serving_bytes": ("serving_gib", "GiB"),
}
"""Metrics that pages carry in another unit: column and unit."""


def column(metric: Metric) -> str:
    """The page's column for a metric."""
    return PAGE_COLUMNS.get(metric.name, (metric.name, ""))[0]


def unit(metric: Metric) -> str:
    """The unit a page shows a metric in."""
    return PAGE_COLUMNS.get(metric.name, ("", metric.unit))[1]


def title(metric: Metric) -> str:
    """Label and unit of a metric's axis."""
    if metric.name == "context_length":
        return "Context length c (tokens, 1k = 1,024)"
    return f"{metric.label} ({unit(metric)})"


def context(field: str = "context_length", padding: int = 0) -> alt.X:
    """A horizontal axis of context lengths in doublings, with so many pixels to spare at its ends."""
    return alt.X(
        f"{field}:Q",
        title=title(METRICS["context_length"]),
        scale=alt.Scale(type="log", base=2, nice=False, padding=padding),
        axis=alt.Axis(values=POWERS_OF_TWO, labelExpr=TOKENS, labelFlush=False),
    )


def along(metric: Metric, field: str) -> alt.X:
    """A horizontal axis for any metric: doublings where ratios matter."""
    if metric.name == "context_length":
        # Marks at the ends of the axis stand whole.
        return context(field, padding=10)
    if metric.scale == "log2":
        scale = alt.Scale(type="log", nice=False, padding=12)
        return alt.X(f"{field}:Q", title=title(metric), scale=scale, axis=alt.Axis(format="~s", tickCount=6))
    scale = alt.Scale(zero=False, padding=12)
    return alt.X(f"{field}:Q", title=title(metric), scale=scale)


HALO: tuple[dict[str, Any], ...] = ({"stroke": "@paper", "strokeWidth": 3, "strokeOpacity": 0.85}, {})
"""A name in a chart is written twice: first as a halo of the page's colour, so that it reads on anything."""
ROOM = "width < 340 ? 0 : 1"
"""Opacity of names that have no room on a narrow screen; tooltips still tell them."""
