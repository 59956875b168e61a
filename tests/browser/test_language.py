"""The language of the page follows the browser, until the reader chooses."""

import pytest
from playwright.sync_api import expect

from browser.alone import PHONE, full, open_page  # noqa: F401


@pytest.mark.parametrize(
    ("locale", "title"),
    [("en-GB", "Image search"), ("zh-TW", "图片搜索"), ("zh-Hans-CN", "图片搜索"), ("de-DE", "Image search")],
)
def test_the_page_speaks_as_the_browser_does(open_page, locale, title):  # noqa: F811
    page = open_page(locale=locale)
    expect(page.locator("h1")).to_have_text(title)
    expect(page).to_have_title(title)


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE}], ids=["desktop", "phone"])
def test_a_choice_is_remembered_and_keeps_the_search(open_page, options):  # noqa: F811
    page = open_page("&text=circles", **options)
    page.locator(".score").first.wait_for()
    page.locator("#language").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="模型训练")).to_be_visible()
    expect(page.get_by_role("status")).to_contain_text("张图片")
    expect(page.locator(".chip .name")).to_have_text("circles")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.reload()
    expect(page.locator("h1")).to_have_text("图片搜索")
    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Image search")
    expect(page.get_by_role("button", name="Filters")).to_be_visible()
