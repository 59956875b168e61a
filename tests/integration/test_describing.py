"""What several kinds say of an image is merged in the documented order, whatever each of them says."""

import json
from collections import ChainMap
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from image_retrieval.pipeline.describing import ORDER
from image_retrieval.store import inventories, listings, tars, told
from image_retrieval.store.connection import connect
from image_retrieval.store.tars import MemberRow

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URIS = ["s3://images/a.jpg", "s3://images/b.jpg"]
values = st.none() | st.integers() | st.text("ab", max_size=2) | st.dictionaries(st.sampled_from("xy"), st.none())
abouts = st.fixed_dictionaries(
    {}, optional={"caption": st.sampled_from("cd"), "attributes": st.dictionaries(st.sampled_from("xyz"), values)}
)
kinds = st.dictionaries(st.sampled_from(ORDER), abouts)


def merged(said):
    """What an image is described by, from what each kind says."""
    if not set(said) - {"source"}:
        return said.get("source")
    parts = [said[kind] for kind in ORDER if kind in said]
    captions = [part["caption"] for part in parts if "caption" in part]
    attributes = dict(ChainMap(*(part.get("attributes", {}) for part in parts)))
    about = {"of": said}
    return about | ({"caption": captions[0]} if captions else {}) | ({"attributes": attributes} if attributes else {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(said=st.fixed_dictionaries(dict.fromkeys(URIS, kinds)))
def test_each_caption_and_attribute_is_that_of_the_first_kind_that_says_it(project, said):
    with connect(project) as connection:
        listings.create_listed(connection)
        with tars.writing_members(connection) as write:
            for uri, parts in said.items():
                about = json.dumps(parts["source"]) if "source" in parts else None
                write(MemberRow(uri, "k", "k", "e", 1, NOW, None, None, about))
        told.create_told(connection)
        for kind in set(ORDER) - {"source"}:
            told.write_told(connection, kind, {uri: parts[kind] for uri, parts in said.items() if kind in parts})
        told.merge_told(connection, ORDER)
        found = {row["uri"]: row["about"] for row in connection.execute("SELECT uri, about FROM listed")}
        connection.rollback()
    assert found == {uri: merged(parts) for uri, parts in said.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(parts=kinds)
def test_where_a_description_is_kept_it_is_what_the_source_itself_said(project, parts):
    about = merged(parts)
    with connect(project) as connection:
        for uri in URIS:
            values = {"uri": uri, "about": None if about is None else Jsonb(about), "now": NOW}
            connection.execute(
                "INSERT INTO retrieval.image (collection, image_id, uri, etag, last_modified, about) "
                "VALUES ('things', %(uri)s, %(uri)s, 'e', %(now)s, %(about)s)",
                values,
            )
        listings.create_listed(connection)
        with tars.writing_members(connection) as write:
            write(MemberRow(URIS[0], "k", "k", "e", 1, NOW, None, None, None))
        tars.keep_descriptions(connection, "things", URIS[:1])
        assert inventories.keep_newer(connection, "things", NOW) == 1  # the other one
        found = {row["uri"]: row["about"] for row in connection.execute("SELECT uri, about FROM listed")}
        connection.rollback()
    assert found == dict.fromkeys(URIS, parts.get("source"))
