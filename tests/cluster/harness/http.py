"""What a pgweir says over HTTP."""
import http.client
import json
import re

SAMPLE = re.compile(r'^(\w+)(?:\{(.*)\})? (\S+)$')
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')


def get(port, path, method="GET", timeout=20, **headers):
    """Status, headers and text of the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


def get_json(port, path):
    """Status and value."""
    status, headers, text = get(port, path)
    assert headers["Content-Type"] == "application/json", (status, headers, text)
    return status, json.loads(text)


class Metrics:
    """A scrape: name and labels to value, and what the comments say."""

    def __init__(self, text):
        self.text = text
        self.samples, self.types, self.helps = {}, {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            elif line.startswith("# HELP "):
                _, _, name, text = line.split(" ", 3)
                self.helps[name] = text
            else:
                name, labels, value = SAMPLE.match(line).groups()
                key = name, tuple(sorted(LABEL.findall(labels or "")))
                assert key not in self.samples, f"twice: {line}"
                self.samples[key] = float(value)

    def all(self, name, **labels):
        """Values of the samples that have these labels, by the rest of theirs."""
        wanted = set(labels.items())
        return {tuple(pair for pair in key if pair not in wanted): value
                for (its_name, key), value in self.samples.items()
                if its_name == name and wanted <= set(key)}

    def one(self, name, **labels):
        """The one sample that has these labels."""
        (value,) = self.all(name, **labels).values()
        return value


def scrape(port):
    status, headers, text = get(port, "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4"), (status, headers)
    return Metrics(text)
