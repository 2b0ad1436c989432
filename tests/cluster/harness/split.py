"""A cluster whose reads are split: its configuration, and which node ran a statement, by the nodes' own logs."""
import itertools

from .processes import eventually

_numbers = itertools.count(1)

LOGGING = {"log_statement": "all", "log_min_duration_statement": "-1"}


def split_toml(cluster, health="", reads="", failover="", databases="", pool="", http="",
               state_file="@DIR@/main.state"):
    """pgweir.toml with every node of the cluster; `http` and `state_file` are values, the other arguments more lines
    of their tables."""
    nodes = ", ".join(f'{{ host = "{node.host}", port = {node.port} }}' for node in cluster.nodes)
    return f"""
[listen]
host = "127.0.0.1"
port = @PORT@
unix_socket_dir = "@DIR@"
[admin]
users = ["postgres"]
stats_users = ["monitor"]
http = "{http}"
[auth]
method = "trust"
file = "@DIR@/userlist.txt"
[pool]
{pool}
[clusters.main]
nodes = [{nodes}]
[clusters.main.health]
user = "monitor"
{health}
[clusters.main.reads]
{reads}
[clusters.main.failover]
state_file = "{state_file}"
{failover}
[databases.app]
cluster = "main"
[databases.app_primary]
cluster = "main"
dbname = "app"
role = "primary"
[databases.app_replica]
cluster = "main"
dbname = "app"
role = "replica"
{databases}
"""


def wait_for_reads(proxy, cluster, relation):
    """The proxy, once a read of that table goes to a replica: the catalog is there then."""
    with proxy.wire() as wire:
        def known():
            mark = tag()
            wire.query(f"select count(*) from {relation} {mark}")
            return place_of(cluster, mark) == "replica"
        eventually(known, what="reads on replicas")
    return proxy


def tag():
    """A comment that nobody else uses."""
    return f"/*tag{next(_numbers)}*/"


def ran_on(cluster, mark):
    """Names of the nodes whose logs have the comment."""
    return [node.name for node in cluster.nodes if mark in node.process.log()]


def place_of(cluster, mark):
    """primary, replica, or what went wrong."""
    names = eventually(lambda: ran_on(cluster, mark), what=f"{mark} in a log")
    if len(names) > 1:
        return "+".join(names)
    return "primary" if names == [cluster.primary.name] else "replica"
