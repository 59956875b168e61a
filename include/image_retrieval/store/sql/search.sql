-- name: search
-- model: whose vectors, null: those that the view shows
SELECT * FROM retrieval.nearest(
    %(collection)s, %(query)s, %(k)s, %(filter)s, %(min_similarity)s, %(grouped)s, NULL, %(model)s);

-- name: similar_to
SELECT * FROM images.similar_to(%(collection)s, %(image_id)s, %(k)s, %(filter)s, %(min_similarity)s, %(grouped)s);
