"""Image search in Airflow: the service under /image-search, and its page in the navigation."""

from airflow.plugins_manager import AirflowPlugin

from orchestration.search import search_app


class ImageSearchPlugin(AirflowPlugin):
    """What Airflow's API server mounts and shows."""

    name = "image_search"
    fastapi_apps = [{"app": search_app(), "url_prefix": "/image-search", "name": "Image search"}]
    external_views = [
        {
            "name": "Image search",
            "href": "image-search/",  # without the slash Airflow's own page would answer
            "destination": "nav",
            "url_route": "image-search",
            "nav_top_level": True,
            "icon": "image-search/page/icon.svg",
            "icon_dark_mode": "image-search/page/icon-dark.svg",
        }
    ]
