# Like the official one: user 50000 of group 0, a virtual environment at its home, an entrypoint that takes subcommands.
FROM python:3.11-slim-bookworm
RUN useradd --uid 50000 --gid 0 --create-home airflow && install -d -o airflow -g root -m 775 /opt/airflow /opt/airflow/logs
COPY --chmod=755 airflow.sh /entrypoint
ENV PATH=/home/airflow/.local/bin:$PATH AIRFLOW_HOME=/opt/airflow
USER 50000
WORKDIR /opt/airflow
RUN python3 -m venv /home/airflow/.local
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
