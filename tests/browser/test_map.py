"""The map on the page of the service alone: pointers, keys, the list of clusters, and a hundred thousand points."""

from pathlib import Path

import numpy as np
import psycopg
import pytest
from integration.service.conftest import TOKEN
from playwright.sync_api import expect

from image_retrieval.maps.clusters import find_clusters, nearest_cluster, smallest
from image_retrieval.pipeline.mapping import keep_mapped
from image_retrieval.pipeline.upkeep import kept_collections

MANY = 100_000
FRAMES = """async () => {
    const canvas = document.querySelector(".map canvas");
    const box = canvas.getBoundingClientRect();
    const at = (x) => ({clientX: box.left + x, clientY: box.top + 200, pointerId: 1, bubbles: true});
    canvas.setPointerCapture = () => {};
    canvas.dispatchEvent(new PointerEvent("pointerdown", at(300)));
    const times = [];
    let before = performance.now();
    for (let step = 0; step < 60; step += 1) {
        canvas.dispatchEvent(new PointerEvent("pointermove", at(300 + step * 4)));
        await new Promise(requestAnimationFrame);
        await new Promise(requestAnimationFrame);
        times.push((performance.now() - before) / 2);
        before = performance.now();
    }
    canvas.dispatchEvent(new PointerEvent("pointerup", at(540)));
    return times.sort((a, b) => a - b);
}"""


@pytest.fixture(scope="module")
def kept_shots():
    """Where screenshots are kept; that of other modules starts Airflow first."""
    folder = Path(__file__).parents[2] / ".local" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def mapped(served, things):
    keep_mapped(kept_collections(served)["things"].collection, served)
    return things.name


@pytest.fixture(scope="module")
def many(client, served):
    """A collection whose map has a hundred thousand images, which are there by name alone."""
    assert client.post("/api/collections", json={"name": "many"}).status_code == 201
    rng = np.random.default_rng(0)
    middles = 0.1 + 0.8 * rng.random((60, 2))
    places = np.clip(middles[rng.integers(0, 60, MANY)] + 0.02 * rng.standard_normal((MANY, 2)), 0, 1)
    clusters = find_clusters(places[:5000], rng.standard_normal((5000, 4)).astype(np.float32))
    numbers = nearest_cluster(places, smallest(clusters))
    insert = "INSERT INTO retrieval.image (collection, image_id, uri) SELECT 'many', n, n FROM generate_series(1, %s) n"
    with psycopg.connect(served.database()) as connection:
        connection.execute(insert, [MANY])
        ids = [image for (image,) in connection.execute("SELECT id FROM retrieval.image WHERE collection = 'many'")]
        connection.execute("INSERT INTO retrieval.map (collection, model, images) VALUES ('many', 'dual', %s)", [MANY])
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO retrieval.map_cluster (collection, number, level, parent, x, y, images) "
                "VALUES ('many', %s, %s, %s, %s, %s, 1)",
                [(each.number, each.level, each.parent, each.x, each.y) for each in clusters],
            )
            with cursor.copy("COPY retrieval.map_place (image, x, y, cluster, anchor, late, etag) FROM STDIN") as copy:
                for image, (x, y), number in zip(ids, places, numbers, strict=True):
                    copy.write_row([image, x, y, int(number), True, False, "e"])
        connection.commit()
        connection.autocommit = True
        connection.execute("ANALYZE retrieval.image; ANALYZE retrieval.map_place")
    yield "many"
    client.delete("/api/collections/many")


@pytest.fixture
def open_map(chromium, address):
    """Open the map of a collection; fails where a script failed."""
    failures, contexts = [], []

    def go(collection, **options):
        context = chromium.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        contexts.append(context)
        context.add_init_script(f"sessionStorage.setItem('image-retrieval-token', '{TOKEN}')")
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"{address}/#collection={collection}&tab=map")
        page.locator(".map canvas").wait_for()
        page.wait_for_timeout(2500)
        return page

    yield go
    for context in contexts:
        context.close()
    assert failures == []


def seen(page):
    return page.locator(".map canvas").screenshot()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_map_shows_its_images_and_a_click_opens_one(open_map, mapped, kept_shots, theme):
    page = open_map(mapped, color_scheme=theme)
    expect(page.get_by_role("status")).to_contain_text("look alike lie side by side")
    page.screenshot(path=kept_shots / f"map-{theme}.png")
    page.locator(".map canvas").focus()
    for _ in range(3):
        page.keyboard.press("+")
    page.wait_for_timeout(500)
    page.screenshot(path=kept_shots / f"map-near-{theme}.png")
    page.keyboard.press("0")
    page.wait_for_timeout(1000)
    page.keyboard.press("Enter")
    if not page.locator("#viewer[open]").count():  # nothing in the middle: look for an image
        box = page.locator(".map canvas").bounding_box()
        for x in range(40, int(box["width"]), 60):
            for y in range(40, int(box["height"]), 60):
                if not page.locator("#viewer[open]").count():
                    page.mouse.click(box["x"] + x, box["y"] + y)
    expect(page.locator("#viewer")).to_be_visible()
    page.get_by_role("button", name="More like this").click()
    page.locator(".chip").wait_for()
    assert page.locator("#tab-images").get_attribute("aria-selected") == "true"


def test_pointers_wheel_and_keys_move_the_map(open_map, mapped):
    page = open_map(mapped)
    box, views = page.locator(".map canvas").bounding_box(), [seen(page)]
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 120, y + 40, steps=4)
    page.mouse.up()
    for act in (lambda: None, lambda: page.mouse.wheel(0, -400), lambda: page.keyboard.press("ArrowLeft")):
        act()
        page.locator(".map canvas").focus()
        page.wait_for_timeout(400)
        views.append(seen(page))
    page.get_by_role("button", name="Zoom out").click()
    page.wait_for_timeout(400)
    views.append(seen(page))
    assert len(set(views)) == len(views)
    page.get_by_role("button", name="Show everything").click()
    page.wait_for_timeout(1200)
    assert page.locator("#viewer[open]").count() == 0


def test_clusters_are_reached_by_keyboard_in_both_languages(open_map, mapped):
    page = open_map(mapped)
    whole = seen(page)
    clusters = page.get_by_role("navigation", name="Clusters")
    clusters.locator(".cluster").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_timeout(1200)
    assert seen(page) != whole
    expect(clusters.get_by_role("button", name="All clusters")).to_be_focused()
    page.keyboard.press("Enter")
    expect(clusters.get_by_role("heading")).to_have_text("Clusters")
    clusters.locator(".cluster").first.click()
    clusters.get_by_role("button", name="More like its typical image").click()
    page.locator(".chip").wait_for()
    chinese = open_map(mapped, locale="zh-CN")
    expect(chinese.get_by_role("navigation", name="聚类")).to_be_visible()


def test_a_filter_and_a_collection_without_a_map_are_told(open_map, mapped, address, client):
    page = open_map(mapped)
    page.evaluate("""() => { location.hash = 'collection=things&tab=map&filter={"format":"PNG"}'; }""")
    expect(page.get_by_role("status")).to_contain_text("match the filter")
    page.get_by_role("button", name="Show all").click()
    expect(page.get_by_role("status")).to_contain_text("look alike")
    assert client.post("/api/collections", json={"name": "none"}).status_code == 201
    page.goto(f"{address}/#collection=none&tab=map")
    page.reload()
    expect(page.locator(".big")).to_have_text("No map yet")
    client.delete("/api/collections/none")


def test_a_phone_shows_the_map_over_its_clusters(open_map, mapped, kept_shots):
    page = open_map(mapped, viewport={"width": 390, "height": 780}, has_touch=True)
    stage, clusters = (page.locator(name).bounding_box() for name in (".map canvas", ".map-clusters"))
    assert stage["width"] > 340
    assert clusters["y"] >= stage["y"] + stage["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path=kept_shots / "map-phone.png")


def test_a_hundred_thousand_points_are_small_and_move_at_interactive_speed(open_map, many, client, kept_shots):
    answer = client.get("/api/collections/many/map/points")
    assert len(answer.content) == 8 + 14 * MANY
    again = client.get("/api/collections/many/map/points", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    page = open_map(many)
    expect(page.get_by_role("status")).to_contain_text("100,000")
    page.screenshot(path=kept_shots / "map-many.png")
    times = page.evaluate(FRAMES)
    print(f"frames of {MANY} points: median {times[30]:.1f} ms, the slowest of 20 {times[57]:.1f} ms")
    assert times[30] < 100
