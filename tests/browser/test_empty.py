"""A new collection on the page: every tab says that there is nothing yet, in both languages."""

import pytest

from browser.alone import PHONE, full, open_page  # noqa: F401

EMPTY = {
    "images": ("No images yet", "还没有图片"),
    "map": ("No map yet", "还没有地图"),
    "rejected": ("Every image could be used.", "所有图片都处理成功。"),
    "runs": ("No runs yet", "还没有运行记录"),
}


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_new_collection_says_that_it_is_empty(open_page, client, locale):  # noqa: F811
    assert client.post("/api/collections", json={"name": "fresh"}).status_code == 201
    try:
        page = open_page(locale=locale, viewport=PHONE)
        page.locator("#collection").select_option("fresh")
        for tab, told in EMPTY.items():
            page.locator(f"#tab-{tab}").click()
            page.get_by_text(told[locale == "zh-CN"], exact=True).first.wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        assert page.locator("#alert p").count() == 0
    finally:
        client.delete("/api/collections/fresh")
