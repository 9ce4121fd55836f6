"""Equations of the pages as MathML, which browsers draw themselves: no script, no other address."""

import html
import re

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.postprocessors import Postprocessor

_FOUND = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<kind>[(\[])(?P<tex>.*?)\\[)\]]</(?P=tag)>',
    re.DOTALL,
)


class _Drawn(Postprocessor):
    """Turns what `pymdownx.arithmatex` found into MathML."""

    def run(self, text: str) -> str:
        return _FOUND.sub(_drawn, text)


def _drawn(found: re.Match[str]) -> str:
    tag, display = found["tag"], "block" if found["kind"] == "[" else "inline"
    return f'<{tag} class="equation">{mathml(html.unescape(found["tex"]), display)}</{tag}>'


def mathml(tex: str, display: str = "inline") -> str:
    """Translate an equation; what the translator does not know stands in it as a command."""
    for pattern, instead in _SAID_OTHERWISE:
        tex = re.sub(pattern, instead, tex)
    return convert(tex, display=display)


_SAID_OTHERWISE = (
    (r"\\arg\\max", r"\\operatorname{argmax}"),
    (r"\\(log|max|operatorname\{\w+\})\s+(?=[A-Za-z\\])", r"\\\1\\,"),  # log p, not logp
    (r"\\[bB]ig([(\[])", r"\\left\1"),  # the closing one of a pair stays small under an exponent
    (r"\\[bB]ig([)\]])", r"\\right\1"),
)
"""What the translator, or a browser, makes too little of, and what says the same."""


class _Equations(Extension):
    """Registers itself to run last, after raw HTML has come back."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        md.postprocessors.register(_Drawn(md), "equations", 0)


def makeExtension(**options: object) -> Extension:  # noqa: N802
    """Make the extension; what Python-Markdown asks a module for."""
    return _Equations(**options)
