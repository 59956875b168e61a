-- name: find_expired
SELECT id, resampled_uri FROM retrieval.image
WHERE collection = %(collection)s AND deleted <= now() - make_interval(secs => %(grace_seconds)s)
ORDER BY id
LIMIT %(limit)s;

-- name: count_expired
SELECT count(*) AS expired FROM retrieval.image
WHERE collection = %(collection)s AND deleted <= now() - make_interval(secs => %(grace_seconds)s);

-- name: find_vector_tables
-- the collection's vectors under every model, shown or not: only these refer to images without being deleted with them
SELECT vectors FROM retrieval.vector_space
WHERE collection = %(collection)s AND to_regclass('retrieval.' || quote_ident(vectors)) IS NOT NULL
ORDER BY 1;

-- name: remove_vectors
DELETE FROM retrieval.{vectors} WHERE id = ANY (%(ids)s);

-- name: remove_images
DELETE FROM retrieval.image WHERE id = ANY (%(ids)s);

-- name: create_pictures
-- `name` is as in the picture's key, `image_id` as before `../` was escaped, `hash` that of a long image_id
CREATE TEMPORARY TABLE pictures (uri text NOT NULL, name text, image_id text, hash text) ON COMMIT DROP;

-- name: copy_pictures
COPY pictures (uri, name, image_id, hash) FROM STDIN;

-- name: find_orphaned_pictures
-- once each, however often a store listed it; hashes of all ids are computed only if a picture is named by one
SELECT DISTINCT p.uri, p.name, p.image_id, p.hash
FROM pictures AS p
WHERE NOT EXISTS (SELECT FROM retrieval.image AS i WHERE i.collection = %(collection)s AND i.image_id = p.name)
  AND NOT EXISTS (SELECT FROM retrieval.image AS i WHERE i.collection = %(collection)s AND i.image_id = p.image_id)
  AND NOT EXISTS (SELECT FROM retrieval.image AS i WHERE i.collection = %(collection)s AND i.resampled_uri = p.uri)
  AND (p.hash IS NULL
       OR p.hash NOT IN (SELECT left(encode(sha256(convert_to(i.image_id, 'UTF8')), 'hex'), 32)
                         FROM retrieval.image AS i WHERE i.collection = %(collection)s))
ORDER BY p.uri;

-- name: count_orphans
SELECT count(*) FILTER (WHERE l.uri IS NULL AND i.deleted IS NULL) AS images_without_object,
       count(*) FILTER (WHERE i.id IS NULL OR l.uri IS NOT NULL AND i.deleted IS NOT NULL) AS objects_without_image,
       count(*) FILTER (WHERE i.deleted IS NULL AND starts_with(i.resampled_uri, %(folder)s)
                          AND NOT EXISTS (SELECT FROM pictures AS p WHERE p.uri = i.resampled_uri)) AS images_without_picture
FROM listed AS l
FULL JOIN (SELECT * FROM retrieval.image WHERE collection = %(collection)s) AS i ON i.uri = l.uri;

-- name: count_orphaned_vectors
SELECT count(*) AS vectors FROM retrieval.{vectors} AS v
WHERE NOT EXISTS (SELECT FROM retrieval.image AS i WHERE i.id = v.id);
