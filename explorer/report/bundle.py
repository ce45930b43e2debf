"""The one JavaScript library of a page, and the page's own script."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def vega() -> str:
    """Vega as one script without imports, safe inside a script element."""
    import vl_convert

    # Its names `vega` and `vegaLite` are default exports that these modules do not have; vegaEmbed draws.
    return inert(str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")))


@cache
def asset(name: str) -> str:
    """A style sheet or script of this package."""
    text = resources.files("explorer.report").joinpath("assets", name).read_text(encoding="utf-8")
    return inert(text) if name.endswith(".js") else text


def inert(script: str) -> str:
    """`script` without anything that an HTML parser takes for the end of its element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
