"""fixsim: a FIX 4.4 exchange that one person starts with one command and a whole team can trust."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("fixsim")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
