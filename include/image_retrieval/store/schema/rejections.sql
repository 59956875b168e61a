-- Rejected images, for people who query.
CREATE OR REPLACE FUNCTION images.rejected(collection text) RETURNS TABLE (
    image_id   text,
    image_path text,
    reason     text,
    detail     text,
    stage      text,
    model      text,
    attempts   integer,
    final      boolean,
    created_at timestamptz,
    updated_at timestamptz
)
LANGUAGE sql STABLE AS $$
    SELECT i.image_id, r.uri, r.reason, r.detail, r.stage, r.model, r.attempts, r.final, r.created_at, r.updated_at
    FROM retrieval.rejected AS r
    LEFT JOIN retrieval.image AS i ON i.collection = r.collection AND i.uri = r.uri
    WHERE retrieval.view_of(rejected.collection) IS NOT NULL AND r.collection = rejected.collection
$$;
COMMENT ON FUNCTION images.rejected IS
    'The images of a collection that could not be used: why (docs/rejected.md explains each reason), how many runs have '
    'tried, and whether they are left alone (final) or tried again by the next run.';
