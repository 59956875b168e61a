"""### index_upkeep

Keeps every collection in good order between its runs, once a day.

**drop_expired_vectors** drops the vectors of former models, `IMAGE_RETRIEVAL_KEEP_VECTORS_DAYS` after a switch.
**finish_changes** finishes what was broken off between tables and object store: files of dropped collections, pictures
that were being written or deleted. For each collection that has vectors:

1. **remove_deleted** removes what is left of images that were deleted `IMAGE_RETRIEVAL_DELETED_GRACE_DAYS` ago (row,
   vectors of every model, resampled picture), and resampled pictures without an image. It counts all orphans, and never
   touches an original.
2. **keep_index** builds or rebuilds the index, and vacuums, where that is due; its log says why in one line each.
3. **refresh_duplicates** finds the duplicates of what is new or changed, for the view `images.duplicates`.

Of a collection that is not in collections.yaml any more, only what is left of images deleted long ago is removed.
Any task may be cleared and run again at any time.
"""

from airflow.sdk import DAG, task_group

from orchestration.configuration import DAG_DEFAULTS
from orchestration.upkeep import (
    drop_expired_vectors,
    finish_changes,
    keep_index,
    list_collections,
    refresh_duplicates,
    remove_deleted,
)

with DAG(dag_id="index_upkeep", schedule="@daily", tags=["image-retrieval"], doc_md=__doc__, **DAG_DEFAULTS):

    @task_group
    def upkeep(collection):
        """One collection, step by step."""
        remove_deleted(collection) >> keep_index(collection) >> refresh_duplicates(collection)

    drop_expired_vectors()
    finish_changes()
    upkeep.expand(collection=list_collections())
