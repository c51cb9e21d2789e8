"""Real Docker engines on a bare machine, for the tests, `make run` and the benchmarks.

    engine.py     a private engine: dockerd and containerd in their own network namespace and directory
    install.py    the programs that an engine needs, from Debian or Ubuntu
    images.py     images from this machine's own busybox and CPython: no registry is needed
    demo.py       the demonstration of `make run`
    prometheus.py Debian's Prometheus, to scrape and query
    registry.py   Debian's image registry, beside an engine
    swarm.py      engines that are the nodes of one Swarm
    newer.py      the newest Docker, from Debian sid, with either image store
    plugins.py    Compose and buildx, from Debian sid
    rootless.py   an engine of an ordinary user, by RootlessKit
    podman.py     a private Podman, by its socket of Docker's API: root's, or an ordinary user's
    user.py       the user that a rootless engine belongs to
    uml.py        a kernel with cgroup v2, and an engine on it
    systemd.py    a Debian with systemd, in a container
    __main__.py   `python -m tests.harness up|down|run`
    process.py, mountinfo.py, waiting.py    processes, mounts and deadlines

Nothing here reads DOCKER_HOST but `run`, and nothing stops, unmounts or removes what it did not start or make itself.
"""
