"""The cost of a scrape: watchd beside other exporters, in one run on one private engine (`make bench`).

exporters.py             the exporters, each run as a process of its own
docker_py_exporter.py    one of them: the exporter that people write with docker-py
floor.c, floor.py        the least that it can cost: a program in C that reads the same files and does nothing else
measure.py               scraping them, and the CPU time that they and the engine take for it
table.py                 what is printed
cleaning.py              apart from that: what planning and removing take
starting.py              the same: the size of the image, and how soon watchd is ready
scale.py                 the same: 1,000 running containers, and what a burst of short ones leaves
tail.py                  the same: the slowest scrapes while the page is open, plans are made and containers come and go
walking.py               the same: what `df --deep` takes for a million files, beside `du`
__main__.py              `python -m tests.bench [--containers 10,100,300]`
"""
