"""How Sphinx builds these pages: sphinx-build -W --keep-going docs site."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

project = "finetune-harness"
author = "the authors of finetune-harness"
version = release = version("finetune-harness")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Pieces of other pages.
exclude_patterns = ["defects/matrix.md", "notebook"]
html_theme = "furo"
html_title = "finetune-harness"
html_static_path: list[str] = []
html_show_sphinx = False
html_copy_source = False

# Markdown as GitHub shows it: the same links, anchors and formulas.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
# The notebook is shown with the outputs that are stored in it; a test runs it.
nb_execution_mode = "off"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
html_math_renderer = "mathml"


def _inline(translator: object, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: object, node: nodes.math_block) -> None:
    translator.body.append(tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def _place_further_pages(app: Sphinx, page: str, source: list[str]) -> None:
    """A page that has no place in the index yet stands under "More", so that no page can be forgotten."""
    if page == "index":
        lines = source[0].splitlines()
        pages = sorted(path.stem for path in Path(app.srcdir).glob("*.md") if path.stem not in ("index", *lines))
        source[0] = source[0].replace("FURTHER PAGES", "\n".join(pages))


def setup(app: Sphinx) -> None:
    """Formulas become MathML when the pages are built: a page that is open loads no script from elsewhere."""
    app.connect("source-read", _place_further_pages)
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))
