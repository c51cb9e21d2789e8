# watchd as a container: see deploy/README.md for what to mount.
#
#   docker build -t watchd .
#
# Without a package index: put the wheels of requirements.lock and of hatchling in a folder `wheels` beside this file, and
# build with --build-arg PIP_OPTIONS="--no-index --find-links wheels".

ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG PIP_OPTIONS=""
WORKDIR /src
COPY . .
RUN python -m venv --without-pip /opt/watchd \
 && pip --python /opt/watchd install --no-cache-dir ${PIP_OPTIONS} --require-hashes -r requirements.lock \
 && pip --python /opt/watchd install --no-cache-dir ${PIP_OPTIONS} --no-deps .

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="watchd" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.description="Watches a Docker host for Prometheus and cleans it by policy" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/watchd /opt/watchd
# The base has no compiled files of Python's library, and the user below could write none: each start, and each health
# check, would compile what it imports. (requests imports netrc when it connects.)
RUN /opt/watchd/bin/python -c \
    "import netrc, watchd.daemon, watchd.config.__main__, watchd.cli.commands.healthcheck, watchd.cli.prune_run"
# A user of no name, whose number is the port's. It needs the group that has the engine's socket: --group-add.
RUN mkdir -p /var/lib/watchd && chown 10210:10210 /var/lib/watchd && chmod 700 /var/lib/watchd
USER 10210:10210
ENV PATH=/opt/watchd/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    WATCHD_HTTP__LISTEN=0.0.0.0:10210
VOLUME /var/lib/watchd
EXPOSE 10210
HEALTHCHECK --interval=30s --timeout=15s --start-period=15s CMD ["watchd", "healthcheck"]
ENTRYPOINT ["watchd"]
CMD ["run"]
