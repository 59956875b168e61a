"""The page's tab about trainings: the list, and one that is chosen in full."""

import pytest
from playwright.sync_api import expect

from browser.alone import DESKTOP, PHONE, full, open_page  # noqa: F401
from image_retrieval.store import trainings
from image_retrieval.store.connection import connect
from image_retrieval.store.trainings import Begun


def recall(share):
    return {"queries": 128, "among": 128, "found": dict.fromkeys(("R@1", "R@5", "R@10"), share),
            "chance": dict.fromkeys(("R@1", "R@5", "R@10"), 0.01)}  # fmt: skip


def texts_gate(**sets):
    return {"decision": "passed", "reason": "it finds more", "held_out": 128} | {
        when: {"held_out": {"en": {"text_to_image": recall(share)}}} for when, share in sets.items()
    }


@pytest.fixture
def of_texts(full, served):  # noqa: F811
    """Two trainings on texts that are judged."""
    gates = {"words": texts_gate(after=0.5), "names": texts_gate(before=0.25, after=0.75)}
    with connect(served) as connection:
        for name, gate in gates.items():
            trainings.begin(
                connection, Begun(name, "things", "pairs", "m", "m", {}, served.work_uri, served.work_uri), "one"
            )
            trainings.write_gate(connection, name, gate, "passed", gate["reason"])
    yield
    with connect(served) as connection:
        for name in gates:
            trainings.forget(connection, name)


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


@pytest.mark.usefixtures("of_texts")
def test_a_training_on_texts_shows_what_texts_and_pictures_find(open_page):  # noqa: F811
    page = open_page("&tab=trainings")
    for name, told in (("words", "50% (1%)"), ("names", "25% → 75%")):
        page.get_by_role("button", name=name, exact=True).click()
        judged = page.get_by_role("region", name=f"Training {name}")
        expect(judged.locator(".judged td")).to_have_text(
            ["held-out pictures", "texts find pictures (en)", *[told] * 3]
        )
    expect(judged).to_contain_text("Pictures that the training has not seen: 128. Before → trained.")
