"""The choice of what words are compared with, on the page of the service alone."""

import pytest
from integration.pictures import SCENES
from integration.service.conftest import TOKEN, address, as_base64, client, served, things  # noqa: F401
from playwright.sync_api import expect
from text_encoders import save_text_encoder

from image_retrieval.pipeline.caption_vectors import embed_captions
from image_retrieval.store.collections import made_collections
from image_retrieval.store.connection import connect

expect.set_options(timeout=120_000)  # a busy machine loads a model slowly
CAPTIONS = ["a wooden sign 木牌", "a wooden sign 木牌", "a wooden sign 木牌", None, None]
SIDES = {"look", "caption meaning", "caption words"}


@pytest.fixture(scope="module", autouse=True)
def captioned(client, served, tmp_path_factory):  # noqa: F811
    """A collection whose first three images have captions, and these have vectors; and one without captions."""
    for name in ("told", "mute"):
        assert client.post("/api/collections", json={"name": name}).status_code == 201
        for at, (data, caption) in enumerate(zip(SCENES.values(), CAPTIONS, strict=False)):
            form = {"base64": as_base64(data), "caption": caption if name == "told" else None}
            assert client.put(f"/api/collections/{name}/images/{at}", json=form).status_code == 200
    folder = save_text_encoder(tmp_path_factory.mktemp("encoder") / "texts", ["wooden", "sign", "木", "牌"])
    with connect(served) as connection:
        made = made_collections(connection)["told"]
    model = made.model.model_copy(update={"name": "texts", "source": str(folder)})
    embed_captions(made.model_copy(update={"text_model": model}), served)
    yield
    for name in ("told", "mute"):
        client.delete(f"/api/collections/{name}")


@pytest.fixture
def open_page(chromium, address):  # noqa: F811
    contexts, failures = [], []

    def go(collection="told", **options):
        context = chromium.new_context(**{"viewport": {"width": 1400, "height": 2400}, **options})
        contexts.append(context)
        context.add_init_script(f"sessionStorage.setItem('image-retrieval-token', '{TOKEN}')")
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.on("pageerror", lambda error: failures.append(str(error)))
        page.goto(f"{address}/#collection={collection}")
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


def test_every_mode_is_chosen_by_keyboard_and_mouse(open_page, tmp_path):
    page = open_page()
    names = ["By look", "By caption meaning", "By caption words", "By everything"]
    assert page.locator("#mode option").all_text_contents() == names
    search(page, "wooden sign", "By caption words")
    expect(page.locator(".card")).to_have_count(3)
    assert page.locator(".by").count() == 0
    page.locator("#mode").focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator(".by").first).to_contain_text("caption words")
    assert set(page.locator(".by").first.text_content().split(" + ")) == SIDES
    assert "mode=hybrid" in page.url
    assert sorted(page.locator(".facts .id").all_text_contents()[:3]) == ["0", "1", "2"]
    page.screenshot(path=tmp_path / "modes.png")
    page.locator(".card .picture").first.press("o")
    expect(page.locator("#viewer .facts")).to_contain_text("caption words 0.")
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator("#mode")).to_have_value("hybrid")
    expect(page.locator(".by").first).to_contain_text("caption words")
    page.locator("#mode").select_option("caption")
    expect(page.locator(".card")).to_have_count(3)  # no other image has a caption
    page.get_by_label("Compare with").select_option("mode:vector")
    expect(page.locator(".compared h2")).to_have_text(["By caption meaning", "By look"])


def test_a_picture_among_the_terms_is_searched_by_look(open_page):
    page = open_page()
    search(page, "wooden sign", "By caption meaning")
    page.locator(".card .picture").first.press("+")
    expect(page.locator(".chip")).to_have_count(2)
    expect(page.locator(".card")).to_have_count(5)
    expect(page.locator("#alert p")).to_have_count(0)


def test_without_captions_there_is_no_choice(open_page):
    page = open_page("mute")
    expect(page.locator("#mode")).to_be_hidden()
    page.locator("#collection").select_option("told")
    expect(page.locator("#mode")).to_be_visible()
    page.locator("#mode").select_option("hybrid")
    page.locator("#collection").select_option("mute")
    expect(page.locator("#mode")).to_be_hidden()
    page.locator("#text").fill("red circles")
    page.locator("#text").press("Enter")
    expect(page.locator(".card .score")).to_have_count(5)
    assert page.locator(".by").count() == 0  # by look, for nothing else is possible


def test_the_choice_is_there_in_chinese_on_a_phone(open_page, tmp_path):
    page = open_page(locale="zh-CN", viewport={"width": 390, "height": 844})
    search(page, "木牌", "综合搜索")
    expect(page.locator(".by").first).to_contain_text("说明关键词")
    page.screenshot(path=tmp_path / "phone.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
