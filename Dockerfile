# The program in a small image:
#   docker build -t gan .
#   docker run --rm -v "$PWD:/data" -w /data gan train --data photographs --out run --time 3m
FROM debian:bookworm-slim AS build
COPY . /srv/gan.cpp
WORKDIR /srv/gan.cpp
RUN scripts/package.sh

FROM debian:bookworm-slim
COPY --from=build /srv/gan.cpp/build/packages/gan_*.deb /srv/
RUN apt-get update && apt-get install -y --no-install-recommends /srv/gan_*.deb && rm -rf /var/lib/apt/lists/* /srv/*
ENTRYPOINT ["gan"]
