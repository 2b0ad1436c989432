"""Certificates for tests, made with the openssl command: an authority and what it signs."""
from pathlib import Path

from .processes import run, write

DAYS = "2"


class Authority:
    """A certificate authority with its files in a directory of the servers' user, see Workdir.

        authority = Authority(directory)
        cert, key = authority.certificate("localhost", names=["DNS:localhost", "IP:127.0.0.1"])
    """

    def __init__(self, directory, name="authority"):
        self.directory = Path(directory)
        self.name = name
        self.file = self.directory / f"{name}.crt"
        self._key = self.directory / f"{name}.key"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
                  DAYS, "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.file)

    def certificate(self, common_name, names=(), file=None, rsa=False):
        """(certificate, key) of that name, PEM. `names` is the list of alternative names; `file` the name of the
        files when it is not the common name."""
        stem = file or common_name
        cert, key = self.directory / f"{stem}.crt", self.directory / f"{stem}.key"
        request, extensions = self.directory / f"{stem}.csr", self.directory / f"{stem}.ext"
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        self._run("req", "-newkey", *kind, "-nodes", "-subj", f"/O=tests/CN={common_name}", "-keyout", key, "-out",
                  request)
        write(extensions, "subjectAltName=" + ",".join(names) if names else "")
        self._run("x509", "-req", "-in", request, "-CA", self.file, "-CAkey", self._key, "-CAcreateserial", "-days",
                  DAYS, "-sha256", "-extfile", extensions, "-out", cert)
        return cert, key

    def _run(self, *arguments):
        run(["openssl", *arguments], cwd=self.directory)
