# One image for web, worker and beat; what it runs is the command of each service in docker-compose.yml.
FROM python:3.13-slim AS packages
# Empty, semantic or multilingual: a model for the ranker. The lock of an extra holds everything else too.
ARG EXTRA=
COPY requirements*.lock /tmp/
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --require-hashes -r /tmp/requirements${EXTRA:+-$EXTRA}.lock

FROM python:3.13-slim
RUN useradd --create-home --uid 1000 paperboy && install -d -o paperboy /var/lib/paperboy
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/paperboy
COPY . .
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 VAR_DIR=/var/lib/paperboy ENVIRONMENT=production
# Static files need no secrets and no services; production names them by content, so they are collected here.
RUN SECRET_KEY=build DATABASE_URL=postgres://build REDIS_URL=redis://build python manage.py collectstatic --noinput
USER paperboy
EXPOSE 8000
CMD ["gunicorn", "digest.wsgi:application", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4"]
