# The bot in a container; how to run it is in the README under "Operating it".
# To train in it too, build it with the extra: docker build --build-arg EXTRA=train -t chinwag .

FROM python:3.12-slim AS build
ARG EXTRA=""
WORKDIR /src
RUN python -m venv /venv
COPY .ci/constraints.txt .ci/constraints-train.txt ./
# First what others wrote, in the versions that were tested: this layer stays when only Chinwag changes.
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r "constraints${EXTRA:+-$EXTRA}.txt"
COPY pyproject.toml README.md LICENSE ./
COPY bot bot
COPY model model
COPY training training
RUN /venv/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
RUN useradd --uid 10001 --user-group --home-dir /data --no-create-home chinwag \
    && install --directory --owner=chinwag --group=chinwag /data /data/models
COPY --from=build /venv /venv
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    CHINWAG_MODELS=/data/models \
    CHINWAG_METRICS=127.0.0.1:9464
USER chinwag
WORKDIR /data
VOLUME /data
# Without a proxy: one that the container may have for Discord must not be asked for the container itself.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:9464/healthz', timeout=5)"]
ENTRYPOINT ["chinwag"]
CMD ["run"]
