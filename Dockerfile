# ossa serve in a container:
#
#     docker build -t ossa .
#     docker run -p 127.0.0.1:8000:8000 ossa            # shows the token that requests must carry
#     docker run -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp -v ossa:/data -e OSSA_TOKEN=... ossa
#
# Everything that is written lies in /data (batch jobs, uploads); the root may be read-only.

FROM python:3.11.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/ossa
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE MANIFEST.in ./
COPY src src
RUN /opt/ossa/bin/pip install -c constraints.txt '.[serve,dicom]' && \
    /opt/ossa/bin/python -m compileall -q /opt/ossa/lib

FROM python:3.11.13-slim-bookworm
LABEL org.opencontainers.image.title="ossa" \
      org.opencontainers.image.description="Finds the bones of the hand in X-rays. For research; not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 ossa && \
    useradd --uid 10001 --gid ossa --home-dir /data --no-create-home --shell /usr/sbin/nologin ossa && \
    install -d -o ossa -g ossa /data
COPY --from=build /opt/ossa /opt/ossa
ENV PATH=/opt/ossa/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/health', timeout=4).close()"]
ENTRYPOINT ["ossa"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--new-token", "--data", "/data"]
