"""The page of a service that runs alone, over a collection in which every tab has something to show."""

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from integration.pictures import SCENES
from integration.service.conftest import TOKEN, as_base64
from PIL import Image
from playwright.sync_api import expect

from image_retrieval.collection import Collection
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline.mapping import keep_mapped
from image_retrieval.service.routes.page import FILES
from image_retrieval.settings import Settings
from image_retrieval.store import trainings
from image_retrieval.store.connection import connect
from image_retrieval.store.duplicates import find_duplicates
from image_retrieval.store.trainings import Begun

CAPTIONED, CAPTIONS = "red-circle/0000", {"en": "four red circles", "zh": "四个红色圆形"}
SHOTS = Path(__file__).parents[2] / ".local" / "screenshots"
DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
TABS = re.findall(r'data-tab="(\w+)"', FILES["index.html"].decode())
READY = {
    "images": ".card.there",
    "duplicates": ".twin",
    "rejected": ".reason",
    "runs": ".tag.success",
    "trainings": ".examples[src]",
    "map": ".map canvas",
    "service": ".chart",
}
LOSSES = [{"step": step, "epoch": step / 4, "loss": 4 / step + 0.8} for step in range(1, 41)]
FIGURES = {
    "steps": 40,
    "steps_in_all": 40,
    "epochs": 10.0,
    "loss_first": 4.8,
    "loss_last": 0.9,
    "images_per_second": 310.4,
}
JUDGED = {
    "recall_at_1": {"crop": 0.91, "re_encoding": 0.99, "colour_shift": 0.84},
    "mean_average_precision": 0.88,
    "groups": 0.7,
}
GATE = {
    "decision": "passed",
    "reason": "it finds more than the one before",
    "held_out": 128,
    "queries": 384,
    "figures": {"trained": JUDGED, "before": JUDGED | {"mean_average_precision": 0.8, "groups": None}},
}
expect.set_options(timeout=120_000)  # a busy machine loads a model slowly


@pytest.fixture(scope="package")
def full(client: httpx.Client, served: Settings, things: Collection) -> str:
    """A collection with a copy of a picture, captions, rejected files, a run, a map, and two trainings, one judged."""
    picture = as_base64(next(iter(SCENES.values())))
    assert client.put("/api/collections/things/images/red-copy/1", json={"base64": picture}).status_code == 200
    find_duplicates(things, served)
    keep_mapped(things, served)
    folder = f"{served.work_uri}trainings/shoes/"
    begun = Begun("shoes", "things", "continue", "models/a", "models/b", {}, f"{folder}pack/", f"{folder}model/")
    store, drawn = ObjectStore(served), io.BytesIO()
    Image.new("RGB", (640, 240), "#e8eef7").save(drawn, "PNG")
    store.write(f"{begun.model}training.json", json.dumps({"state": "finished", "figures": FIGURES}).encode())
    store.write(f"{begun.model}losses.json", json.dumps(LOSSES).encode())
    store.write(f"{begun.model}gate.png", drawn.getvalue())
    with connect(served) as connection:
        connection.execute(
            "UPDATE retrieval.image SET captured_at = timestamp '2024-01-01' + id % 40 * interval '7 days' "
            "WHERE collection = 'things'"
        )
        connection.execute(
            "INSERT INTO retrieval.shown_captions VALUES ('things', 'writer', '{en,zh}') ON CONFLICT DO NOTHING"
        )
        for language, text in CAPTIONS.items():
            connection.execute(
                "INSERT INTO retrieval.caption (image, model, language, etag, digest, text) "
                "SELECT id, 'writer', %s, etag, 'd', %s FROM retrieval.image WHERE image_id = %s "
                "ON CONFLICT DO NOTHING",
                [language, text, CAPTIONED],
            )
        before = Begun("boots", "things", "moby", "models/a", "models/b", {}, f"{folder}boots/", f"{folder}boots/")
        trainings.begin(connection, before, "none")
        connection.commit()  # the next one begins later
        trainings.begin(connection, begun, "one")
        trainings.write_gate(connection, "shoes", GATE, "passed", str(GATE["reason"]))
    return "things"


@pytest.fixture
def open_page(chromium: Any, address: str, full: str) -> Iterator[Callable[..., Any]]:
    """Open the page at an address after #, in a browser of this language; fails where a script of it has failed."""
    contexts, failures = [], []

    def go(hash_: str = "", locale: str = "en-US", token: str = TOKEN, **options: Any) -> Any:
        context = chromium.new_context(**({"viewport": DESKTOP, "locale": locale} | options))
        context.add_init_script(f"sessionStorage.setItem('image-retrieval-token', '{token}')")
        context.set_default_timeout(120_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"{address}/#collection={full}{hash_}")
        page.locator("#status:not(:empty)").wait_for()
        return page

    yield go
    for context in contexts:
        context.close()
    assert failures == []
