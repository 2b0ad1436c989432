"""A Prometheus that scrapes one pgweir, several times a second."""
import json
import shutil
import urllib.parse

from .http import get
from .processes import Port, Process, Workdir, eventually, write

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")


class Prometheus:
    def __init__(self, target, rules):
        self._workdir = Workdir()
        self._port = Port()
        directory = self._workdir.path
        write(directory / "rules.yml", rules.read_text(encoding="utf-8"))
        write(directory / "prometheus.yml", f"""
global: {{scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: pgweir
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
""")
        self._process = Process([PROMETHEUS, f"--config.file={directory}/prometheus.yml",
                                 f"--storage.tsdb.path={directory}/data", "--log.level=warn",
                                 f"--web.listen-address=127.0.0.1:{self._port.number}"],
                                log=directory / "prometheus.log", cwd=directory)
        try:
            eventually(self.query_up, 60, "a first scrape")
        except BaseException:
            print(self._process.log())
            self.close()
            raise

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port.number}/"

    def ask(self, path, **parameters):
        _, _, text = get(self._port.number, f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}")
        answer = json.loads(text)
        assert answer["status"] == "success", (path, parameters, answer)
        return answer["data"]

    def query(self, expression):
        """The samples of an instant query."""
        return self.ask("query", query=expression)["result"]

    def query_up(self):
        return [sample for sample in self.query('up{job="pgweir"}') if sample["value"][1] == "1"]

    def close(self):
        self._process.close()
        self._port.close()
        self._workdir.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
