"""Colours and shapes, by role, for light and dark pages and for paper.

Specifications name roles (`@accent`); the page or the picture puts the colour in. The categorical
colours follow Okabe and Ito (2008), darkened for light and lightened for dark pages until each has a
contrast of at least 3:1 with the page; wherever they carry meaning, a shape, a label or an order does too.
"""

from __future__ import annotations

from typing import Any

LIGHT = {
    "paper": "#fdfcf9", "ink": "#1f242b", "muted": "#565e69", "faint": "#a9afb8", "grid": "#e7e4dd",
    "accent": "#0b5ea8", "hot": "#b83a06", "good": "#0a7355", "cell": "#eeebe4",
    "c0": "#0b66b3", "c1": "#bf5a12", "c2": "#0a7f5f", "c3": "#8a4aa6", "c4": "#8f6d00", "c5": "#2d89c0",
    "c6": "#b0406f", "c7": "#717984",
    "h0": "#083366", "h1": "#155b9c", "h2": "#3b84bd", "h3": "#74acd3", "h4": "#a9cbe2", "h5": "#cfdfea",
    "h6": "#e3e8ea",
}  # fmt: skip

DARK = {
    "paper": "#14171b", "ink": "#e8eaed", "muted": "#a9b1bc", "faint": "#666f7a", "grid": "#2a2f36",
    "accent": "#79b8f3", "hot": "#ff9a62", "good": "#5fcfa5", "cell": "#20242a",
    "c0": "#6cb2f0", "c1": "#f39a5b", "c2": "#4fc79f", "c3": "#c79ae0", "c4": "#e0bb4c", "c5": "#9bd3f5",
    "c6": "#ef92b9", "c7": "#a8b0ba",
    "h0": "#dcefff", "h1": "#a9d3f7", "h2": "#6fafe0", "h3": "#4285b9", "h4": "#2a618e", "h5": "#1e4668",
    "h6": "#1a3247",
}  # fmt: skip

CATEGORICAL = [f"@c{k}" for k in range(8)]
HEAT = [f"@h{k}" for k in range(7)]

FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', 'Liberation Sans', Arial, sans-serif"

CONFIG: dict[str, Any] = {
    "background": None,
    "font": FONT,
    "view": {"stroke": None},
    "aria": False,
    "axis": {
        "labelColor": "@muted", "titleColor": "@ink", "gridColor": "@grid", "domainColor": "@faint",
        "tickColor": "@faint", "labelFontSize": 12, "titleFontSize": 12.5, "titleFontWeight": "normal",
        "titlePadding": 10, "labelPadding": 5, "gridWidth": 1, "tickSize": 4,
    },
    "legend": {
        "labelColor": "@ink", "titleColor": "@muted", "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": "normal", "orient": "top", "symbolStrokeWidth": 1.5, "columnPadding": 18,
        "offset": 10, "titleOrient": "left", "titlePadding": 12, "labelLimit": 260,
    },
    "header": {"labelColor": "@ink", "titleColor": "@ink"},
    "text": {"color": "@ink", "fontSize": 12},
    "title": {"color": "@ink", "anchor": "start", "fontSize": 14},
    "rule": {"color": "@muted"},
}  # fmt: skip


def paint(spec: Any, colours: dict[str, str]) -> Any:
    """`spec` with every `@role` replaced by its colour."""
    if isinstance(spec, dict):
        return {k: paint(v, colours) for k, v in spec.items()}
    if isinstance(spec, list):
        return [paint(v, colours) for v in spec]
    if isinstance(spec, str) and spec.startswith("@") and spec[1:] in colours:
        return colours[spec[1:]]
    return spec
