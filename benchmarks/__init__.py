"""Every figure that we state, one command each."""

import config  # noqa: F401 - silences the libraries that the modules of this package import
