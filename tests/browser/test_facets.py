"""Facets beside the results: counted, clicked, undone; with a keyboard and on a phone."""

import pytest
from playwright.sync_api import expect

from browser.alone import DESKTOP, PHONE, SHOTS, full, open_page  # noqa: F401


def _number(button):
    return int(button.locator(".number").text_content())


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_value_narrows_the_images_and_is_undone(open_page, size):  # noqa: F811
    page = open_page(viewport=size)
    page.get_by_role("button", name="Facets").click()
    values = page.get_by_role("list", name="Orientation").get_by_role("button")
    values.first.wait_for()
    images = _number(values.first)
    page.screenshot(path=SHOTS / f"facets-{size['width']}.png")
    values.first.click()
    expect(page.locator(".card")).to_have_count(images)
    expect(page.get_by_role("button", pressed=True)).to_have_count(1)
    assert values.count() > 1  # one can change to another
    values.nth(1).click()
    expect(page.locator(".card")).to_have_count(_number(values.nth(1)))
    page.get_by_role("list", name="Chosen facets").get_by_role("button").click()
    expect(page.get_by_role("button", pressed=True)).to_have_count(0)
    expect(page.locator(".card")).to_have_count(int(page.locator("#tab-images .count").text_content()))
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_facets_are_chosen_with_a_keyboard_and_hold_in_searches(open_page):  # noqa: F811
    page = open_page("&text=circles")
    page.locator(".score").first.wait_for()
    page.get_by_role("button", name="Facets").focus()
    page.keyboard.press("Enter")
    group = page.get_by_role("list", name="Group").get_by_role("button", name="red-circle")
    group.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".facts .group:not(:text-is('red-circle'))")).to_have_count(0)
    assert page.locator(".card").count() == _number(group)
    expect(group).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", pressed=True)).to_have_count(0)
    page.reload()
    expect(page.get_by_role("list", name="Colour")).to_be_visible()  # it stays open


def test_facets_are_named_in_chinese(open_page):  # noqa: F811
    page = open_page(locale="zh-CN")
    page.get_by_role("button", name="分类").click()
    expect(page.get_by_role("list", name="颜色").get_by_role("button").first).to_contain_text("色")
