-- name: find_vector_tables
-- the collection's tables under every model
SELECT vectors, model FROM retrieval.vector_space
WHERE collection = %(collection)s AND to_regclass('retrieval.' || quote_ident(vectors)) IS NOT NULL
ORDER BY model;

-- name: count_rows
SELECT (SELECT count(*) FROM retrieval.image WHERE collection = %(collection)s) AS images,
       (SELECT count(*) FROM retrieval.rejected WHERE collection = %(collection)s) AS rejected,
       (SELECT count(*) FROM retrieval.run WHERE collection = %(collection)s) AS runs,
       (SELECT count(*) FROM retrieval.switch WHERE collection = %(collection)s) AS switches,
       (SELECT count(*) FROM retrieval.verdict WHERE collection = %(collection)s) AS verdicts;

-- name: is_known
-- whether any row belongs to the collection, or a change of it is pending
SELECT EXISTS (SELECT FROM retrieval.collection WHERE name = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.made_collection WHERE name = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.image WHERE collection = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.run WHERE collection = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.rejected WHERE collection = %(collection)s)
    OR EXISTS (SELECT FROM retrieval.pending WHERE collection = %(collection)s) AS known;

-- name: empty_vectors
TRUNCATE retrieval.{vectors};

-- name: forget_collection
-- every table with a column `collection`, and those that hold its name; shards are deleted with their runs, duplicates,
-- compared, captions and uncaptioned with their images, calibrations with their spaces
WITH images AS (DELETE FROM retrieval.image WHERE collection = %(collection)s),
     rejected AS (DELETE FROM retrieval.rejected WHERE collection = %(collection)s),
     runs AS (DELETE FROM retrieval.run WHERE collection = %(collection)s),
     switches AS (DELETE FROM retrieval.switch WHERE collection = %(collection)s),
     verdicts AS (DELETE FROM retrieval.verdict WHERE collection = %(collection)s),
     hints AS (DELETE FROM retrieval.hint WHERE collection = %(collection)s),
     tars AS (DELETE FROM retrieval.tar WHERE collection = %(collection)s),
     parts AS (DELETE FROM retrieval.listed_part WHERE collection = %(collection)s),
     captioners AS (DELETE FROM retrieval.shown_captions WHERE collection = %(collection)s),
     spaces AS (DELETE FROM retrieval.vector_space AS s WHERE s.collection = %(collection)s
                AND to_regclass('retrieval.' || quote_ident(s.vectors)) IS NULL),
     filters AS (DELETE FROM retrieval.filter_use WHERE collection = %(collection)s),
     recalls AS (DELETE FROM retrieval.recall WHERE collection = %(collection)s),
     shown AS (DELETE FROM retrieval.collection WHERE name = %(collection)s)
DELETE FROM retrieval.made_collection WHERE name = %(collection)s;
