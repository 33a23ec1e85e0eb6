"""The HTTP API through requests."""

from urllib.parse import quote

import requests

from support.waiting import eventually

SECONDS_MAX = 10


def segment(text):
    """One path segment: everything but unreserved characters is percent-encoded."""
    return quote(text, safe="")


class Management:
    """Requests to `/api` as one user."""

    def __init__(self, address, user="guest", password="guest"):
        self.base = f"http://{address[0]}:{address[1]}/api"
        self.auth = (user, password) if user is not None else None

    def request(self, method, path, **options):
        """One request; `path` is relative to `/api`."""
        return requests.request(
            method, f"{self.base}/{path}", auth=self.auth, timeout=SECONDS_MAX, **options)

    def get(self, path, **options):
        """GET."""
        return self.request("GET", path, **options)

    def put(self, path, body=None, **options):
        """PUT of a JSON body."""
        return self.request("PUT", path, json={} if body is None else body, **options)

    def post(self, path, body=None, **options):
        """POST of a JSON body."""
        return self.request("POST", path, json={} if body is None else body, **options)

    def delete(self, path, **options):
        """DELETE."""
        return self.request("DELETE", path, **options)

    def read(self, path, **options):
        """GET that has to succeed: the JSON."""
        response = self.get(path, **options)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        return response.json()

    def find(self, path, **fields):
        """Waits until the list at `path` has an element with these fields."""
        def look():
            matching = (e for e in self.read(path)
                        if all(e.get(key) == value for key, value in fields.items()))
            return next(matching, None)

        return eventually(look, f"{fields} in {path}")

    def queue(self, name):
        """One queue of the default vhost, or None."""
        response = self.get(f"queues/%2F/{segment(name)}")
        return response.json() if response.status_code == 200 else None

    def wait_for_queue(self, name, **fields):
        """Waits until a queue has these fields."""
        def look():
            queue = self.queue(name) or {}
            return queue if all(queue.get(k) == v for k, v in fields.items()) else None

        return eventually(look, f"queue {name} with {fields}", 15)
