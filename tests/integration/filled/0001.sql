-- What schema version 1 holds after a run: one image with its vector, the view of that version, and a rejected object.
-- The test puts its own bucket, model folder and etags in place of s3://images/, models/random, e1 and e2.

INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token)
VALUES ('random', 'models/random', 'vision_transformer', 3, true);

INSERT INTO retrieval.collection (name, source, model, dimensions) VALUES ('things', 's3://images/', 'random', 3);

INSERT INTO retrieval.image (collection, image_id, uri, etag, size, sha256, width, height, format, attributes)
VALUES ('things', 'a', 's3://images/a.jpg', 'e1', 9, 'f00', 640, 480, 'JPEG', '{"colour": "red"}');
INSERT INTO retrieval.image (collection, image_id, uri, size) VALUES ('things', 'b', 's3://images/b.jpg', 9);

CREATE TABLE retrieval.vector_things_random (
    id        bigint PRIMARY KEY REFERENCES retrieval.image,
    etag      text NOT NULL,
    embedding halfvec(3) NOT NULL
);
ALTER TABLE retrieval.vector_things_random ALTER COLUMN embedding SET STORAGE PLAIN;
INSERT INTO retrieval.vector_things_random SELECT id, etag, '[1,0,0]' FROM retrieval.image WHERE image_id = 'a';

CREATE VIEW images.things AS
SELECT i.image_id,
       i.uri AS image_path,
       i.resampled_uri AS resampled_image_path,
       v.embedding,
       i.group_id,
       i.intra_id,
       i.caption,
       i.width,
       i.height,
       i.format,
       i.attributes,
       i.first_seen AS created_at,
       i.updated AS updated_at
FROM retrieval.vector_things_random AS v
JOIN retrieval.image AS i ON i.id = v.id
WHERE i.deleted IS NULL;

INSERT INTO retrieval.rejected (collection, uri, etag, stage, reason, attempts, final, run_id)
VALUES ('things', 's3://images/b.jpg', 'e2', 'resample', 'timeout', 1, true, 'first');

INSERT INTO retrieval.run (collection, run_id, state, model, listed, new, changed, restored, gone, shards, left_over, list_seconds, index_seconds, finished_at)
VALUES ('things', 'first', 'success', 'random', 2, 2, 0, 0, 0, 1, 0, 0.5, 0.1, now());

INSERT INTO retrieval.shard (collection, run_id, shard, images, resampled, embedded, upserted, rejected, resample_seconds, embed_seconds, upsert_seconds)
VALUES ('things', 'first', 0, 2, 1, 1, 1, 1, 0.1, 0.2, 0.3);
