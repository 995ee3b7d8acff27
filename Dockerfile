# The service as an image: as a user without rights, on a file system that it only reads.
#
#     docker build -t corpus-guardrail .
#     docker compose up
# The search kernels are compiled for this kind of processor; on another one, at the start, into
# /run/kernels.
FROM python:3.12-slim AS build
WORKDIR /source
COPY . .
RUN python -m venv /opt/guardrail \
    && /opt/guardrail/bin/pip install --no-cache-dir -c constraints.txt '.[server,postgres,redis,otel]'

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home guardrail \
    && install -d -o 10001 -g 10001 /data /run/kernels
COPY --from=build /opt/guardrail /opt/guardrail
ENV PATH=/opt/guardrail/bin:$PATH \
    NUMBA_CACHE_DIR=/run/kernels \
    GUARDRAIL_LISTEN__HOST=0.0.0.0 \
    GUARDRAIL_STORES__DATABASE=sqlite:////data/guardrail.db
USER 10001
WORKDIR /data
EXPOSE 8080
HEALTHCHECK --interval=10s --start-period=120s CMD ["python", "-c", \
    "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/livez', timeout=5)"]
ENTRYPOINT ["guardrail", "serve"]
