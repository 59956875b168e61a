"""What ties the library to Airflow: connections, task bodies, the embedding operator. No other package imports it."""
