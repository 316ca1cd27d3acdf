# The operator's image: docker build --tag REPOSITORY:0.1.0 .
# Base images are named by tag: replace each by tag@digest where your registry has them.
ARG BASE=docker.io/library/python:3.13-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /source
# What changes seldom comes first. Everything from outside is pinned by its hash.
COPY requirements/ requirements/
RUN python -m pip install --no-cache-dir --require-hashes -r requirements/uv.txt \
 && uv venv /opt/bitgoeul \
 && uv pip sync --python /opt/bitgoeul --require-hashes requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
COPY deploy/samples/ deploy/samples/
RUN uv build --wheel --build-constraint requirements/dev.txt --require-hashes --out-dir /wheel \
 && uv pip install --python /opt/bitgoeul --no-deps /wheel/*.whl

FROM ${BASE}
COPY --from=build /opt/bitgoeul /opt/bitgoeul
# The root file system is read-only, and logs are to be seen at once.
ENV PATH=/opt/bitgoeul/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
EXPOSE 9400
# Executed as it is: no shell is needed.
ENTRYPOINT ["/opt/bitgoeul/bin/bitgoeul"]
CMD ["run", "--metrics-host=0.0.0.0"]
