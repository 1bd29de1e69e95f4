# One image for every service of docker-compose.yml.

FROM python:3.11.14-slim-bookworm AS build
WORKDIR /build
ENV UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1 \
    UV_PYTHON_DOWNLOADS=never \
    VIRTUAL_ENV=/opt/venv
COPY pyproject.toml requirements.lock ./
# uv stands in the lock too.
RUN sed -n '/^uv==/,/# via/p' requirements.lock > uv.lock \
 && pip install --no-cache-dir --no-deps --require-hashes -r uv.lock
# What pyproject.toml needs to run, without its extras. Versions and hashes are the lock's: a package that it does not
# name ends the build. Bytecode is made here, for where it runs nothing can be written.
RUN uv venv /opt/venv \
 && uv pip install --require-hashes --constraints requirements.lock -r pyproject.toml
COPY . .
RUN uv build --wheel --require-hashes --build-constraints requirements.lock --out-dir /dist \
 && uv pip install --no-deps /dist/*.whl

FROM python:3.11.14-slim-bookworm
RUN pip uninstall --yes pip setuptools wheel \
 && useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sync \
 && install --directory --owner=sync --group=sync /opt/dagster/storage /var/lib/sync-pipelines
COPY --from=build /opt/venv /opt/venv
COPY dagster.yaml deploy/workspace.yaml /opt/dagster/
# It writes there and to /tmp, and nowhere else.
ENV PATH=/opt/venv/bin:$PATH \
    DAGSTER_HOME=/opt/dagster \
    HOME=/tmp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONUNBUFFERED=1 \
    SYNC_HOME=/var/lib/sync-pipelines
WORKDIR /opt/dagster
USER 10001:10001
# Each service's own health check stands in docker-compose.yml.
ENTRYPOINT ["sync-pipelines"]
CMD ["--help"]
