-- name: search
SELECT * FROM images.search(%(collection)s, %(query)s, %(k)s, %(filter)s, %(min_similarity)s);

-- name: similar_to
SELECT * FROM images.similar_to(%(collection)s, %(image_id)s, %(k)s);
