"""Texts that SQL has the running service embed."""

import statistics
import time

import psycopg

WITHIN = 1.0  # seconds


def test_a_new_text_is_embedded_within_a_second(served, ask):
    ask("search", texts=[{"text": "warm"}])  # the model is loaded
    took = []
    with psycopg.connect(served.database(), autocommit=True) as connection:
        for text in ("a purple ring", "紫色圆环", "two orange crosses", "两个橙色十字形", "a striped star"):
            started = time.monotonic()
            connection.execute("CALL images.embed_text('things', %s)", [text])
            took.append(time.monotonic() - started)
            found = connection.execute("SELECT * FROM images.search_text('things', %s, 5)", [text]).fetchall()
            assert len(found) == 5
    assert statistics.median(took) < WITHIN
