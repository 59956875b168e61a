"""The page's tab about trainings: the list, and one that is chosen in full."""

import pytest
from playwright.sync_api import expect

from browser.alone import DESKTOP, PHONE, full, open_page  # noqa: F401


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_training_is_chosen_and_shown_in_full(open_page, size):  # noqa: F811
    page = open_page("&tab=trainings", viewport=size)
    shoes, boots = (page.get_by_role("button", name=name, exact=True) for name in ("shoes", "boots"))
    judged = page.get_by_role("region", name="Training shoes")
    expect(shoes).to_have_attribute("aria-pressed", "true")
    expect(judged.get_by_role("img", name="Loss from 4.8 to 0.9 over 10 epochs")).to_be_visible()
    expect(judged.locator("tr", has_text="mean average precision").locator("td")).to_have_text(
        ["mean average precision", "88%", "80%"]
    )
    expect(judged).to_contain_text("It finds more than the one before.")
    boots.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("region", name="Training boots")).to_be_visible()
    expect(boots).to_have_attribute("aria-pressed", "true")
    expect(boots).to_be_focused()
    expect(judged).to_have_count(0)
    expect(page.locator(".examples")).to_have_count(0)
    shoes.click()
    expect(page.locator(".examples")).to_have_js_property("naturalWidth", 640)
    page.locator("#tab-images").click()
    expect(page.locator(".training")).to_have_count(0)
