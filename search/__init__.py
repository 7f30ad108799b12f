import config  # noqa: F401 - silences the libraries that the modules of this package import
