"""Metrics as Prometheus reads them."""

import requests
from prometheus_client.parser import text_string_to_metric_families

SECONDS_MAX = 10


class Page:
    """One scrape: the types of metrics, and the values of series by name and labels."""

    def __init__(self, text):
        self.types, self.series = {}, {}
        for family in text_string_to_metric_families(text):
            assert family.name not in self.types, f"{family.name} comes twice"
            assert family.documentation, family.name
            self.types[family.name] = family.type
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self.series, f"{key} comes twice"
                self.series[key] = sample.value

    def value(self, name, **labels):
        """The value of one series; `rabbitmq_` is put in front."""
        return self.series.get((f"rabbitmq_{name}", frozenset(labels.items())))

    def labels(self, name):
        """The labels of all series of this name."""
        return [dict(labels) for known, labels in self.series if known == f"rabbitmq_{name}"]


def scrape(broker, path="/metrics", **query):
    """Reads a page from the port for metrics."""
    url = f"http://{broker.metrics[0]}:{broker.metrics[1]}{path}"
    response = requests.get(url, params=query, timeout=SECONDS_MAX)
    assert response.status_code == 200
    return Page(response.text)
