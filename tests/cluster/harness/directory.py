"""An LDAP server (OpenLDAP's slapd) on loopback, for tests of the method ldap."""
import shutil
import socket

from .processes import Port, Process, Workdir, eventually, run, write
from .tls import Authority

SLAPD, SLAPADD = (shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/libexec") for name in ("slapd", "slapadd"))
BASE = "dc=pgweir,dc=test"
READER, READER_PASSWORD = f"cn=reader,{BASE}", "reader's secret"

CONF = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile @DIR@/slapd.pid
TLSCACertificateFile @DIR@/authority.crt
TLSCertificateFile @DIR@/slapd.crt
TLSCertificateKeyFile @DIR@/slapd.key
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "{base}"
rootdn "cn=root,{base}"
directory @DIR@/data
# As most directories are: nobody looks around without a name.
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous none
""".format(base=BASE)


class Directory:
    """People `uid=NAME,ou=people,BASE` with their passwords, and a reader who may search for them. By TLS it shows a
    certificate of `authority`, for localhost and 127.0.0.1."""

    host = "127.0.0.1"
    other_host = "127.0.0.3"  # it listens there as well, but its certificate does not say so

    def __init__(self, people):
        self.workdir = Workdir()
        path = self.workdir.path
        self._ports = Port(), Port()
        self.port, self.tls_port = (port.number for port in self._ports)
        self.process = None
        entries = [f"dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\no: pgweir\ndc: pgweir\n",
                   f"dn: ou=people,{BASE}\nobjectClass: organizationalUnit\nou: people\n",
                   f"dn: {READER}\nobjectClass: person\ncn: reader\nsn: reader\nuserPassword: {READER_PASSWORD}\n"]
        for name, password in people.items():
            entries.append(f"dn: uid={name},ou=people,{BASE}\nobjectClass: inetOrgPerson\ncn: {name}\nsn: {name}\n"
                           f"uid: {name}\nmail: {name}@pgweir.test\nuserPassword: {password}\n")
        try:
            self.authority = Authority(path)
            self.authority.certificate("localhost", ["DNS:localhost", "IP:127.0.0.1"], file="slapd")
            write(path / "slapd.conf", CONF.replace("@DIR@", str(path)))
            write(path / "people.ldif", "\n".join(entries))
            run(["mkdir", path / "data"], cwd=path)
            run([SLAPADD, "-f", path / "slapd.conf", "-l", path / "people.ldif"], cwd=path)
            self.process = Process([SLAPD, "-f", path / "slapd.conf", "-h", self._listeners(), "-d", "0"],
                                   log=path / "slapd.log", cwd=path)
            eventually(self._listens, what="slapd accepting connections")
        except BaseException:
            self.close()
            raise

    @property
    def url(self):
        return f"ldap://{self.host}:{self.port}"

    @property
    def tls_url(self):
        return f"ldaps://{self.host}:{self.tls_port}"

    def _listeners(self):
        return " ".join(f"ldap://{host}:{self.port} ldaps://{host}:{self.tls_port}"
                        for host in (self.host, self.other_host))

    def _listens(self):
        if not self.process.alive:
            raise RuntimeError(f"slapd did not start:\n{self.process.log()}")
        for port in (self.port, self.tls_port):
            socket.create_connection((self.host, port), timeout=1).close()
        return True

    def close(self):
        if self.process:
            self.process.close()
        for port in self._ports:
            port.close()
        self.workdir.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
