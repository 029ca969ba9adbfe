"""How the site is built: `sphinx-build -W -n docs site`, with what `pip install -e '.[docs]'` has.

Nothing is fetched, neither to build it nor to read it: it opens from its folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE), str(HERE.parent / "tests")]

import autonn  # noqa: E402

project = author = "autonn"
version = release = autonn.__version__
project_copyright = "the autonn authors"

extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton",
    "mathml", "reference", "signatures", "links", "foreign", "accessible",
]  # fmt: skip
exclude_patterns = ["extensions", "templates"]
nitpicky = True

# ---- pages: their blocks are run, and what they show is what came out
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_execution_in_temp = True
nb_execution_timeout = 120
nb_output_stderr = "error"  # a warning is an error, here as in the tests
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "deflist", "fieldlist", "colon_fence"]
myst_heading_anchors = 3
myst_update_mathjax = False
html_math_renderer = "mathml"

# ---- reference
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]  # a list: properties have entries
napoleon_use_param = False  # parameters that are told of together stay together
default_role = "name"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
# Types of others: nothing is fetched in order to link to their pages.
nitpick_ignore_regex = [("py:.*", r"(?!autonn).*")]

# ---- what it looks like
html_theme = "furo"
html_title = f"autonn {version}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_logo = "static/logo.svg"
html_favicon = "static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
html_show_sphinx = False
templates_path = ["templates"]
html_theme_options = {"sidebar_hide_name": False, "navigation_with_keys": True}
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True
