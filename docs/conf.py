"""Settings of the documentation, built by ``make docs`` with warnings as errors."""

from mmwsss import __version__

project = 'mmwsss'
author = 'the mmwsss authors'
copyright = 'the mmwsss authors'
version = release = __version__

extensions = [
    'myst_parser',
    'sphinx.ext.autodoc',
    'sphinx.ext.napoleon',
    'sphinx.ext.mathjax',
    'sphinx.ext.viewcode',
]
exclude_patterns = ['_build']

myst_enable_extensions = ['amsmath', 'colon_fence', 'deflist', 'dollarmath']
myst_heading_anchors = 3

autodoc_member_order = 'groupwise'
autodoc_default_options = {'members': True, 'show-inheritance': True}
autodoc_typehints = 'none'
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [('Shapes', 'params_style')]

html_theme = 'furo'
html_title = f'mmwsss {version}'
