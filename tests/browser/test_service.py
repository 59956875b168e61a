"""The page's tab about the service."""

import pytest
from playwright.sync_api import expect

from browser.alone import full, open_page  # noqa: F401

pytestmark = pytest.mark.slow


def test_the_service_is_shown_over_an_hour_and_a_day(open_page):  # noqa: F811
    page = open_page("&tab=service")
    expect(page.locator(".chart")).to_have_count(5)
    expect(page.locator(".figures dd").first).not_to_be_empty()
    routes = page.locator("table").last
    expect(routes).to_contain_text("/api/service")
    day = page.get_by_role("button", name="Last day")
    day.focus()
    page.keyboard.press("Enter")
    expect(day).to_have_attribute("aria-pressed", "true")
    expect(day).to_be_focused()
    asked = []
    page.on("request", lambda request: asked.append(request.url) if "api/service" in request.url else None)
    page.wait_for_timeout(6_000)  # it is asked anew every five seconds
    assert asked
    assert all(url.endswith("window=day") for url in asked)
    expect(day).to_be_focused()
    page.locator("#tab-images").click()
    expect(page.locator(".charts")).to_have_count(0)


def test_models_in_memory_are_listed(open_page):  # noqa: F811
    page = open_page("&text=two green squares")
    page.locator(".card.there").first.wait_for()
    page.locator("#tab-service").click()
    expect(page.locator("table").first).to_contain_text("dual")
