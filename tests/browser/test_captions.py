"""Captions are shown in the reader's language, and edited by those who may write."""

import pytest
from playwright.sync_api import expect

from browser.alone import CAPTIONED, CAPTIONS, DESKTOP, PHONE, SHOTS, full, open_page  # noqa: F401


def _card(page):
    card = page.locator(".card").filter(has=page.locator(f".id:text-is('{CAPTIONED}')"))
    card.locator(".picture").focus()
    return card


@pytest.mark.parametrize(("locale", "language", "other"), [("en-US", "en", "Chinese"), ("zh-CN", "zh", "英语")])
def test_the_caption_of_the_readers_language_is_shown(open_page, locale, language, other):  # noqa: F811
    page = open_page(locale=locale)
    card = _card(page)
    expect(card.locator(".caption")).to_have_text(CAPTIONS[language])
    page.keyboard.press("o")
    expect(page.locator("#viewer .caption")).to_have_text(CAPTIONS[language])
    expect(page.locator("#viewer dt")).to_have_text([other])
    page = open_page("&text=circles", locale=locale)
    expect(_card(page).locator(".caption")).to_have_text(CAPTIONS[language])


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_person_writes_a_caption_and_takes_it_back(open_page, size):  # noqa: F811
    page = open_page(viewport=size)
    card = _card(page)
    page.keyboard.press("o")
    page.get_by_role("button", name="Edit the caption").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Caption")).to_be_focused()
    page.keyboard.press("ArrowLeft")  # moves in the text, not to another image
    page.keyboard.press("Control+a")
    page.keyboard.type("four dots <b>")
    page.screenshot(path=SHOTS / f"caption-{size['width']}.png")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#viewer .caption")).to_have_text("four dots <b>")
    expect(page.locator("#viewer h2")).to_have_text(CAPTIONED)
    expect(card.locator(".caption")).to_have_text("four dots <b>")
    expect(page.locator("#viewer dd")).to_have_text([CAPTIONS["en"], CAPTIONS["zh"]])
    page.get_by_role("button", name="Edit the caption").click()
    page.keyboard.press("Escape")  # leaves the form, not the viewer
    page.get_by_role("button", name="Edit the caption").click()
    page.get_by_role("button", name="Remove").click()
    expect(card.locator(".caption")).to_have_text(CAPTIONS["en"])
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
