"""On the page of the service alone: a part of a picture, chosen images, when pictures were taken, two searches at once.

Each control by pointer, by keyboard, and on a phone.
"""

import io
from pathlib import Path

import psycopg
import pyarrow.parquet as pq
import pytest
from integration.pictures import SCENES
from integration.service.conftest import TOKEN, address, client, served, things  # noqa: F401
from playwright.sync_api import expect

from image_retrieval.collection import ModelOptions
from image_retrieval.models.shipped import VISION
from image_retrieval.pipeline.switching import roll_back, switch_collection
from image_retrieval.store.duplicates import find_duplicates

expect.set_options(timeout=120_000)  # a busy machine loads a model slowly
IDS = sorted(key.rpartition(".")[0] for key in SCENES)
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
SHOTS = Path(__file__).parents[2] / ".local" / "screenshots"


@pytest.fixture(scope="module")
def dated(served, things):  # noqa: F811
    """The images were taken one a week."""
    with psycopg.connect(served.database()) as connection:
        for at, image_id in enumerate(IDS):
            connection.execute(
                "UPDATE retrieval.image SET captured_at = timestamp '2024-01-01' + %s * interval '7 days' "
                "WHERE collection = 'things' AND image_id = %s",
                [at * at % 40, image_id],
            )
    find_duplicates(things.model_copy(update={"scene_similarity": 0.6}), served)


@pytest.fixture
def captioned(served):  # noqa: F811
    """One image has a caption, so that words can be searched for."""
    change = "UPDATE retrieval.image SET caption = %s WHERE collection = 'things' AND image_id = %s"
    with psycopg.connect(served.database(), autocommit=True) as connection:
        connection.execute(change, ["a star", IDS[0]])
        yield
        connection.execute(change, [None, IDS[0]])


@pytest.fixture
def open_page(chromium, address, dated):  # noqa: F811
    """Open the page at an address after #; fails where a script of it has failed."""
    failures, contexts = [], []

    def go(hash_="", size=WIDE, **options):
        context = chromium.new_context(viewport=size, accept_downloads=True, **options)
        contexts.append(context)
        context.add_init_script(f"sessionStorage.setItem('image-retrieval-token', '{TOKEN}')")
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"{address}/#collection=things{hash_}")
        page.locator(".card.there, .twin").first.wait_for()
        return page

    yield go
    for context in contexts:
        context.close()
    assert failures == []


def shot(page, name):
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(600)
    page.screenshot(path=SHOTS / f"{name}.png")


def found(page):
    page.locator("#results:not(.waiting) .score").first.wait_for()
    return page.locator(".facts .id").all_text_contents()


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_part_is_drawn_in_the_viewer_and_searched_by(open_page, size):
    page = open_page(size=size)
    page.locator(".picture").first.focus()
    page.keyboard.press("o")
    page.locator("#viewer img[src]").evaluate("image => image.decode()")
    page.get_by_role("button", name="Search by a part").click()
    page.locator(".stage img[src]").evaluate("image => image.decode()")
    box = page.locator(".stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.05, box["y"] + box["height"] * 0.1)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.45, box["y"] + box["height"] * 0.6, steps=4)
    page.mouse.up()
    shot(page, f"page-part-{size['width']}")
    page.locator(".cut").get_by_role("button", name="Search").click()
    page.locator(".chip .name", has_text="a part of").wait_for()
    assert found(page)
    left, top, width, height = (
        float(share) for share in page.evaluate("new URLSearchParams(location.hash.slice(1)).get('region')").split(",")
    )
    assert (left, top, width, height) == pytest.approx((0.05, 0.1, 0.4, 0.5), abs=0.03)
    shot(page, f"page-part-found-{size['width']}")


def test_a_part_is_chosen_by_keys_and_at_its_place(open_page):
    page = open_page(f"&image={IDS[0]}")
    found(page)
    page.get_by_role("button", name=f"Search by a part of {IDS[0]}").focus()
    page.keyboard.press("Enter")
    box = page.locator(".box")
    expect(box).to_be_focused()
    for key in ("ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    assert "52%" in box.get_attribute("aria-label")
    page.get_by_label("at this place").check()
    box.press("Enter")
    page.locator(".chip .name", has_text=f"a part of {IDS[0]}, at its place").wait_for()
    assert found(page)[0] == IDS[0]
    assert "region=0.23%2C0.23%2C0.52%2C0.52&place=1" in page.url
    page.get_by_role("button", name="Search by a part of").click()
    expect(page.get_by_label("at this place")).to_be_checked()
    page.keyboard.press("Escape")
    expect(page.locator(".cut")).to_have_count(0)


def test_a_part_of_a_given_picture(open_page, tmp_path):
    page = open_page()
    name, data = next((key, data) for key, data in SCENES.items() if key.endswith(".png"))
    (tmp_path / "mine.png").write_bytes(data)
    page.locator("#file").set_input_files(tmp_path / "mine.png")
    assert found(page)[0] == name.rpartition(".")[0]
    page.get_by_role("button", name="Search by a part of mine.png").click()
    page.locator(".box").press("Enter")
    page.locator(".chip .name", has_text="a part of mine.png").wait_for()
    assert found(page)


@pytest.mark.parametrize("hash_", ["&region=0,0,1,1", "&text=a star&region=0,0,1,1", f"&image={IDS[0]}&region=a,b"])
def test_a_broken_part_in_the_address_is_left_out(open_page, hash_):
    page = open_page(hash_)
    assert "a part of" not in page.locator("#chips").text_content()


def test_images_are_chosen_and_exported(open_page):
    page = open_page()
    page.locator(".card").first.hover()
    page.locator("[data-choice]").nth(0).click()
    page.locator("[data-choice]").nth(3).click(modifiers=["Shift"])
    page.locator(".selection", has_text="4 images chosen").wait_for()
    page.locator(".picture").nth(5).focus()
    page.keyboard.press("x")
    page.locator(".selection", has_text="5 images chosen").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+X")
    page.locator(".selection", has_text="7 images chosen").wait_for()
    page.keyboard.press("x")
    page.locator(".selection", has_text="6 images chosen").wait_for()
    shot(page, "page-chosen")
    wanted = page.locator(".facts .id").all_text_contents()[:4] + page.locator(".facts .id").all_text_contents()[5:7]
    with page.expect_download() as parquet:
        page.get_by_label("with vectors").check()
        page.get_by_role("button", name="Parquet").click()
    table = pq.read_table(io.BytesIO(Path(parquet.value.path()).read_bytes()))
    assert table.column("image_id").to_pylist() == wanted
    assert len(table.column("image_embedding")[0]) > 1
    with page.expect_download() as csv:
        page.get_by_role("button", name="CSV").click()
    assert csv.value.suggested_filename == "things.csv"
    assert Path(csv.value.path()).read_text("utf-8-sig").count("\n") == 7
    page.get_by_role("button", name="Copy ids").click()
    page.get_by_role("status").filter(has_text="6 images copied").wait_for()
    page.get_by_role("tab", name="Runs").click()
    expect(page.locator(".selection")).to_have_count(0)
    page.get_by_role("tab", name="Images").click()
    page.get_by_role("button", name="Choose none").click()
    expect(page.locator(".selection")).to_have_count(0)


def test_more_images_than_a_file_holds_are_saved_in_several(open_page):
    page, files = open_page(), []
    page.on("download", lambda file: files.append(file))
    ids = [IDS[0], *(f"none-{at}" for at in range(9_999)), IDS[1]]
    page.evaluate(
        """async (ids) => {
            const { choose } = await import(new URL("page/selection.js", document.baseURI).href);
            const images = ids.map((image_id) => ({ image_id }));
            choose(images, 0, false);
            choose(images, images.length - 1, true);
        }""",
        ids,
    )
    page.get_by_role("button", name="CSV").click()
    page.get_by_role("status").filter(has_text="10,001 images in 2 files").wait_for()
    assert [file.suggested_filename for file in files] == ["things-1.csv", "things-2.csv"]
    for file, image_id in zip(files, IDS, strict=False):
        _, row = Path(file.path()).read_text("utf-8-sig").splitlines()
        assert image_id in row


def test_images_are_chosen_on_a_phone(open_page):
    page = open_page(size=PHONE, has_touch=True, is_mobile=True)
    page.locator("[data-choice]").first.tap()
    page.locator(".selection").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "page-chosen-390")


def test_several_pairs_are_decided_at_once(open_page):
    page = open_page("&tab=duplicates")
    boxes = page.locator(".twins .check input")
    assert boxes.count() > 2
    expect(page.locator("[data-all]").first).to_be_disabled()
    boxes.nth(0).check()
    boxes.nth(2).click(modifiers=["Shift"])
    shot(page, "page-pairs")
    page.locator("[data-all=different]").click()
    page.get_by_role("status").filter(has_text="3 pairs: different.").wait_for()
    expect(page.locator("[data-verdict=different][aria-pressed=true]")).to_have_count(3)
    page.get_by_label("All pairs").focus()
    page.keyboard.press("Space")
    page.locator("[data-all=duplicate]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-verdict=duplicate][aria-pressed=true]")).to_have_count(boxes.count())


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_bars_filter_by_time(open_page, size):
    page = open_page(size=size)
    bars = page.locator(".bars button")
    assert bars.count() > 10
    shot(page, f"page-time-{size['width']}")
    bars.first.click()
    expect(page.locator(".card")).to_have_count(int(bars.first.get_attribute("title").split(": ")[1].split()[0]))
    start, end = bars.nth(2).bounding_box(), bars.nth(12).bounding_box()
    page.mouse.move(start["x"] + 1, start["y"] + 20)
    page.mouse.down()
    page.mouse.move(end["x"] + 1, end["y"] + 20, steps=5)
    page.mouse.up()
    expect(page.locator(".bars [aria-pressed=true]")).to_have_count(11)
    shot(page, f"page-time-span-{size['width']}")
    page.get_by_role("button", name="Any time").click()
    expect(page.locator(".bars [aria-pressed=true]")).to_have_count(0)
    expect(page.locator(".card")).to_have_count(len(IDS))


def test_bars_filter_by_keys(open_page):
    page = open_page()
    page.locator(".bars button").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(page.locator(".bars [aria-pressed=true]")).to_have_count(1)
    page.locator(".bars [aria-pressed=true]").focus()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".bars [aria-pressed=true]")).to_have_count(page.locator(".bars button").count() - 1)


@pytest.fixture(scope="module")
def second_model(served, things, dated):  # noqa: F811
    """Another model under which the collection has vectors, but which its view does not show."""
    switch_collection(things, ModelOptions(name="vision", source=str(VISION)), "second", served)
    roll_back(things, served)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_two_models_are_compared_side_by_side(open_page, second_model, size):
    page = open_page(f"&image={IDS[0]}", size=size)
    found(page)
    page.locator("#compare select").select_option("model:vision")
    columns = page.locator(".compared section")
    expect(columns).to_have_count(2)
    first, second = (columns.nth(at).locator(".twin").all_text_contents() for at in (0, 1))
    assert len(first) == len(second) == 20
    assert first != second
    for at, told in enumerate(columns.nth(1).locator(".move").all_text_contents()):
        if second[at] in first:
            moved = first.index(second[at]) - at
            assert told.startswith("=" if not moved else f"{'↑' if moved > 0 else '↓'} {abs(moved)}")
        else:
            assert "only here" in told
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    shot(page, f"page-compared-{size['width']}")
    assert "compare=model%3Avision" in page.url
    page.locator("#compare select").focus()
    page.keyboard.press("Home")
    page.locator(".gallery .card").first.wait_for()


def test_two_modes_are_compared(open_page, captioned):
    page = open_page("&text=a star")
    found(page)
    page.locator("#compare select").select_option("mode:words")
    expect(page.locator(".compared section")).to_have_count(2)
    assert page.locator(".compared section").first.locator(".twin").count()
    page.locator(".compared .twin").first.click()
    page.locator(".gallery .card").first.wait_for()
    expect(page.locator(".compared section")).to_have_count(0)
    expect(page.locator("#compare option[value^='mode:']")).to_have_count(0)  # an image is searched in one mode


def test_chinese_has_the_new_controls_too(open_page):
    page = open_page(locale="zh-CN")
    page.locator(".card").first.hover()
    page.locator("[data-choice]").first.click()
    page.get_by_role("button", name="复制 ID").wait_for()
    page.get_by_role("group", name="拍摄时间").wait_for()
    shot(page, "page-chosen-zh")
