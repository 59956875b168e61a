"""Pictures in tars that no collection has listed are found, packed and left out as those of a listing are."""

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_retrieval.image_inputs import listed_image
from image_retrieval.objects import ObjectStore
from image_retrieval.pipeline import candidates
from image_retrieval.pipeline.packing import PackOptions, pack
from image_retrieval.pipeline.pair_files import pack_pairs, pairs_of
from image_retrieval.pipeline.tar_places import find_places
from image_retrieval.settings import Settings
from image_retrieval.training.packs import read_index

NAMES = st.text("abc/", min_size=1, max_size=8).map(lambda name: f"x{name}.jpg")


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return f"file://{path}"


def picture(seed):
    file = io.BytesIO()
    Image.effect_noise((40, 30), 20 + 30 * seed).save(file, "PNG")
    return file.getvalue()


@given(files=st.dictionaries(NAMES, st.binary(min_size=1, max_size=700), min_size=1), others=st.sets(NAMES))
def test_a_place_leads_to_the_member_and_what_is_not_there_has_none(tmp_path_factory, files, others):
    settings = Settings()
    store, tar = ObjectStore(settings), write_tar(tmp_path_factory.mktemp("tars") / "a.tar", files)
    asked = [f"{tar}#{name}" for name in files.keys() | others]
    found = find_places([*asked, f"{tar}.jpg", "https://example.com/a.jpg"], store)
    assert set(found) == {f"{tar}#{name}" for name in files}
    for uri, (version, size) in found.items():
        assert listed_image(store, uri, version, size, settings) == files[uri.rpartition("#")[2]]


def test_an_index_file_of_members_is_packed_and_broken_tars_cost_their_own_pictures_alone(tmp_path):
    settings = Settings()
    tar = write_tar(tmp_path / "a.tar", {f"{number}.png": picture(number) for number in range(4)})
    (tmp_path / "bad.tar").write_bytes(b"no tar" * 200)
    names = [*(f"{tar}#{number}.png" for number in range(5)), f"file://{tmp_path}/bad.tar#a.png", f"{tar}x.tar#b.png"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    folder, uri = f"file://{tmp_path}/set/", f"file://{tmp_path}/list.txt"
    manifest = pack(uri, folder, PackOptions(), lambda: candidates.of_index_file(uri, folder, settings), settings)
    assert (manifest["images"], manifest["rejected"]) == (4, {"not_found": 3})
    assert sorted(read_index(ObjectStore(settings), folder, ["uri"])["uri"].to_pylist()) == names[:4]


def test_pairs_may_name_pictures_in_tars(tmp_path):
    settings = Settings()
    tar = write_tar(tmp_path / "a.tar", {f"{number}.png": picture(number) for number in range(3)})
    lines = [f"{tar}#{number}.png\ttext {number}" for number in range(4)]
    (tmp_path / "pairs.tsv").write_text("\n".join(lines))
    source, folder = str(tmp_path / "pairs.tsv"), f"file://{tmp_path}/set/"
    pack_pairs(source, pairs_of(source, settings), folder, PackOptions(), settings)
    assert len(read_index(ObjectStore(settings), folder, ["uri"])) == 3
