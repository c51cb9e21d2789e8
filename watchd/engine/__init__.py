"""The Docker Engine: one client, the pure conversion of its replies, and the watch on its events."""

import sys
import warnings

# requests, the HTTP client of docker-py, imports a package that guesses the encoding of web pages and takes 3 MiB of
# memory. Without it, requests 2.32 and later assume UTF-8, which engines write, and warn. This must come before any
# module of this package imports requests.
sys.modules.setdefault("charset_normalizer", None)  # type: ignore[arg-type] # for Python: it is not installed
warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
