"""Image search in Airflow: the service under /image-search, and its page in the navigation."""

from typing import Any, ClassVar

from airflow.plugins_manager import AirflowPlugin

from orchestration.search import search_app


class ImageSearchPlugin(AirflowPlugin):
    """The service and the page for Airflow's API server."""

    name = "image_search"
    fastapi_apps: ClassVar[list[Any]] = [
        {"app": search_app(), "url_prefix": "/image-search", "name": "Image search"},
    ]
    external_views: ClassVar[list[Any]] = [
        {
            "name": "Image search",
            "href": "image-search/",  # without the slash Airflow's own page would answer
            "destination": "nav",
            "url_route": "image-search",
            "nav_top_level": True,
            "icon": "image-search/page/icon.svg",
        }
    ]
