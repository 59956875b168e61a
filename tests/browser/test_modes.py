"""The choice between pictures, captions and both, on the page of the service alone."""

import psycopg
import pytest
from integration.pictures import SCENES
from integration.service.conftest import TOKEN, address, client, served, things  # noqa: F401
from playwright.sync_api import expect

expect.set_options(timeout=120_000)  # a busy machine loads a model slowly
NAMES = [name.rpartition(".")[0] for name in list(SCENES)[:3]]


@pytest.fixture(scope="module", autouse=True)
def captioned(things, served):  # noqa: F811
    """Three images with captions."""
    with psycopg.connect(served.database(), autocommit=True) as connection:
        change = "UPDATE retrieval.image SET caption = %s WHERE collection = 'things' AND image_id = ANY (%s)"
        connection.execute(change, ("a wooden sign 木牌", NAMES))
        yield
        connection.execute(change, (None, NAMES))


@pytest.fixture
def open_page(chromium, address):  # noqa: F811
    contexts, failures = [], []

    def go(**options):
        context = chromium.new_context(**{"viewport": {"width": 1400, "height": 2400}, **options})
        contexts.append(context)
        context.add_init_script(f"sessionStorage.setItem('image-retrieval-token', '{TOKEN}')")
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"{address}/#collection=things")
        page.locator(".card").first.wait_for()
        return page

    yield go
    for context in contexts:
        context.close()
    assert failures == []


def search(page, words, mode):
    page.locator("#text").fill(words)
    page.locator("#text").press("Enter")
    page.locator(".chip .name", has_text=words).wait_for()
    page.locator("#mode").select_option(label=mode)
    page.locator(".score").first.wait_for()


def test_captions_and_both_are_chosen_by_keyboard_and_mouse(open_page, tmp_path):
    page = open_page()
    search(page, "wooden sign", "By captions")
    expect(page.locator(".card")).to_have_count(3)
    assert page.locator(".by").count() == 0
    page.locator("#mode").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".by").first).to_have_text("the picture itself + words of the caption")
    assert "mode=hybrid" in page.url
    assert sorted(page.locator(".facts .id").all_text_contents()[:3]) == sorted(NAMES)
    page.screenshot(path=tmp_path / "modes.png")
    page.locator(".card .picture").first.press("o")
    expect(page.locator("#viewer .facts")).to_contain_text("words of the caption 0.")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#mode")).to_have_value("hybrid")
    expect(page.locator(".by").first).to_have_text("the picture itself + words of the caption")


def test_the_choice_is_there_in_chinese_on_a_phone(open_page, tmp_path):
    page = open_page(locale="zh-CN", viewport={"width": 390, "height": 844})
    search(page, "木牌", "两者结合")
    expect(page.locator(".by").first).to_contain_text("说明文字")
    page.screenshot(path=tmp_path / "phone.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
