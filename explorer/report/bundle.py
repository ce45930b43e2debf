"""The one JavaScript library of a page, and the page's own script."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def vega() -> str:
    """Vega as one script without imports, safe inside a script element."""
    import vl_convert

    # The bundle's own name `vega` is the module's default export, which does not exist; vegaEmbed carries
    # the whole module.
    return inert(str(vl_convert.javascript_bundle("window.vega = vegaEmbed.vega;")))


@cache
def asset(name: str) -> str:
    """A style sheet or script of this package."""
    text = resources.files("explorer.report").joinpath("assets", name).read_text(encoding="utf-8")
    return inert(text) if name.endswith(".js") else text


def inert(script: str) -> str:
    """`script` without anything that an HTML parser takes for the end of its element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
