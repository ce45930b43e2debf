"""The one JavaScript library of a page, and the page's own script."""

from __future__ import annotations

from functools import cache
from importlib import resources
from importlib.metadata import version

from explorer.kept import kept
from explorer.report import packing


@cache
def vega() -> str:
    """Vega's parser and view as one script without imports, as `packing.deflated` gives it.

    Pages carry compiled specifications, so Vega-Lite and Vega-Embed, two fifths of the whole, stay out.
    Putting it together takes longer than drawing a page, so the script of the installed version is kept
    among the user's cached files; where those cannot be read or written it is made anew.
    """
    return kept(f"vega-view-{version('vl-convert-python')}.txt", _bundled, str)


def _bundled() -> str:
    import vl_convert

    # The address is the name under which the library carries this module; nothing is fetched.
    module = f"https://cdn.jsdelivr.net/npm/vega@{vl_convert.get_vega_version()}/+esm.js"
    drawn = f'import {{parse, View}} from "{module}"; window.vega = {{parse, View}};'
    return packing.deflated(str(vl_convert.javascript_bundle(drawn)))


@cache
def asset(name: str) -> str:
    """A style sheet or script of this package."""
    text = resources.files("explorer.report").joinpath("assets", name).read_text(encoding="utf-8")
    return inert(text) if name.endswith(".js") else text


def inert(script: str) -> str:
    """`script` without anything that an HTML parser takes for the end of its element."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
