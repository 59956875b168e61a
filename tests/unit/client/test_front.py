import os

import pytest

from image_retrieval import Client, Settings, UserError


def test_the_folder_of_the_project_says_how_its_services_are_reached(tmp_path, monkeypatch):
    project = tmp_path / "project"
    (project / ".local").mkdir(parents=True)
    url = "IMAGE_RETRIEVAL_DATABASE_URL=postgresql://me:secret@localhost:7/images\n"
    (project / ".local" / "services.env").write_text(url)
    with Client() as elsewhere, Client(home=project) as client, Client(home=str(project)) as same:
        assert repr(elsewhere) == "Client(no database)"
        assert repr(client) == repr(same) == "Client(database 'images' on localhost:7)"
        assert client.settings.home == project
    monkeypatch.setenv("IMAGE_RETRIEVAL_HOME", os.fspath(project))
    with Client() as there:
        assert repr(there) == "Client(database 'images' on localhost:7)"


@pytest.mark.parametrize("arguments", [{"settings": "postgresql://me:secret@host/images"}, {"settings": 5}])
def test_what_are_no_settings_is_told(arguments):
    with pytest.raises(UserError, match="give Client") as caught:
        Client(**arguments)
    assert "secret" not in str(caught.value)
    with pytest.raises(UserError, match="but not both"):
        Client(Settings(_env_file=None), home=".")


def test_a_client_shows_itself_without_secrets_whatever_its_settings():
    for url in ("mysql://me:secret@host/images", "postgresql://me:sec@ret@host/images", "secret"):
        with Client(Settings(_env_file=None, database_url=url)) as client:
            assert repr(client).startswith("Client(IMAGE_RETRIEVAL_DATABASE_URL ")
            assert "sec" not in repr(client)


def test_without_a_database_a_search_says_what_to_do():
    with Client() as client, pytest.raises(UserError, match="no database is configured: run `make up`"):
        client.search("things", "a star")
    with Client() as client, pytest.raises(UserError, match="no database is configured"):
        client.embed("a star")
