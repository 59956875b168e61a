-- What schema version 11 holds after a run: one image with its vector, its fingerprints, the view, a rejected object, and one that is queued again;
-- a text that was searched for, a collection made through the API, a switch to another model that was given up, and a pair of images that somebody has looked at.
-- The test puts its own bucket, model folder and etags in place of s3://images/, models/random, e1 and e2.

INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token, dtype, digest, calibration)
VALUES ('random', 'models/random', 'vision_transformer', 3, true, 'float32', 'd1', NULL);

INSERT INTO retrieval.image (collection, image_id, uri, etag, size, sha256, width, height, format, attributes, mode, phash, captured_at)
VALUES ('things', 'a', 's3://images/a.jpg', 'e1', 9, 'f00', 640, 480, 'JPEG', '{"colour": "red"}', 'RGB', -7, '2026-05-04 12:30');
INSERT INTO retrieval.image (collection, image_id, uri, size) VALUES ('things', 'b', 's3://images/b.jpg', 9);

CREATE TABLE retrieval.vector_things_random (
    id        bigint PRIMARY KEY REFERENCES retrieval.image,
    etag      text NOT NULL,
    embedding halfvec(3) NOT NULL,
    digest    bigint
);
ALTER TABLE retrieval.vector_things_random ALTER COLUMN embedding SET STORAGE PLAIN;
CREATE TRIGGER forget_digest BEFORE UPDATE OF embedding ON retrieval.vector_things_random FOR EACH ROW
    WHEN (OLD.digest = NEW.digest AND OLD.embedding <> NEW.embedding)
    EXECUTE FUNCTION retrieval.forget_digest();
INSERT INTO retrieval.vector_things_random SELECT id, etag, '[1,0,0]', -5 FROM retrieval.image WHERE image_id = 'a';

SELECT retrieval.face_vectors('things', 'random', 'cosine');
SELECT retrieval.show_vectors('things', 'vector_things_random');

INSERT INTO retrieval.collection (name, source, model, dimensions, distance, ef_search)
VALUES ('things', 's3://images/', 'random', 3, 'cosine', 200);

INSERT INTO retrieval.rejected (collection, uri, etag, stage, reason, attempts, final, run_id)
VALUES ('things', 's3://images/b.jpg', 'e2', 'resample', 'timeout', 1, true, 'first'),
       ('things', 's3://images/c.jpg', 'e3', 'resample', 'timeout', 0, false, 'first');

INSERT INTO retrieval.run (collection, run_id, state, model, listed, new, changed, restored, gone, shards, left_over, list_seconds, index_seconds, finished_at)
VALUES ('things', 'first', 'success', 'random', 2, 2, 0, 0, 0, 1, 0, 0.5, 0.1, now());

INSERT INTO retrieval.shard (collection, run_id, shard, images, resampled, embedded, upserted, rejected, resample_seconds, embed_seconds, upsert_seconds)
VALUES ('things', 'first', 0, 2, 1, 1, 1, 1, 0.1, 0.2, 0.3);

INSERT INTO retrieval.vector_index (vectors, rows, seconds, operator_class)
VALUES ('vector_things_random', 1, 0.1, 'halfvec_cosine_ops');

INSERT INTO retrieval.recall (collection, model, ef_search, rows, queries, recall, target)
VALUES ('things', 'random', 200, 1, 1, 1.0, 0.99);

INSERT INTO retrieval.query (model, text, embedding) VALUES ('random', 'two red circles', '[0,1,0]');

INSERT INTO retrieval.made_collection (name, definition)
VALUES ('made', '{"source": "s3://images/collections/made/", "model": {"name": "random", "source": "models/random"}}');

INSERT INTO retrieval.model (name, source, family, dimensions, use_cls_token, dtype)
VALUES ('other', 'models/other', 'vision_transformer', 3, true, 'float32');
INSERT INTO retrieval.switch (collection, from_model, to_model, state, checks, ended_at)
VALUES ('things', 'random', 'other', 'given_up', '{"covered": 0}', now());

INSERT INTO retrieval.compared (id, model, etag, digest, similarity)
SELECT id, 'random', etag, -5, 0.9 FROM retrieval.image WHERE image_id = 'a';
INSERT INTO retrieval.duplicate (a, b, collection, tier, similarity)
SELECT a.id, b.id, 'things', 'scene', 0.95
FROM retrieval.image AS a JOIN retrieval.image AS b ON a.image_id = 'a' AND b.image_id = 'b';
INSERT INTO retrieval.verdict (collection, a, b, verdict, a_sha256, b_sha256, decided_by)
VALUES ('things', 'a', 'b', 'different', 'f00', 'f01', 'somebody');
