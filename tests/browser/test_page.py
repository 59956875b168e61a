"""The page as people use it, in Airflow, with the demo collection."""

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from image_retrieval.collection import find_collection
from image_retrieval.local import airflow
from image_retrieval.scenes import draw_scenes
from image_retrieval.store.duplicates import find_duplicates

ENGLISH, CHINESE = "two red circles", "两个红色圆形"


def _frame(page):
    return page.frame_locator("iframe")


def _search(frame, words):
    frame.locator("#text").fill(words)
    frame.locator("#text").press("Enter")
    frame.locator(".chip .name", has_text=words).wait_for()
    frame.locator(".score").first.wait_for()


def _ids(frame, most=5):
    return frame.locator(".facts .id").all_text_contents()[:most]


@pytest.fixture
def page(open_as):
    page = open_as()
    _frame(page).locator(".card.there").first.wait_for()
    return page


@pytest.fixture
def frame(page):
    return _frame(page)


def test_log_in_open_by_the_navigation_and_search(chromium, base, airflow_settings, shots):
    page = chromium.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.set_default_timeout(120_000)
    page.goto(base)
    page.locator("input[name=username]").fill(airflow.USER)
    page.locator("input[name=password]").fill(airflow.password(airflow_settings))
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Image search").click()
    frame = _frame(page)
    frame.locator(".card.there").first.wait_for()
    _search(frame, ENGLISH)
    assert [one.split("/")[0] for one in _ids(frame, 3)] == ["red-circle"] * 3
    assert re.search(r"\d+ images, best first", frame.get_by_role("status").text_content())
    page.wait_for_timeout(1500)
    page.screenshot(path=shots / "page-light.png")
    page.context.close()


def test_what_is_under_the_cutoff_is_shown_when_asked_for(frame):
    _search(frame, ENGLISH)
    seen = frame.locator(".card").count()
    frame.get_by_role("button", name="Show weaker results").click()
    frame.locator(f".card:nth-child({seen + 1})").wait_for()
    assert frame.get_by_role("button", name="Show weaker results").count() == 0


def test_chinese_finds_what_english_finds(frame):
    _search(frame, CHINESE)
    assert [one.split("/")[0] for one in _ids(frame, 3)] == ["red-circle"] * 3


def test_of_two_searches_the_last_one_is_shown(frame):
    frame.locator("#text").fill("a green star")
    frame.locator("#text").press("Enter")
    frame.locator("#text").fill(ENGLISH)
    frame.locator("#text").press("Enter")
    frame.locator("#results:not(.waiting) .score").first.wait_for()
    frame.locator(".chip .name", has_text=ENGLISH).wait_for()
    assert _ids(frame, 1)[0].startswith("red-circle")


def test_less_of_something_turns_the_results(frame, page, shots):
    _search(frame, "circles")
    before = _ids(frame, 20)
    frame.locator("#text").fill("red")
    frame.locator("#less").click()
    frame.locator(".chip.less").wait_for()
    frame.locator("#results:not(.waiting) .score").first.wait_for()
    after = _ids(frame, 20)
    assert sum(one.startswith("red-") for one in after) < sum(one.startswith("red-") for one in before)
    page.wait_for_timeout(400)  # until pictures have faded in
    page.screenshot(path=shots / "page-minus.png")
    frame.get_by_role("button", name="Remove red").click()
    frame.locator(".chip.less").wait_for(state="detached")


def test_a_dropped_picture_is_searched_by(frame, page, tmp_path: Path):
    scene = next(scene for scene in draw_scenes(60, seed=3) if scene.key.startswith("blue-star"))
    data = list(scene.data)
    handle = frame.locator("body").evaluate_handle(
        """(body, data) => {
            const held = new DataTransfer();
            held.items.add(new File([new Uint8Array(data)], "mine.jpg", {type: "image/jpeg"}));
            return held;
        }""",
        data,
    )
    frame.locator("body").dispatch_event("drop", {"dataTransfer": handle})
    frame.locator(".chip .name", has_text="mine.jpg").wait_for()
    frame.get_by_role("button", name="Show the nearest images anyway").click()  # none is a copy of it
    frame.locator(".score").first.wait_for()
    assert _ids(frame, 1)[0].startswith("blue-star")


def test_a_click_searches_from_the_image_and_back_goes_back(frame, page):
    _search(frame, ENGLISH)
    first = _ids(frame, 1)[0]
    frame.locator(".picture").first.click()
    frame.locator(".chip .name", has_text=first).wait_for()
    frame.locator("#results:not(.waiting) .score").first.wait_for()
    assert first not in _ids(frame, 40)
    page.go_back()
    frame.locator(".chip .name", has_text=ENGLISH).wait_for()


def test_the_address_can_be_shared(frame, page, open_as):
    _search(frame, CHINESE)
    found, shared = _ids(frame), page.url
    assert "/plugin/image-search/" in shared
    other = _frame(open_as(path=shared.partition("/plugin/image-search")[2]))
    other.locator(".score").first.wait_for()
    assert _ids(other) == found


def test_more_is_loaded_as_one_scrolls(frame):
    seen = frame.locator(".card").count()
    frame.locator(".card").nth(seen - 1).scroll_into_view_if_needed()
    frame.locator(f".card:nth-child({seen + 1})").wait_for()
    assert len(set(_ids(frame, 10_000))) == frame.locator(".card").count() > seen


def test_the_original_opens_and_steps(frame, page):
    first, second = _ids(frame, 2)
    frame.locator(".picture").first.focus()
    page.keyboard.press("o")
    frame.locator("#viewer h2", has_text=first).wait_for()
    page.keyboard.press("ArrowRight")
    frame.locator("#viewer h2", has_text=second).wait_for()
    frame.locator("#viewer img[src]").evaluate("image => image.decode()")
    page.keyboard.press("Escape")
    frame.locator("#viewer").wait_for(state="hidden")


def test_arrows_move_in_the_gallery(frame, page):
    frame.locator(".picture").first.focus()
    page.keyboard.press("ArrowRight")
    assert frame.locator(".picture").nth(1).evaluate("picture => picture === document.activeElement")
    top = "() => document.activeElement.getBoundingClientRect().top + scrollY"
    first_row = frame.locator("body").evaluate(top)
    page.keyboard.press("ArrowDown")
    assert frame.locator("body").evaluate(top) > first_row + 50
    page.keyboard.press("ArrowUp")
    assert abs(frame.locator("body").evaluate(top) - first_row) < 5


def test_filters_narrow_the_results(frame):
    _search(frame, "a green star")
    frame.locator("#filters-button").click()
    frame.locator("[name=group]").fill("green-star")
    frame.locator("#filters .main").click()
    frame.locator("#filters-button.used").wait_for()
    frame.locator("#results:not(.waiting) .score").first.wait_for()
    assert {one.split("/")[0] for one in _ids(frame, 40)} == {"green-star"}
    frame.locator("[name=json]").fill('{"no_column": 1}')
    frame.locator("#filters .main").click()
    frame.locator("#alert p", has_text="no_column").wait_for()


def test_rejected_files_are_shown_as_texts(frame, page, shots):
    frame.get_by_role("tab", name="Rejected").click()
    frame.locator(".key", has_text="<img src=x onerror=alert(1)>").wait_for()
    assert frame.locator("tbody tr").count() == 4
    assert frame.locator("tbody img").count() == 0
    page.screenshot(path=shots / "page-rejected.png")
    frame.get_by_role("button", name=re.compile("Re-queue .*empty.jpg")).click()
    frame.get_by_role("status").filter(has_text="tries 1 image again").wait_for()


def test_a_viewer_cannot_queue_again(open_as):
    frame = _frame(open_as("viewer"))
    frame.get_by_role("tab", name="Rejected").click()
    frame.locator("tbody button:disabled").first.wait_for()
    assert frame.locator(".report button:not(:disabled)").count() == 0


def test_copies_and_runs_are_told(frame, page, shots):
    frame.get_by_role("tab", name="Duplicates").click()
    frame.locator(".twin", has_text="red-circle/copy").first.wait_for()
    page.wait_for_timeout(1500)
    page.screenshot(path=shots / "page-duplicates.png")
    frame.get_by_role("tab", name="Runs").click()
    frame.locator(".tag.success").wait_for()
    frame.locator("tbody td[data-title=Progress]", has_text="all").first.wait_for()
    page.screenshot(path=shots / "page-runs.png")


def test_a_verdict_on_a_pair_stays_until_it_is_taken_back(frame, page, airflow_settings, shots):
    find_duplicates(find_collection(airflow_settings.collections_path, "demo"), airflow_settings)
    frame.get_by_role("tab", name="Duplicates").click()
    pair = frame.get_by_role("button", name=re.compile("^different: ")).first
    name = pair.get_attribute("aria-label")
    pair.click()
    frame.get_by_role("status").filter(has_text=": different.").wait_for()
    page.screenshot(path=shots / "page-verdict.png")
    frame.get_by_role("tab", name="Runs").click()
    frame.locator(".tag.success").wait_for()
    frame.get_by_role("tab", name="Duplicates").click()
    chosen = frame.get_by_role("button", name=name, exact=True, pressed=True)
    chosen.locator("..").get_by_text("by admin").wait_for()
    chosen.click()
    frame.get_by_role("status").filter(has_text="not decided").wait_for()
    assert frame.get_by_role("button", name=name, exact=True, pressed=True).count() == 0


def test_a_viewer_cannot_decide(open_as, airflow_settings):
    find_duplicates(find_collection(airflow_settings.collections_path, "demo"), airflow_settings)
    frame = _frame(open_as("viewer"))
    frame.get_by_role("tab", name="Duplicates").click()
    frame.locator(".verdict button:disabled").first.wait_for()
    assert frame.locator(".verdict button:not(:disabled)").count() == 0


def test_dark_as_airflow_is(open_as, shots):
    page = open_as(color_scheme="dark")
    frame = _frame(page)
    frame.locator(".card.there").first.wait_for()
    _search(frame, CHINESE)
    page.wait_for_timeout(1500)
    assert frame.locator("html").get_attribute("data-theme") == "dark"
    page.screenshot(path=shots / "page-dark.png")


def test_one_column_on_a_phone(chromium, base, token_of, shots):
    context = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    context.set_default_timeout(120_000)
    context.add_cookies([{"name": "_token", "value": token_of("viewer"), "url": base}])
    page = context.new_page()
    page.goto(f"{base}/image-search/#" + "collection=demo&text=two+red+circles")
    page.locator(".card.there").first.wait_for()
    boxes = [page.locator(".card").nth(at).bounding_box() for at in range(3)]
    assert len({round(box["x"]) for box in boxes}) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.wait_for_timeout(1000)
    page.screenshot(path=shots / "page-phone.png")
    context.close()


def test_every_control_has_a_name(frame):
    tree = frame.locator("body").evaluate(
        """body => [...body.querySelectorAll("button, input:not([hidden]), select, a[href]")]
            .filter(one => one.checkVisibility())
            .filter(one => !(one.ariaLabel || one.textContent.trim() || one.title || one.labels?.length))
            .map(one => one.outerHTML)"""
    )
    assert tree == [], json.dumps(tree)


def test_nothing_can_be_clicked_before_the_collections_are_there(page):
    """The click would be lost."""
    held = []
    page.route("**/api/collections", lambda route: held.append(route))
    page.reload()
    tab = _frame(page).get_by_role("tab", name="Runs")
    expect(tab).to_be_disabled(timeout=120_000)
    expect(_frame(page).locator("#text")).to_be_disabled(timeout=120_000)
    while not held:
        page.wait_for_timeout(100)
    held[0].continue_()
    tab.click()
    expect(tab).to_have_attribute("aria-selected", "true", timeout=120_000)
