"""The Docker Engine: one client, the pure conversion of its replies, and the watch on its events."""

import sys
import warnings

# requests, which docker-py speaks HTTP with, looks for a package that guesses how a web page is encoded, which takes
# 3 MiB of memory. From 2.32 on it takes what it reads for UTF-8 where there is none, as engines write it, and warns. It
# looks when it is imported: that is told here, before any module of this package can import it.
sys.modules.setdefault("charset_normalizer", None)  # type: ignore[arg-type] # which to Python says that there is none
warnings.filterwarnings("ignore", message="Unable to find acceptable character detection dependency")
